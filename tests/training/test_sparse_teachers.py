"""Truncated and cached teachers: against dense sums, what minimising each teaches, and bad input by name."""

from __future__ import annotations

import math

import pytest
import torch

from distill_lib.training.divergences import divergence
from distill_lib.training.losses import kd_loss, kl_divergence, loss_parts, next_token_loss
from distill_lib.training.sparse_divergences import sparse_divergence
from distill_lib.training.sparse_teachers import SparseTeacher, top_k, top_p, top_token

INF = float("inf")
DIRECTIONS = ["forward", "reverse", "jensen_shannon"]


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0])
def test_renormalised_equals_the_papers_sum(tau: float):
    # Eq. 55: p over the kept tokens, divided by its sum there.
    student, teacher = logits(5, 9), logits(5, 9, seed=1)
    values = sparse_divergence(student, top_k(teacher, 3, missing="renormalise", tau=tau), tau=tau)
    for z_s, z_t, value in zip(student, teacher, values, strict=True):
        p, log_q = torch.softmax(z_t / tau, -1).tolist(), torch.log_softmax(z_s / tau, -1).tolist()
        kept = sorted(range(9), key=lambda a: -p[a])[:3]
        total = sum(p[a] for a in kept)
        expected = sum(p[a] / total * (math.log(p[a] / total) - log_q[a]) for a in kept)
        assert value.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0])
def test_tail_equals_the_divergence_of_lumped_probabilities(tau: float, direction: str):
    student, teacher = logits(5, 9), logits(5, 9, seed=1)
    sparse = top_k(teacher, 3, missing="tail", tau=tau)
    lumped = []
    for z in (student, teacher):
        p = torch.softmax(z / tau, -1)
        head = p.gather(-1, sparse.ids)
        lumped.append(torch.cat([head, 1 - head.sum(-1, keepdim=True)], -1).log())
    setting = {"direction": direction, "beta": 0.3}
    torch.testing.assert_close(
        sparse_divergence(student, sparse, tau=tau, **setting), divergence(*lumped, **setting)
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("missing", ["renormalise", "tail"])
@pytest.mark.parametrize("tau", [0.7, 2.0])
def test_gradient_equals_finite_differences(tau: float, missing: str, direction: str):
    if (direction, missing) == ("reverse", "renormalise"):
        return  # refused: infinite
    student = logits(2, 3, 6).requires_grad_()
    teacher = top_p(logits(2, 3, 6, seed=1), 0.8, missing=missing, tau=tau)
    assert (teacher.logprobs == -INF).any()  # unused slots are part of what is tested
    assert torch.autograd.gradcheck(
        lambda z: sparse_divergence(z, teacher, tau=tau, direction=direction), (student,)
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("missing", ["renormalise", "tail"])
def test_all_tokens_kept_is_the_dense_loss(missing: str, direction: str):
    if (direction, missing) == ("reverse", "renormalise"):
        return
    student, teacher = logits(4, 6).requires_grad_(), logits(4, 6, seed=1)
    setting = {"direction": direction, "tau": 2.0, "lam_z": 0.1}
    gradients = []
    for given in (teacher, top_k(teacher, 6, missing=missing, tau=2.0)):
        loss = kd_loss(student, given, **setting)
        gradients.append((loss.detach(), *torch.autograd.grad(loss, student)))
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_zero_for_identical_models_with_a_tail(direction: str):
    z = logits(8, 12)
    value = sparse_divergence(z, top_k(z, 4, missing="tail"), direction=direction)
    assert value.abs().max() < 1e-12


def test_renormalised_is_zero_for_the_student_that_is_the_truncated_teacher():
    z = logits(8, 12)
    sparse = top_k(z, 4, missing="renormalise")
    truncated = torch.full_like(z, -INF).scatter(-1, sparse.ids, sparse.logprobs)
    assert sparse_divergence(truncated, sparse).abs().max() < 1e-12
    # For the same model it is what the truncation hides: minus the logarithm of the kept mass.
    torch.testing.assert_close(sparse_divergence(z, sparse), -sparse.logprobs.logsumexp(-1))


def test_only_the_tail_bucket_teaches_the_mass_of_the_head():
    teacher = 0.5 * logits(1, 200, seed=3)
    mass = top_k(teacher, 10, missing="tail").logprobs.exp().sum().item()
    found, left = {}, {}
    for missing in ("renormalise", "tail"):
        student = torch.zeros_like(teacher).requires_grad_()
        sparse = top_k(teacher, 10, missing=missing)
        optimiser = torch.optim.Adam([student], lr=0.2)
        for _ in range(600):
            optimiser.zero_grad()
            sparse_divergence(student, sparse).sum().backward()
            optimiser.step()
        with torch.no_grad():
            found[missing] = student.softmax(-1).gather(-1, sparse.ids).sum().item()
            left[missing] = kl_divergence(student, teacher).item()
    assert 0.1 < mass < 0.6
    assert found["tail"] == pytest.approx(mass, abs=1e-6)
    assert found["renormalise"] > 0.999
    assert left["renormalise"] > 5 * left["tail"]


def test_top_p_keeps_the_fewest_tokens_that_hold_the_mass():
    teacher = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.97, 0.01, 0.01, 0.01]]).log()
    sparse = top_p(teacher, 0.75, missing="tail")
    assert sparse.ids.shape == (2, 2)
    assert sparse.logprobs.exp().flatten().tolist() == pytest.approx([0.5, 0.3, 0.97, 0.0])
    assert sparse.tail.exp().tolist() == pytest.approx([0.2, 0.03])
    assert top_p(teacher, 1.0, missing="tail", most=3).ids.shape == (2, 3)
    assert top_p(teacher, 1e-9, missing="tail").ids.tolist() == [[0], [0]]


