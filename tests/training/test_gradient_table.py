"""Every loss's value and gradient against one reference in float64, written with autograd alone.

The reference shares no code with the library: it lumps probabilities, mixes and sums as the definitions say.
Its inputs are the very numbers that the loss is given (bfloat16 logits are exact in float64), so what is
bounded is the error of the loss. The bounds: float32 1e-5 relative to the gradient's norm; with inputs in
bfloat16 the gradient itself is returned in bfloat16, half a unit in the last place of 8 bits (2^-9), and the
fused head rounds the logits' gradient once more before its products.
"""

from __future__ import annotations

import itertools

import pytest
import torch

from distill_lib.training.losses import fused_kd_loss, kd_loss
from distill_lib.training.sparse_teachers import SparseTeacher, top_k

BETA, V, K, N, WIDTH = 0.3, 97, 8, 24, 16
FORMS = ["full", "top-k", "tail", "fused", "fused top-k", "fused tail"]
TAUS = [0.05, 1.0, 4.0]
DIRECTIONS = ["forward", "reverse", "jensen_shannon"]
DTYPES = [torch.float32, torch.bfloat16]
CASES = [
    case
    for case in itertools.product(FORMS, DIRECTIONS, TAUS, DTYPES)
    if not ("top-k" in case[0] and case[1] == "reverse")  # refused: infinite
]
BOUNDS = {torch.float32: 1e-5, torch.bfloat16: 3e-3}
FUSED_BFLOAT16 = 5e-3


def reference(student: torch.Tensor, log_p: torch.Tensor, tau: float, direction: str) -> torch.Tensor:
    """The mean of tau^2 D(p, q); both are given with probability over the same tokens, q by its logits."""
    log_q = student.log_softmax(-1)
    p, q = log_p.exp(), log_q.exp()
    allowed = p > 0
    if direction == "forward":
        terms = torch.where(allowed, p * (log_p.where(allowed, log_q.detach()) - log_q), 0.0)
    elif direction == "reverse":
        terms = q * (log_q - log_p)
    else:
        log_m = (BETA * p + (1 - BETA) * q).log()
        terms = BETA * torch.where(allowed, p * (log_p.where(allowed, log_m.detach()) - log_m), 0.0)
        terms = terms + (1 - BETA) * q * (log_q - log_m)
    return tau**2 * terms.sum(-1).mean()


def inputs(dtype: torch.dtype):
    """Hidden states and heads whose logits have a spread of about two nats."""
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype)

    return draw(N, WIDTH), 0.5 * draw(V, WIDTH), draw(N, WIDTH), 0.5 * draw(V, WIDTH)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found.double() - expected).norm() / expected.norm()).item()


def measure(form: str, direction: str, tau: float, dtype: torch.dtype) -> tuple[float, float]:
    """Return the relative errors of the value and of the gradient (of the worse input)."""
    hidden, head, teacher_hidden, teacher_head = inputs(dtype)
    teacher_logits = teacher_hidden @ teacher_head.T
    sparse = None
    if "top-k" in form or "tail" in form:
        sparse = top_k(teacher_logits, K, missing="tail" if "tail" in form else "renormalise", tau=tau)
        sparse = SparseTeacher(sparse.ids, sparse.logprobs, V, sparse.tail, tau)  # as read from a cache

    setting = {"tau": tau, "direction": direction, "beta": BETA}
    if "fused" in form:
        trained = [hidden.requires_grad_(), head.requires_grad_()]
        loss = fused_kd_loss(hidden, head, sparse or (teacher_hidden, teacher_head), chunk=10, **setting)
    else:
        trained = [(hidden @ head.T).requires_grad_()]
        loss = kd_loss(trained[0], sparse or teacher_logits, **setting)
    found = torch.autograd.grad(loss, trained)

    exact = [each.detach().double().requires_grad_() for each in trained]
    student = (exact[0] @ exact[1].T if "fused" in form else exact[0]) / tau
    if "fused" in form and dtype != torch.float32:
        # The head rounds its logits to its own precision; the reference starts from the same ones.
        student = student + ((hidden @ head.T).detach().double() / tau - student.detach())
    if "fused" in form and sparse is None and dtype == torch.float32:
        log_p = (teacher_hidden.double() @ teacher_head.double().T / tau).log_softmax(-1)
    else:
        log_p = (teacher_logits.double() / tau).log_softmax(-1)
    if sparse is not None:
        ids = log_p.topk(K).indices
        kept = log_p.gather(-1, ids)
        others = student.scatter(-1, ids, -torch.inf).logsumexp(-1, keepdim=True)
        student = torch.cat([student.gather(-1, ids), others], -1)
        tail = log_p.scatter(-1, ids, -torch.inf).logsumexp(-1, keepdim=True)
        if "top-k" in form:
            kept, tail = kept.log_softmax(-1), torch.full_like(tail, -torch.inf)
        log_p = torch.cat([kept, tail], -1)
    expected_loss = reference(student, log_p, tau, direction)
    expected = torch.autograd.grad(expected_loss, exact)
    errors = [relative_error(one, other) for one, other in zip(found, expected, strict=True)]
    return abs(loss.item() / expected_loss.item() - 1.0), max(errors)


@pytest.mark.parametrize(("form", "direction", "tau", "dtype"), CASES, ids=str)
def test_value_and_gradient_are_those_in_float64(form: str, direction: str, tau: float, dtype: torch.dtype):
    value, gradient = measure(form, direction, tau, dtype)
    bound = FUSED_BFLOAT16 if dtype == torch.bfloat16 and "fused" in form else BOUNDS[dtype]
    assert value <= 1e-5
    assert gradient <= bound


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("form", ["full", "top-k", "tail"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_finite_where_others_are_not(tau: float, direction: str, form: str, dtype: torch.dtype):
    if (form, direction) == ("top-k", "reverse"):
        return
    hidden, head, teacher_hidden, teacher_head = inputs(dtype)
    student, teacher = 30.0 * (hidden @ head.T), 30.0 * (teacher_hidden @ teacher_head.T)
    student[:, -9:] = teacher[:, -9:] = -torch.inf
    student.requires_grad_()
    given = teacher
    if form != "full":
        given = top_k(teacher, K, missing="tail" if form == "tail" else "renormalise", tau=tau)
    for labels in (torch.zeros(N, dtype=torch.long), torch.full((N,), -100)):
        loss = kd_loss(student, given, labels, tau=tau, lam=0.5, lam_z=1e-4, direction=direction, beta=BETA)
        (gradient,) = torch.autograd.grad(loss, student)
        # A tail below the least float is a true exclusion: then the reverse divergence is infinite, alone.
        assert torch.isfinite(loss) or (form, direction) == ("tail", "reverse")
        assert torch.isfinite(gradient).all() or not torch.isfinite(loss)
        assert (gradient[:, -9:] == 0).all() or not torch.isfinite(loss)
    assert loss.item() == 0.0
