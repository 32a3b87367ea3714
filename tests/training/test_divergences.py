"""Directions, decomposition, z-loss: against slow sums, limits, and bad input by name."""

from __future__ import annotations

import math

import pytest
import torch

from distill_lib.training.divergences import (
    decompose,
    divergence,
    jensen_shannon_divergence,
    kl_divergence,
    z_loss,
)
from distill_lib.training.losses import kd_loss, loss_parts, next_token_loss

INF = float("inf")
DIRECTIONS = ["forward", "reverse", "jensen_shannon"]


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_jsd(z_s: list[float], z_t: list[float], beta: float, tau: float) -> float:
    """The definition, term by term: beta KL(p||m) + (1 - beta) KL(q||m), m = beta p + (1 - beta) q."""

    def softmax(row: list[float]) -> list[float]:
        weights = [math.exp(z / tau) for z in row]
        return [weight / sum(weights) for weight in weights]

    p, q = softmax(z_t), softmax(z_s)
    m = [beta * a + (1 - beta) * b for a, b in zip(p, q, strict=True)]
    to_p = sum(a * math.log(a / c) for a, c in zip(p, m, strict=True))
    to_q = sum(b * math.log(b / c) for b, c in zip(q, m, strict=True))
    return beta * to_p + (1 - beta) * to_q


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("tau", [0.5, 1.0, 3.0])
def test_jensen_shannon_equals_the_hand_written_sum(beta: float, tau: float):
    student, teacher = [[0.2, -1.0, 2.5], [1.5, 0.0, -0.7]], [[1.0, 0.3, -0.4], [-2.0, 0.6, 0.6]]
    value = jensen_shannon_divergence(
        torch.tensor(student, dtype=torch.float64),
        torch.tensor(teacher, dtype=torch.float64),
        beta=beta,
        tau=tau,
    )
    expected = [slow_jsd(z_s, z_t, beta, tau) for z_s, z_t in zip(student, teacher, strict=True)]
    assert value.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("tau", [0.7, 1.0, 3.0])
def test_jensen_shannon_gradient_equals_finite_differences(beta: float, tau: float):
    student, teacher = logits(2, 3, 5).requires_grad_(), logits(2, 3, 5, seed=1)
    assert torch.autograd.gradcheck(
        lambda z: jensen_shannon_divergence(z, teacher, beta=beta, tau=tau), (student,)
    )


def test_jensen_shannon_is_symmetric_at_one_half_and_swaps_with_its_weight():
    z, other = logits(8, 6), logits(8, 6, seed=1)
    for beta in (0.5, 0.2):
        torch.testing.assert_close(
            jensen_shannon_divergence(z, other, beta=beta), jensen_shannon_divergence(other, z, beta=1 - beta)
        )


def test_jensen_shannon_vanishes_at_both_ends_in_proportion_to_the_kl_divergences():
    # Hence the jump in libraries that let the ends stand for the divergences themselves.
    student, teacher = logits(8, 6), logits(8, 6, seed=1)
    forward, reverse = (kl_divergence(student, teacher, direction=d) for d in DIRECTIONS[:2])
    low = jensen_shannon_divergence(student, teacher, beta=1e-6)
    high = jensen_shannon_divergence(student, teacher, beta=1 - 1e-6)
    torch.testing.assert_close(low / 1e-6, forward, rtol=1e-3, atol=0)
    torch.testing.assert_close(high / 1e-6, reverse, rtol=1e-3, atol=0)
    assert (low < 1e-4 * forward).all()


