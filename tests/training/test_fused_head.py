"""The fused head gives the values and gradients of the plain loss, keeps no logits, and names bad input."""

from __future__ import annotations

import math

import pytest
import torch

from distill_lib.training import fused_head
from distill_lib.training.fused_head import fused_kd_loss
from distill_lib.training.losses import kd_loss
from distill_lib.training.sparse_teachers import top_k, top_p

DIRECTIONS = ["forward", "reverse", "jensen_shannon"]
SETTINGS = [
    {},
    {"tau": 2.0},
    {"lam": 0.0},
    {"lam": 0.3, "tau": 0.5},
    {"lam_z": 1e-2},
    {"lam": 0.6, "lam_z": 1e-2, "tau": 3.0},
]


def models(dtype: torch.dtype = torch.float32, n: int = 23, d: int = 8, V: int = 31):
    random = torch.Generator().manual_seed(0)
    shapes = [(2, n, d), (V, d), (2, n, d + 3), (V, d + 3)]
    made = [torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype) for shape in shapes]
    labels = torch.randint(V, (2, n), generator=random).masked_fill(
        torch.rand(2, n, generator=random) < 0.2, -100
    )
    return made, labels


def run(loss: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    return [loss.detach().double(), *(g.double() for g in torch.autograd.grad(loss, inputs))]


def assert_close(found: list[torch.Tensor], expected: list[torch.Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_equals_the_plain_loss(direction: str, setting: dict, chunk: int, monkeypatch):
    monkeypatch.setattr(fused_head, "_BLOCK", 3 * 31)  # blocks that do not divide the chunks
    (hidden, head, teacher_hidden, teacher_head), labels = models()
    hidden.requires_grad_()
    head.requires_grad_()
    setting = setting | {"direction": direction, "beta": 0.3}
    plain = kd_loss(hidden @ head.T, teacher_hidden @ teacher_head.T, labels, **setting)
    fused = fused_kd_loss(hidden, head, (teacher_hidden, teacher_head), labels, chunk=chunk, **setting)
    assert fused.dtype == torch.float32
    assert_close(run(fused, hidden, head), run(plain, hidden, head), 1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("missing", ["renormalise", "tail"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_equals_the_plain_loss_with_a_sparse_teacher(direction: str, missing: str, setting: dict):
    if (direction, missing) == ("reverse", "renormalise"):
        return  # refused: infinite
    (hidden, head, teacher_hidden, teacher_head), labels = models()
    hidden.requires_grad_()
    head.requires_grad_()
    setting = setting | {"direction": direction}
    teacher = top_p(teacher_hidden @ teacher_head.T, 0.9, missing=missing, tau=setting.get("tau", 1.0))
    plain = kd_loss(hidden @ head.T, teacher, labels, **setting)
    fused = fused_kd_loss(hidden, head, teacher, labels, chunk=7, **setting)
    assert_close(run(fused, hidden, head), run(plain, hidden, head), 1e-5)


def test_gradient_equals_finite_differences():
    (hidden, head, *teacher), labels = models(torch.float64, n=2, d=3, V=5)
    assert torch.autograd.gradcheck(
        lambda h, w: (
            3.0 * fused_kd_loss(h, w, (teacher[0], teacher[1]), labels % 5, lam=0.6, lam_z=0.1, tau=1.5)
        ),
        (hidden.requires_grad_(), head.requires_grad_()),
    )


def test_without_labels_and_with_only_one_side_trained():
    (hidden, head, *teacher), _ = models()
    plain = kd_loss(hidden @ head.T, teacher[0] @ teacher[1].T)
    for trained in (hidden, head):
        trained.requires_grad_()
        fused = fused_kd_loss(hidden, head, (teacher[0], teacher[1]))
        assert fused.item() == pytest.approx(plain.item(), rel=1e-6)
        expected = torch.autograd.grad(kd_loss(hidden @ head.T, teacher[0] @ teacher[1].T), trained)
        torch.testing.assert_close(torch.autograd.grad(fused, trained), expected, rtol=1e-4, atol=1e-7)
        trained.requires_grad_(False)
    with torch.no_grad():
        assert fused_kd_loss(hidden, head, (teacher[0], teacher[1])).item() == pytest.approx(plain.item())


def test_zero_for_identical_models():
    (hidden, head, *_), _ = models(torch.float64)
    for direction in DIRECTIONS:
        loss = fused_kd_loss(hidden.requires_grad_(), head, (hidden.detach(), head), direction=direction)
        assert abs(loss.item()) < 1e-12


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_heads_gradient_is_summed_in_float32(direction: str):
    # 4,000 tokens one at a time: summed in bfloat16, the small terms would be lost against the sum.
    (hidden, head, *teacher), labels = models(torch.bfloat16, n=2000)
    hidden.requires_grad_()
    head.requires_grad_()
    fused = fused_kd_loss(hidden, head, (teacher[0], teacher[1]), labels, direction=direction, chunk=1)
    assert fused.dtype == torch.float32
    exact = kd_loss(
        (hidden @ head.T).double(), (teacher[0] @ teacher[1].T).double(), labels, direction=direction
    )
    assert_close(run(fused, hidden, head), run(exact, hidden, head), 1e-2)


@pytest.mark.parametrize("other", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_teacher_has_a_precision_of_its_own(other: torch.dtype, direction: str):
    (hidden, head, *teacher), labels = models()
    given = (teacher[0].to(other), teacher[1].to(other))
    setting = {"lam": 0.6, "tau": 2.0, "direction": direction}
    hidden.requires_grad_()
    plain = kd_loss(hidden @ head.T, given[0] @ given[1].T, labels, **setting)
    fused = fused_kd_loss(hidden, head, given, labels, chunk=7, **setting)
    assert fused.dtype == plain.dtype
    assert_close(run(fused, hidden), run(plain, hidden), 1e-5)


def test_a_scaled_loss_in_half_precision_loses_no_small_gradients():
    # The gradient of one of 4,096 tokens is near the least float16: scaling the loss must come in time.
    random = torch.Generator().manual_seed(0)
    hidden, head = (0.3 * torch.randn(n, 16, generator=random) for n in (4096, 500))
    taught = (hidden + 0.05 * torch.randn(hidden.shape, generator=random)).half(), head.half()
    hidden, head = hidden.half().requires_grad_(), head.half()
    scale = 2.0**16
    found = torch.autograd.grad(scale * fused_kd_loss(hidden, head, taught), hidden)[0]
    plain = torch.autograd.grad(scale * kd_loss(hidden @ head.T, taught[0] @ taught[1].T), hidden)[0]
    assert_close([found.double()], [plain.double()], 2e-3)


def test_a_second_derivative_is_refused():
    (hidden, head, *teacher), _ = models()
    loss = fused_kd_loss(hidden.requires_grad_(), head, (teacher[0], teacher[1]))
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(loss, hidden, create_graph=True)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
def test_it_can_be_part_of_a_compiled_graph():
    (hidden, head, *teacher), _ = models()
    compiled = torch.compile(fused_kd_loss, backend="aot_eager", fullgraph=True)
    losses = [loss(hidden, head, (teacher[0], teacher[1]), chunk=7) for loss in (compiled, fused_kd_loss)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)


def test_under_autocast_both_are_cast():
    (hidden, head, *teacher), labels = models()
    head.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = fused_kd_loss(hidden.bfloat16(), head, (teacher[0].bfloat16(), teacher[1]), labels)
        plain = kd_loss(hidden @ head.T, teacher[0] @ teacher[1].T, labels)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-3)
    assert torch.autograd.grad(loss, head)[0].dtype == torch.float32


def test_no_tensor_of_all_logits_is_made():
    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor):
                self.largest = max(self.largest, made.numel())
            return made

    largest = []
    for n in (400, 800):
        (hidden, head, *teacher), labels = models(n=n)
        with Watch() as watch:
            fused_kd_loss(
                hidden.requires_grad_(), head.requires_grad_(), (teacher[0], teacher[1]), labels, chunk=16
            ).backward()
        largest.append(watch.largest)
        assert watch.largest < hidden.shape[0] * n * len(head)
    assert largest[1] == 2 * 800 * 11  # the hidden states of the teacher are the largest there are


def test_nothing_to_learn_from_is_zero_with_zero_gradients():
    (hidden, head, *teacher), labels = models()
    loss = fused_kd_loss(
        hidden.requires_grad_(),
        head.requires_grad_(),
        (teacher[0], teacher[1]),
        torch.full_like(labels, -100),
    )
    loss.backward()
    assert loss.item() == 0.0
    assert (hidden.grad == 0).all()
    assert head.grad is None or (head.grad == 0).all()


def test_a_padded_head_is_given_by_its_vocabulary():
    (hidden, head, *teacher), labels = models()
    padded = torch.cat([head, torch.full((5, 8), math.nan)]).requires_grad_()
    fused_kd_loss(hidden, padded[:31], (teacher[0], teacher[1]), labels).backward()
    assert torch.isfinite(padded.grad).all()
    assert (padded.grad[31:] == 0).all()


@pytest.mark.parametrize("name", ["student_hidden", "student_head", "teacher_hidden", "teacher_head"])
def test_what_is_no_number_is_named(name: str):
    given, _ = models()
    names = ["student_hidden", "student_head", "teacher_hidden", "teacher_head"]
    given[names.index(name)][(1, 2, 3) if name.endswith("hidden") else (2, 3)] = math.nan
    with pytest.raises(ValueError, match=rf"{name}\[(1, )?2, 3\] = nan"):
        fused_kd_loss(given[0], given[1], (given[2], given[3]))
    assert math.isnan(fused_kd_loss(given[0], given[1], (given[2], given[3]), check=False))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"student_head": torch.zeros(31, 9)}, r"expected \[\.\.\., d\]"),
        ({"student_head": torch.zeros(30, 8)}, "student vocabulary 30, teacher vocabulary 31"),
        ({"student_head": torch.zeros(31, 8, dtype=torch.float64)}, "cast one"),
        ({"teacher": (torch.zeros(2, 5, 3), torch.zeros(31, 3))}, "teacher positions"),
        ({"teacher": top_k(torch.zeros(2, 23, 30), 4, missing="tail")}, "teacher vocabulary 30"),
        ({"chunk": 0}, "chunk=0"),
        ({"chunk": 2.5}, "chunk=2.5"),
        ({"teacher": torch.zeros(2, 23, 31)}, "for logits there is kd_loss"),
        ({"labels": torch.full((2, 23), 31), "lam": 0.5}, r"labels\[0, 0\] = 31 .* from 0 to 30"),
        ({"tau": -1.0}, "tau=-1.0"),
        ({"lam": 2.0}, "lam=2.0"),
        ({"lam": 0.5}, "needs labels"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, "labels have shape"),
    ],
)
def test_bad_input_is_named(change: dict, words: str):
    (hidden, head, *teacher), _ = models()
    given = {"student_hidden": hidden, "student_head": head, "teacher": (teacher[0], teacher[1])} | change
    with pytest.raises(ValueError, match=words):
        fused_kd_loss(**given)