def test_all_of_the_mass_is_every_token():
    # In float32, the sum over a large vocabulary reaches one before its last token.
    teacher = 2.0 * torch.randn(3, 32000, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(top_p(teacher, 1.0, missing="renormalise").logprobs).all()


@pytest.mark.parametrize("value", [math.nan, INF, -INF])
@pytest.mark.parametrize(
    "cut",
    [
        lambda z: top_k(z, 2, missing="tail"),
        lambda z: top_p(z, 0.5, missing="renormalise"),
        top_token,
    ],
    ids=["top_k", "top_p", "top_token"],
)
def test_a_teacher_that_is_no_number_is_not_cut(cut, value: float):
    teacher = logits(3, 8)
    teacher[1] = value
    with pytest.raises(ValueError, match=rf"teacher_logits\[1, 0\] = {value}"):
        cut(teacher)


def test_hard_labels_are_the_next_token_loss_with_the_teachers_top_token():
    student, teacher = logits(7, 5).requires_grad_(), logits(7, 5, seed=1)
    loss, expected = kd_loss(student, top_token(teacher)), next_token_loss(student, teacher.argmax(-1))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(loss, student), torch.autograd.grad(expected, student))


def test_a_cache_in_half_precision_with_free_ids_in_unused_slots():
    student, teacher = logits(6, 40), logits(6, 40, seed=1)
    live = top_p(teacher, 0.7, missing="tail")
    unused = live.logprobs == -INF
    assert unused.any()
    cached = SparseTeacher(
        live.ids.int().masked_fill(unused, -1), live.logprobs.half(), 40, tail=live.tail.half()
    )
    torch.testing.assert_close(
        sparse_divergence(student, cached), sparse_divergence(student, live), rtol=5e-3, atol=1e-3
    )
    unsigned = SparseTeacher(live.ids.to(torch.uint16), live.logprobs, 40, tail=live.tail)
    assert torch.equal(sparse_divergence(student, unsigned), sparse_divergence(student, live))
    without = SparseTeacher(live.ids, live.logprobs, 40)
    torch.testing.assert_close(without.with_tail().tail, live.tail)
    assert live.renormalised().tail is None


def test_renormalised_tokens_are_tempered_and_a_tail_is_not():
    student, teacher = logits(4, 9), logits(4, 9, seed=1)
    at_one, at_two = (top_k(teacher, 3, missing="renormalise", tau=tau) for tau in (1.0, 2.0))
    torch.testing.assert_close(
        sparse_divergence(student, at_one, tau=2.0), sparse_divergence(student, at_two, tau=2.0)
    )
    with pytest.raises(ValueError, match=r"tau=1\.0, the loss is at tau=2\.0"):
        sparse_divergence(student, top_k(teacher, 3, missing="tail"), tau=2.0)