def test_jensen_shannon_of_models_that_share_no_token_is_the_entropy_of_the_weights():
    student, teacher = torch.tensor([[0.0, -INF, 1.0, -INF]]), torch.tensor([[-INF, 0.5, -INF, -INF]])
    value = jensen_shannon_divergence(student.requires_grad_(), teacher, beta=0.25)
    value.sum().backward()
    assert value.item() == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), rel=1e-6)
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("tau", [0.05, 1.0, 20.0])
def test_zero_for_identical_models_and_positive_otherwise(direction: str, tau: float):
    z = logits(16, 11).requires_grad_()
    for same in (z.detach().clone(), z.detach() + 3.0):
        loss = kd_loss(z, same, tau=tau, direction=direction)
        (gradient,) = torch.autograd.grad(loss, z)
        assert loss.item() == pytest.approx(0.0, abs=1e-9)
        assert gradient.abs().max() < 1e-9
    assert (divergence(z, logits(16, 11, seed=1), tau=tau, direction=direction) > 0).all()


@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0])
def test_the_decomposition_adds_up_to_the_papers_cross_entropy(tau: float):
    student, teacher = logits(9, 7), logits(9, 7, seed=1)
    p, log_q = torch.softmax(teacher / tau, -1), torch.log_softmax(student / tau, -1)
    split = decompose(student, teacher, tau=tau)
    torch.testing.assert_close(split.teacher_entropy, -(p * p.log()).sum(-1))
    torch.testing.assert_close(split.cross_entropy, -(p * log_q).sum(-1))
    torch.testing.assert_close(split.kl, kl_divergence(student, teacher, tau=tau))


def test_the_decomposition_with_excluded_tokens_and_a_certain_teacher():
    teacher = torch.tensor([[0.0, -INF, -INF], [1.0, 1.0, -INF]])
    split = decompose(torch.tensor([[0.0, 0.0, -INF], [1.0, 1.0, -INF]]), teacher)
    assert split.teacher_entropy.tolist() == pytest.approx([0.0, math.log(2)])
    assert split.kl.tolist() == pytest.approx([math.log(2), 0.0])


def test_z_loss_is_the_squared_normaliser_and_joins_the_distillation_loss():
    student, teacher = logits(6, 7).requires_grad_(), logits(6, 7, seed=1)
    expected = [math.log(sum(math.exp(z) for z in row)) ** 2 for row in student.tolist()]
    assert z_loss(student).tolist() == pytest.approx(expected, rel=1e-12)
    plain, both = kd_loss(student, teacher), kd_loss(student, teacher, lam_z=0.1)
    assert (both - plain).item() == pytest.approx(0.1 * sum(expected) / 6, rel=1e-10)
    assert torch.autograd.gradcheck(lambda z: kd_loss(z, teacher, lam_z=0.3), (student,))
    assert z_loss(torch.log_softmax(student, -1)).abs().max() < 1e-24


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_parts_make_the_loss(direction: str):
    student, teacher = logits(2, 4, 7), logits(2, 4, 7, seed=1)
    labels = torch.tensor([[1, -100, 6, 0], [2, 2, -100, 3]])
    setting = {"tau": 2.0, "direction": direction, "beta": 0.3}
    parts = loss_parts(student, teacher, labels, **setting)
    loss = kd_loss(student, teacher, labels, lam=0.7, lam_z=0.01, **setting)
    made = 0.3 * parts.next_token + 0.7 * 4.0 * parts.divergence + 0.01 * parts.z
    assert made.item() == pytest.approx(loss.item(), rel=1e-12)
    assert parts.next_token.item() == pytest.approx(next_token_loss(student, labels).item())
    assert parts.cross_entropy.item() == pytest.approx((parts.teacher_entropy + parts.kl).item())


