"""A small problem, the right loss, and the mistakes that a checker knows, to compare a reader's loss with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[..., Any]

B, S, V = 2, 3, 5  # unequal, so that a factor tells which axis it comes from
TOLERANCE = 1e-6


def probe() -> tuple[Tensor, Tensor, Tensor]:
    """Logits and labels without any symmetry that a mistake could hide behind."""
    import torch

    random = torch.Generator().manual_seed(11)
    student, teacher = (1.5 * torch.randn(B, S, V, generator=random, dtype=torch.float64) for _ in range(2))
    return student, teacher, torch.tensor([[4, 0, 3], [1, 2, 0]])


def right_loss(student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float, lam: float) -> Tensor:
    from distill_lib.training.losses import kd_loss

    return kd_loss(student, teacher, labels, tau=tau, lam=lam)


def _reverse(student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float, lam: float) -> Tensor:
    from distill_lib.training.losses import kd_loss

    return kd_loss(student, teacher, labels, tau=tau, lam=lam, direction="reverse")


def _jensen_shannon(student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float, lam: float) -> Tensor:
    from distill_lib.training.losses import kd_loss

    return kd_loss(student, teacher, labels, tau=tau, lam=lam, direction="jensen_shannon")


def _top_token(student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float, lam: float) -> Tensor:
    return right_loss(student, teacher, teacher.argmax(-1), tau=tau, lam=0.0)


def _regression(student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float, lam: float) -> Tensor:
    return (student - teacher).square().mean()


def _shifted_twice(student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float, lam: float) -> Tensor:
    return right_loss(student[:, :-1], teacher[:, :-1], labels[:, 1:], tau=tau, lam=0.0)


def _shifted_back(student: Tensor, teacher: Tensor, labels: Tensor, *, tau: float, lam: float) -> Tensor:
    return right_loss(student[:, 1:], teacher[:, 1:], labels[:, :-1], tau=tau, lam=0.0)


OTHER_DIRECTIONS: dict[str, Loss] = {
    "this is KL(student || teacher), the reverse direction: kl_div takes the student's log-probabilities first": _reverse,
    "this is a Jensen-Shannon divergence, not KL(teacher || student)": _jensen_shannon,
    "only the teacher's likeliest token enters: use its whole distribution": _top_token,
    "this is a regression on logits, not a divergence of distributions": _regression,
}
OTHER_LABELS: dict[str, Loss] = {
    "labels are shifted twice: they are the next tokens already": _shifted_twice,
    "labels are shifted backwards: they belong to the position at which they stand": _shifted_back,
}


def gradient_of(
    loss: Loss, student: Tensor, teacher: Tensor, labels: Tensor, tau: float, lam: float
) -> Tensor:
    import torch

    leaf = student.detach().clone().requires_grad_()
    value = loss(leaf, teacher.detach(), labels, tau=tau, lam=lam)
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    value.backward()
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def entropy(logits: Tensor) -> float:
    log_p = logits.log_softmax(-1)
    return float(-(log_p.exp() * log_p).sum(-1).mean())


def close(found: Tensor, right: Tensor) -> bool:
    return bool((found - right).norm() <= TOLERANCE * (1e-12 + right.norm()))


def factor_between(found: Tensor, right: Tensor) -> float | None:
    """Factor between two gradients, or None if they do not lie along each other."""
    factor = float((found * right).sum() / right.square().sum())
    return factor if factor != 0.0 and close(found, factor * right) else None


def in_words(factor: float, known: dict[float, str]) -> str:
    size = f"{factor:g} times too large" if abs(factor) > 1.0 else f"{1.0 / factor:g} times too small"
    hint = next((text for value, text in known.items() if abs(factor / value - 1.0) < TOLERANCE), None)
    if factor < 0.0:
        size = "turned round" if abs(factor + 1.0) < TOLERANCE else f"{factor:g} times the right one"
    return size if hint is None else f"{size}; {hint}"


def raised(error: Exception) -> str:
    return f"it raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