@pytest.mark.parametrize("missing", ["renormalise", "tail"])
def test_a_padded_vocabulary_and_more_slots_than_tokens(missing: str):
    pad = torch.full((3, 4), -INF, dtype=torch.float64)
    student = torch.cat([logits(3, 4), pad], -1).requires_grad_()
    teacher = torch.cat([logits(3, 4, seed=1), pad], -1)
    loss = kd_loss(student, top_k(teacher, 6, missing=missing))
    loss.backward()
    assert loss.item() == pytest.approx(kd_loss(student, teacher).item(), rel=1e-12)
    assert torch.isfinite(student.grad).all()
    assert (student.grad[:, 4:] == 0).all()


def test_masks_parts_and_empty_batches():
    student, teacher = logits(2, 3, 8).requires_grad_(), logits(2, 3, 8, seed=1)
    sparse, labels = top_k(teacher, 3, missing="tail"), torch.tensor([[1, -100, 0], [-100, 3, 4]])
    kept = labels != -100
    loss = kd_loss(student, sparse, labels, lam=0.4)
    assert loss.item() == pytest.approx(
        kd_loss(student[kept], sparse.at(kept), labels[kept], lam=0.4).item(), rel=1e-12
    )
    parts = loss_parts(student, sparse, labels)
    assert (0.6 * parts.next_token + 0.4 * parts.kl).item() == pytest.approx(loss.item(), rel=1e-12)
    assert parts.divergence.item() == pytest.approx(parts.kl.item(), rel=1e-12)
    assert kd_loss(student, sparse, torch.full((2, 3), -100)).item() == 0.0


@pytest.mark.parametrize("value", [math.nan, INF])
def test_a_student_that_is_no_number_is_named(value: float):
    student = logits(3, 8)
    student[1, 5] = value
    with pytest.raises(ValueError, match=r"student_logits\[1, 5\]"):
        kd_loss(student, top_k(logits(3, 8, seed=1), 3, missing="tail"))


GOOD = {
    "ids": torch.tensor([[2, 0], [1, 2]]),
    "logprobs": torch.tensor([[0.5, 0.2], [0.6, 0.4]]).log(),
    "vocab_size": 4,
    "tail": torch.tensor([0.3, 0.0]).log(),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": torch.tensor([[2, 0]])}, "ids have shape"),
        ({"ids": torch.tensor([[2, 4], [1, 2]])}, r"ids\[0, 1\] = 4: must be tokens from 0 to 3"),
        ({"ids": torch.tensor([[2, 0], [1, 1]])}, "each token once"),
        ({"ids": torch.tensor([[2.0, 0.0], [1.0, 1.0]])}, "give integers"),
        ({"vocab_size": 1}, "k=2 must lie from 1 to the vocabulary of 1"),
        ({"logprobs": torch.tensor([[0.5, 0.2], [0.6, 0.4]])}, "logarithms of probabilities"),
        ({"logprobs": torch.tensor([[-1.0, math.nan], [-1.0, -1.0]])}, r"logprobs\[0, 1\] = nan"),
        ({"logprobs": torch.tensor([[-INF, -1.0], [-1.0, -1.0]])}, "first slot"),
        ({"tail": torch.tensor([0.3, 0.2]).log()}, "with the tail"),
        ({"tail": torch.tensor([math.log(0.3), math.nan])}, r"\[1\] = nan"),
        ({"tail": torch.tensor([0.3])}, "tail has shape"),
        ({"tail": None, "logprobs": torch.zeros(2, 2)}, "one at most"),
        ({"tau": 0.0}, "tau=0.0"),
    ],
)
def test_a_bad_cache_is_named(change: dict, words: str):
    SparseTeacher(**GOOD)
    with pytest.raises(ValueError, match=words):
        SparseTeacher(**(GOOD | change))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda z: top_k(z, 9, missing="tail"), "k=9 must lie from 1 to the vocabulary of 8"),
        (lambda z: top_k(z, 0, missing="tail"), "k=0"),
        (lambda z: top_p(z, 0.0, missing="tail"), "p=0.0"),
        (lambda z: top_p(z, 0.5, missing="tail", most=9), "k=9"),
        (lambda z: top_k(z, 2, missing="drop"), "missing='drop'"),
        (lambda z: kd_loss(z[:, :7], top_k(z, 2, missing="tail")), "student vocabulary 7"),
        (lambda z: kd_loss(z[:1], top_k(z, 2, missing="tail")), "teacher positions"),
        (lambda z: kd_loss(z, top_k(z, 2, missing="renormalise"), direction="reverse"), "keep the tail"),
    ],
)
def test_bad_settings_are_named(call, words: str):
    with pytest.raises(ValueError, match=words):
        call(logits(2, 8))
