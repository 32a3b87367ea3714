"""The distillation loss against slow sums, limits and the traps of other libraries."""

from __future__ import annotations

import math

import pytest
import torch

from distill_lib.training.losses import kd_loss, kl_divergence, loss_parts, next_token_loss

INF = float("inf")


def logits(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return 2.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def slow_softmax(row: list[float], tau: float) -> list[float]:
    weights = [math.exp(z / tau) for z in row]
    return [weight / sum(weights) for weight in weights]


def slow_kd_loss(student, teacher, labels, tau: float, lam: float, direction: str) -> float:
    """The definition, term by term: (1 - lam) (-ln q_label) + lam tau^2 sum p ln(p / q), mean over rows."""
    total = 0.0
    for z_s, z_t, label in zip(student, teacher, labels, strict=True):
        p, q = slow_softmax(z_t, tau), slow_softmax(z_s, tau)
        if direction == "reverse":
            p, q = q, p
        divergence = sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
        total += (1 - lam) * -math.log(slow_softmax(z_s, 1.0)[label]) + lam * tau**2 * divergence
    return total / len(labels)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0])
def test_equals_the_hand_written_sum(tau: float, lam: float, direction: str):
    student = [[0.2, -1.0, 2.5], [1.5, 0.0, -0.7]]
    teacher = [[1.0, 0.3, -0.4], [-2.0, 0.6, 0.6]]
    labels = [2, 0]
    loss = kd_loss(
        torch.tensor(student, dtype=torch.float64),
        torch.tensor(teacher, dtype=torch.float64),
        torch.tensor(labels),
        tau=tau,
        lam=lam,
        direction=direction,
    )
    assert loss.item() == pytest.approx(
        slow_kd_loss(student, teacher, labels, tau, lam, direction), rel=1e-12
    )


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("tau", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_gradient_equals_finite_differences(tau: float, lam: float, direction: str):
    student, teacher = logits(2, 3, 5).requires_grad_(), logits(2, 3, 5, seed=1)
    labels = torch.tensor([[0, 4, -100], [2, 2, 1]])

    def loss(z: torch.Tensor) -> torch.Tensor:
        return kd_loss(z, teacher, labels, tau=tau, lam=lam, direction=direction)

    assert torch.autograd.gradcheck(loss, (student,), atol=1e-7)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_gradient_with_a_weight_for_each_position(direction: str):
    student, teacher = logits(4, 5).requires_grad_(), logits(4, 5, seed=1)
    weights = torch.tensor([1.0, -2.0, 0.0, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: (weights * kl_divergence(z, teacher, tau=1.7, direction=direction)).sum(), (student,)
    )


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("tau", [0.05, 1.0, 20.0])
def test_zero_for_identical_models_and_positive_otherwise(tau: float, direction: str):
    z = logits(16, 11)
    assert kd_loss(z, z.clone(), tau=tau, direction=direction).item() == pytest.approx(0.0, abs=1e-12)
    assert kd_loss(z, z + 3.0, tau=tau, direction=direction).item() == pytest.approx(0.0, abs=1e-9)
    assert (kl_divergence(z, logits(16, 11, seed=1), tau=tau, direction=direction) > 0).all()


def test_same_gradient_as_the_papers_cross_entropy_with_the_teacher():
    student, teacher, tau = logits(6, 7).requires_grad_(), logits(6, 7, seed=1), 2.0
    p = torch.softmax(teacher / tau, -1)
    paper = -(tau**2) * (p * torch.log_softmax(student / tau, -1)).sum(-1).mean()
    (expected,) = torch.autograd.grad(paper, student)
    (gradient,) = torch.autograd.grad(kd_loss(student, teacher, tau=tau), student)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)
    entropy = -(tau**2) * (p * p.log()).sum(-1).mean()
    assert paper.item() == pytest.approx((kd_loss(student, teacher, tau=tau) + entropy).item(), rel=1e-12)


def test_gradient_barely_depends_on_a_high_temperature():
    # With tau^2 the gradient tends to that of matching centred logits; without, it would fall as 1/tau^2.
    teacher = logits(8, 5, seed=1)
    sizes = []
    for tau in (50.0, 100.0):
        student = logits(8, 5).requires_grad_()
        kd_loss(student, teacher, tau=tau).backward()
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_lam_of_zero_is_the_next_token_loss():
    student, labels = logits(9, 7), torch.arange(9) % 7
    mixed = kd_loss(student, logits(9, 7, seed=1), labels, lam=0.0)
    assert mixed.item() == pytest.approx(next_token_loss(student, labels).item(), rel=1e-12)
    assert mixed.item() == pytest.approx(torch.nn.functional.cross_entropy(student, labels).item(), rel=1e-12)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("tau", [0.05, 1.0])
@pytest.mark.parametrize("lam", [0.5, 1.0])
def test_a_padded_vocabulary_changes_neither_value_nor_gradient(lam: float, tau: float, direction: str):
    labels = torch.tensor([1, 0, 3])
    plain, teacher = logits(3, 4).requires_grad_(), logits(3, 4, seed=1)
    expected = kd_loss(plain, teacher, labels, lam=lam, tau=tau, direction=direction)
    expected.backward()

    pad = torch.full((3, 2), -INF, dtype=torch.float64)
    padded = torch.cat([plain.detach(), pad], -1).requires_grad_()
    loss = kd_loss(padded, torch.cat([teacher, pad], -1), labels, lam=lam, tau=tau, direction=direction)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(padded.grad[:, :4], plain.grad)
    assert (padded.grad[:, 4:] == 0).all()


def test_an_exclusion_by_the_teacher_alone_is_finite_forward_and_infinite_in_reverse():
    student, teacher = logits(3, 4), logits(3, 4, seed=1)
    teacher[:, 0] = -INF
    assert torch.isfinite(kl_divergence(student, teacher)).all()
    assert (kl_divergence(student, teacher, direction="reverse") == INF).all()
    assert (kl_divergence(teacher, student) == INF).all()


@pytest.mark.parametrize("side", ["student", "teacher"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_nan_is_not_swallowed(side: str, direction: str):
    student, teacher = logits(3, 4), logits(3, 4, seed=1)
    (student if side == "student" else teacher)[1, 2] = math.nan
    divergence = kl_divergence(student, teacher, direction=direction)
    assert torch.isnan(divergence).tolist() == [False, True, False]


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("lam", [0.5, 1.0])
def test_ignored_positions_count_nowhere(lam: float, direction: str):
    student, teacher = logits(2, 3, 5), logits(2, 3, 5, seed=1)
    labels = torch.tensor([[1, -100, 0], [-100, 3, 4]])
    student[labels == -100] = math.nan  # whatever stands there
    student.requires_grad_()
    loss = kd_loss(student, teacher, labels, lam=lam, direction=direction)
    loss.backward()
    kept = labels != -100
    expected = kd_loss(student[kept], teacher[kept], labels[kept], lam=lam, direction=direction)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert (student.grad[~kept] == 0).all()
    assert torch.isfinite(student.grad).all()


def test_another_ignore_index():
    student, teacher, labels = logits(3, 4), logits(3, 4, seed=1), torch.tensor([0, 1, 2])
    expected = kd_loss(student[1:], teacher[1:], labels[1:], lam=0.5)
    assert kd_loss(student, teacher, labels, lam=0.5, ignore_index=0).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_a_batch_without_any_position_gives_zero_with_zero_gradient(lam: float):
    student = logits(2, 3).requires_grad_()
    loss = kd_loss(student, logits(2, 3, seed=1), torch.tensor([-100, -100]), lam=lam)
    loss.backward()
    assert loss.item() == 0.0
    assert (student.grad == 0).all()
    assert next_token_loss(student, torch.tensor([-100, -100])).item() == 0.0


def test_half_precision_is_widened_before_the_softmax():
    student = logits(256, 512, dtype=torch.float32).bfloat16()
    teacher = (student.float() + 0.05 * logits(256, 512, seed=1, dtype=torch.float32)).bfloat16()
    loss = kd_loss(student, teacher)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(kd_loss(student.double(), teacher.double()).item(), rel=1e-4)


def test_gradient_in_float32_is_that_in_float64():
    student, teacher = logits(64, 512, dtype=torch.float32), logits(64, 512, seed=1, dtype=torch.float32)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        z = student.detach().to(dtype).clone().requires_grad_()
        kd_loss(z, teacher.to(dtype)).backward()
        gradients.append(z.grad.double())
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[1].norm()


def test_no_gradient_reaches_the_teacher():
    student, teacher = logits(3, 4).requires_grad_(), logits(3, 4, seed=1).requires_grad_()
    kd_loss(student, teacher).backward()
    assert teacher.grad is None


@pytest.mark.parametrize("lam", [0.5, 1.0])
def test_a_second_derivative_is_refused_and_not_that_of_the_next_token_alone(lam: float):
    student = logits(3, 4).requires_grad_()
    loss = kd_loss(student, logits(3, 4, seed=1), torch.tensor([0, 1, 2]), lam=lam)
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(loss, student, create_graph=True)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_may_be_any_integers(dtype: torch.dtype):
    student, teacher, labels = logits(3, 4), logits(3, 4, seed=1), torch.tensor([0, 3, 2])
    expected = kd_loss(student, teacher, labels, lam=0.5).item()
    assert kd_loss(student, teacher, labels.to(dtype), lam=0.5).item() == expected


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        ([0, 1, 4], {}, r"labels\[2\] = 4 \(1 such\): must be tokens from 0 to 3, or ignore_index=-100"),
        ([-1, 1, -1], {}, r"labels\[0\] = -1 \(2 such\)"),
        ([-1, 1, 0], {"lam": 1.0}, r"labels\[0\] = -1"),
        # Torch leaves these out of the cross-entropy alone, and of its mean not at all.
        ([0, 1, -100], {"ignore_index": 0}, r"labels\[2\] = -100 .* ignore_index=0"),
        ([0.0, 1.0, 2.0], {}, "labels are torch.float32; give integers"),
        ([True, False, True], {}, "labels are torch.bool"),
    ],
)
def test_labels_that_are_no_tokens_are_named(labels: list, options: dict, words: str):
    student, given = logits(3, 4), torch.tensor(labels)
    with pytest.raises(ValueError, match=words):
        kd_loss(student, logits(3, 4, seed=1), given, **({"lam": 0.5} | options))
    if "lam" not in options:
        with pytest.raises(ValueError, match=words):
            next_token_loss(student, given, **options)


def test_the_parts_of_what_is_no_number_are_refused():
    student, teacher = logits(3, 4), logits(3, 4, seed=1)
    teacher[2, 1] = math.nan
    with pytest.raises(ValueError, match=r"teacher_logits\[2, 1\] = nan"):
        loss_parts(student, teacher)
    assert math.isfinite(loss_parts(student, teacher, torch.tensor([0, 1, -100])).kl)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tau": 0.0}, "tau=0.0"),
        ({"tau": -1.0}, "tau=-1.0"),
        ({"tau": math.nan}, "tau=nan"),
        ({"lam": 1.5}, "lam=1.5"),
        ({"lam": math.nan}, "lam=nan"),
        ({"lam": 0.5}, "needs labels"),
        ({"direction": "sideways"}, "sideways"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, "labels have shape"),
        ({"teacher_logits": torch.zeros(2, 5)}, "vocabulary 4, teacher vocabulary 5.*cut the padding off"),
        ({"teacher_logits": torch.zeros(3, 4)}, "same shape"),
    ],
)
def test_bad_input_is_named(options: dict, words: str):
    given = {"student_logits": torch.zeros(2, 4), "teacher_logits": torch.zeros(2, 4)} | options
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        kd_loss(**given)


def test_two_free_weights_without_tau_squared_translate_as_the_page_on_conventions_says():
    student, teacher, labels, tau = logits(9, 7), logits(9, 7, seed=1), torch.arange(9) % 7, 3.0
    hard, soft = 0.4, 1.3
    divergence = torch.nn.functional.kl_div(
        torch.log_softmax(student / tau, -1), torch.softmax(teacher / tau, -1), reduction="batchmean"
    )
    theirs = hard * torch.nn.functional.cross_entropy(student, labels) + soft * divergence
    weight = hard + soft / tau**2
    ours = weight * kd_loss(student, teacher, labels, tau=tau, lam=soft / (tau**2 * weight))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