def test_parts_without_labels_or_without_any_position():
    student, teacher = logits(2, 3), logits(2, 3, seed=1)
    assert loss_parts(student, teacher).next_token is None
    nothing = loss_parts(student, teacher, torch.tensor([-100, -100]))
    assert all(float(part) == 0.0 for part in vars(nothing).values())


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_ignored_positions_and_empty_batches(direction: str):
    student, teacher = logits(2, 3, 5), logits(2, 3, 5, seed=1)
    labels = torch.tensor([[1, -100, 0], [-100, 3, 4]])
    student[labels == -100] = math.nan
    student.requires_grad_()
    setting = {"lam": 0.5, "lam_z": 0.1, "direction": direction}
    kept = labels != -100
    loss = kd_loss(student, teacher, labels, **setting)
    assert loss.item() == pytest.approx(kd_loss(student[kept], teacher[kept], labels[kept], **setting).item())
    (gradient,) = torch.autograd.grad(loss, student)
    assert torch.isfinite(gradient).all()
    nothing = kd_loss(student, teacher, torch.full((2, 3), -100), **setting)
    (gradient,) = torch.autograd.grad(nothing, student)
    assert nothing.item() == 0.0
    assert (gradient == 0).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_a_padded_vocabulary_changes_neither_value_nor_gradient(tau: float, direction: str):
    plain, teacher, pad = logits(3, 4).requires_grad_(), logits(3, 4, seed=1), torch.full((3, 2), -INF)
    padded = torch.cat([plain.detach(), pad.double()], -1).requires_grad_()
    setting = {"tau": tau, "direction": direction, "lam_z": 0.1}
    expected = kd_loss(plain, teacher, **setting)
    loss = kd_loss(padded, torch.cat([teacher, pad.double()], -1), **setting)
    expected.backward()
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(padded.grad[:, :4], plain.grad)
    assert (padded.grad[:, 4:] == 0).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("value", [math.nan, INF])
@pytest.mark.parametrize("side", ["student", "teacher"])
def test_logits_that_are_no_numbers_are_named_by_their_position(side: str, value: float, direction: str):
    given = {"student_logits": logits(2, 3, 4), "teacher_logits": logits(2, 3, 4, seed=1)}
    given[f"{side}_logits"][1, 2, 3] = value
    with pytest.raises(ValueError, match=rf"{side}_logits\[1, 2, 3\] = (nan|inf)"):
        kd_loss(**given, direction=direction)
    assert math.isnan(kd_loss(**given, direction=direction, check=False).item())
    # Elsewhere than at a kept position, it does not matter.
    labels = torch.zeros(2, 3, dtype=torch.long)
    labels[1, 2] = -100
    assert math.isfinite(kd_loss(**given, labels=labels, direction=direction).item())


def test_a_row_that_allows_no_token_is_named():
    student = logits(3, 4)
    student[1] = -INF
    with pytest.raises(ValueError, match=r"student_logits\[1, 0\] = -inf"):
        kd_loss(student, logits(3, 4, seed=1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tau": INF}, "tau=inf"),
        ({"lam_z": -1.0}, "lam_z=-1.0"),
        ({"lam_z": math.nan}, "lam_z=nan"),
        ({"direction": "jensen_shannon", "beta": 0.0}, "beta=0.0 must lie strictly"),
        ({"direction": "jensen_shannon", "beta": 1.0}, "beta=1.0 must lie strictly"),
        ({"direction": "symmetric"}, "jensen_shannon"),
    ],
)
def test_bad_settings_are_named(options: dict, words: str):
    with pytest.raises(ValueError, match=words):
        kd_loss(torch.zeros(2, 4), torch.zeros(2, 4), **options)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_autocast_does_not_round_the_value(direction: str):
    student, teacher = logits(64, 500).float(), logits(64, 500, seed=1).float()
    expected = kd_loss(student, teacher, direction=direction, tau=2.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = kd_loss(student, teacher, direction=direction, tau=2.0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize(("apart", "tau"), [(1e-3, 1.0), (1.0, 100.0)])
def test_models_that_nearly_agree_are_measured_and_not_their_rounding(
    direction: str, apart: float, tau: float
):
    random = torch.Generator().manual_seed(0)
    teacher = 2.0 * torch.randn(16, 32000, generator=random)
    student = teacher + apart * torch.randn(16, 32000, generator=random)
    found = divergence(student, teacher, tau=tau, direction=direction)
    exact = divergence(student.double(), teacher.double(), tau=tau, direction=direction)
    torch.testing.assert_close(found.double(), exact, rtol=0.02, atol=0.0)
