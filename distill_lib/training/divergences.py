"""Divergences between teacher and student over the vocabulary, with analytic gradients, and the z-loss.

With p the teacher and q = softmax(z) the student, the gradients with respect to the logits z are

- KL(p || q), forward: q - p;
- KL(q || p), reverse: q (r - KL) with r = log q - log p;
- JSD_beta: (1 - beta) q (r - KL(q || m)) with r = log q - log m and m = beta p + (1 - beta) q.

A temperature divides z before and the gradient after. Written so, an excluded token (logit of minus infinity,
probability 0) gives a zero instead of infinity times zero, and no logarithm is kept for the backward pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lib.training.loss_checks import check_derivative

Direction = Literal["forward", "reverse", "jensen_shannon"]


def kl_divergence(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    tau: float = 1.0,
    direction: Literal["forward", "reverse"] = "forward",
) -> Tensor:
    """Kullback-Leibler divergence of student and teacher at each position, without the factor tau^2.

    Parameters
    ----------
    student_logits : Tensor
        Student logits [..., V].
    teacher_logits : Tensor
        Teacher logits [..., V]; a constant: no gradient flows to it.
    tau : float
        Temperature, above 0.
    direction : {"forward", "reverse"}
        KL(teacher || student) or KL(student || teacher).

    Returns
    -------
    Tensor
        Divergence [...], nats; infinite, as it truly is, where the second distribution excludes a token
        that the first one allows.

    Raises
    ------
    ValueError
        For a temperature out of range, an unknown direction or unequal shapes.
    """
    if direction not in ("forward", "reverse"):
        raise ValueError(f'direction={direction!r} must be "forward" or "reverse"')
    return divergence(student_logits, teacher_logits, tau=tau, direction=direction)


def jensen_shannon_divergence(
    student_logits: Tensor, teacher_logits: Tensor, *, beta: float = 0.5, tau: float = 1.0
) -> Tensor:
    """Generalised Jensen-Shannon divergence at each position, without the factor tau^2.

    ``JSD_beta = beta KL(p || m) + (1 - beta) KL(q || m)`` with the mixture ``m = beta p + (1 - beta) q`` of
    teacher p and student q: the weights of the two terms are those of the mixture, so the value is at most
    the entropy of the weights (ln 2 at one half). It vanishes as beta tends to 0 or 1, in proportion:
    ``JSD_beta / beta`` tends to the forward KL and ``JSD_beta / (1 - beta)`` to the reverse KL. Libraries
    that let beta = 0 and 1 stand for the two KLs therefore jump at both ends, by a factor of about
    1 / beta; here the ends are refused and the KLs have their own directions.

    Parameters
    ----------
    student_logits : Tensor
        Student logits [..., V].
    teacher_logits : Tensor
        Teacher logits [..., V]; a constant: no gradient flows to it.
    beta : float
        Weight of the teacher, strictly between 0 and 1.
    tau : float
        Temperature, above 0.

    Returns
    -------
    Tensor
        Divergence [...], nats; always finite.

    Raises
    ------
    ValueError
        For a temperature or weight out of range, or unequal shapes.
    """
    return divergence(student_logits, teacher_logits, tau=tau, direction="jensen_shannon", beta=beta)


def divergence(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    tau: float = 1.0,
    direction: Direction = "forward",
    beta: float = 0.5,
) -> Tensor:
    """Divergence of student and teacher at each position in a direction, without the factor tau^2.

    Parameters
    ----------
    student_logits : Tensor
        Student logits [..., V].
    teacher_logits : Tensor
        Teacher logits [..., V]; a constant: no gradient flows to it.
    tau : float
        Temperature, above 0.
    direction : {"forward", "reverse", "jensen_shannon"}
        As for :func:`kl_divergence` and :func:`jensen_shannon_divergence`.
    beta : float
        Weight of the teacher in the Jensen-Shannon mixture; the other directions do not read it.

    Returns
    -------
    Tensor
        Divergence [...], nats.

    Raises
    ------
    ValueError
        For a temperature or weight out of range, an unknown direction or unequal shapes.
    """
    check_settings(tau, direction, beta)
    check_shapes(student_logits, teacher_logits)
    dtype = working_dtype(student_logits, teacher_logits)
    return _Divergence.apply(student_logits.to(dtype), teacher_logits.to(dtype), tau, direction, beta)


class _Divergence(torch.autograd.Function):
    """Divergence over the last axis; its gradient is taken in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, student: Tensor, teacher: Tensor, tau: float, direction: Direction, beta: float
    ) -> Tensor:
        if tau != 1.0:
            student, teacher = student / tau, teacher / tau
        value, gradient = value_and_gradient(student, teacher, direction, beta)
        ctx.save_for_backward(gradient.div_(tau) if tau != 1.0 else gradient)
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None, None]:
        check_derivative()
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[..., None], None, None, None, None


def value_and_gradient(
    student: Tensor,
    teacher: Tensor,
    direction: Direction,
    beta: float = 0.5,
    exp: Callable[[Tensor], Tensor] = torch.exp,
) -> tuple[Tensor, Tensor]:
    """Divergence over the last axis and its gradient with respect to the student's logits.

    Parameters
    ----------
    student, teacher : Tensor
        Logits [..., V], already divided by the temperature; not changed.
    direction : {"forward", "reverse", "jensen_shannon"}
        Which divergence.
    beta : float
        Weight of the teacher in the Jensen-Shannon mixture.
    exp : callable
        How to take the exponentials.

    Returns
    -------
    tuple of Tensor
        Value [...] in nats, and gradient [..., V].
    """
    # Autocast would round the sums over the vocabulary to half precision.
    with torch.autocast(student.device.type, enabled=False):
        return _value_and_gradient(student, teacher, direction, beta, exp)


def _value_and_gradient(
    student: Tensor, teacher: Tensor, direction: Direction, beta: float, exp: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    log_q, log_p = torch.log_softmax(student, dim=-1), torch.log_softmax(teacher, dim=-1)
    if direction == "forward":
        p = exp(log_p)
        value = torch.linalg.vecdot(p, _true_differences_(log_p.sub_(log_q)))
        gradient = exp(log_q).sub_(p)
        # The sum of q - p is zero but for what rounding the normalisers put into the value as well; it is NaN
        # where there is no distribution.
        return value.add_(gradient.sum(-1)), gradient
    # The largest logit tells a row without a distribution: NaN, plus infinity, or minus infinity throughout.
    known = (student.amax(-1) + teacher.amax(-1)).isfinite()
    if direction == "reverse":
        p, q = exp(log_p), exp(log_q)
        ratio = _true_differences_(log_q.sub_(log_p))
        value = torch.linalg.vecdot(q, ratio).add_(p.sub_(q).sum(-1))
        gradient = _centred_(ratio, q, student).mul_(q)
    else:
        # log(q / m) = -log(1 - beta) - softplus(u), log(p / m) = -log(beta) - softplus(-u): no difference of
        # large logarithms, which at a low temperature would be all rounding.
        p, q = exp(log_p), exp(log_q)
        u = log_p.sub_(log_q).add_(math.log(beta) - math.log1p(-beta))
        to_p = _true_differences_(F.softplus(-u).neg_().sub_(math.log(beta)))
        to_q = _true_differences_(F.softplus(u).neg_().sub_(math.log1p(-beta)))
        value = beta * torch.linalg.vecdot(p, to_p) + (1.0 - beta) * torch.linalg.vecdot(q, to_q)
        gradient = _centred_(to_q, q, student).mul_(q).mul_(1.0 - beta)
    return value.masked_fill_(~known, torch.nan), gradient


def _true_differences_(difference: Tensor) -> Tensor:
    """Make 0 of what stands beside a weight of 0: 0 times -inf or 0 times NaN is 0; +inf is a true one."""
    return difference.nan_to_num_(nan=0.0, neginf=0.0, posinf=torch.inf)


def _centred_(ratio: Tensor, q: Tensor, student: Tensor) -> Tensor:
    """Subtract the mean over q from the log ratio, by way of the ratio at the likeliest token.

    For a student that is nearly certain, mean and ratio at that token are nearly equal, and their difference
    directly taken would be all rounding; measured from that token, the mean is a sum of small terms.
    """
    ratio.sub_(ratio.gather(-1, student.argmax(-1, keepdim=True)))
    return ratio.sub_(torch.linalg.vecdot(q, ratio)[..., None])


@dataclass(frozen=True)
class Decomposition:
    """Cross-entropy with the teacher = entropy of the teacher + KL(teacher || student), all at one temperature.

    Attributes
    ----------
    teacher_entropy : Tensor
        Entropy of the teacher's distribution, nats: what no student can take away.
    cross_entropy : Tensor
        Cross-entropy with the teacher (the paper's L_KD without tau^2), nats.
    kl : Tensor
        KL(teacher || student), nats: what is left to learn.
    """

    teacher_entropy: Tensor
    cross_entropy: Tensor
    kl: Tensor


@torch.no_grad()
def decompose(student_logits: Tensor, teacher_logits: Tensor, *, tau: float = 1.0) -> Decomposition:
    """Split the cross-entropy with the teacher at each position; for reports, without gradients.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor
        Logits [..., V].
    tau : float
        Temperature, above 0.

    Returns
    -------
    Decomposition
        Three tensors [...].

    Raises
    ------
    ValueError
        For a temperature out of range or unequal shapes.
    """
    kl = divergence(student_logits, teacher_logits, tau=tau)
    log_p = torch.log_softmax(teacher_logits.to(kl.dtype) / tau, dim=-1)
    entropy = -(log_p.exp() * log_p.clamp(min=torch.finfo(kl.dtype).min)).sum(-1)
    return Decomposition(teacher_entropy=entropy, cross_entropy=entropy + kl, kl=kl)


def z_loss(logits: Tensor) -> Tensor:
    """Square of the logarithm of the softmax's normaliser at each position (the paper's L_Z).

    Parameters
    ----------
    logits : Tensor
        Logits [..., V].

    Returns
    -------
    Tensor
        Penalty [...]; it keeps logits from drifting and is zero for normalised ones.
    """
    return torch.logsumexp(logits.to(working_dtype(logits)), dim=-1).square()


def check_settings(tau: float, direction: str = "forward", beta: float = 0.5) -> None:
    """Refuse settings out of range.

    Parameters
    ----------
    tau : float
        Temperature.
    direction : str
        Which divergence.
    beta : float
        Weight of the teacher, read for Jensen-Shannon only.

    Raises
    ------
    ValueError
        Naming the argument, the value and the valid range.
    """
    if not 0.0 < tau < math.inf:
        raise ValueError(f"tau={tau} must be above 0, and finite")
    if direction not in ("forward", "reverse", "jensen_shannon"):
        raise ValueError(f'direction={direction!r} must be "forward", "reverse" or "jensen_shannon"')
    if direction == "jensen_shannon" and not 0.0 < beta < 1.0:
        raise ValueError(
            f"beta={beta} must lie strictly between 0 and 1: at the ends the Jensen-Shannon divergence is zero "
            'for every student; take direction="forward" or "reverse" for the KL divergences'
        )


def check_shapes(student_logits: Tensor, teacher_logits: Tensor) -> None:
    """Refuse logits that do not belong together.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor
        Logits [..., V].

    Raises
    ------
    ValueError
        For unequal vocabularies or shapes.
    """
    if student_logits.shape[-1] != teacher_logits.shape[-1]:
        raise ValueError(
            f"student vocabulary {student_logits.shape[-1]}, teacher vocabulary {teacher_logits.shape[-1]}: "
            "both must be the same; if the larger one is padded, cut the padding off (logits[..., :vocab_size]); "
            "models of different tokens cannot be compared"
        )
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student logits {list(student_logits.shape)}, teacher logits {list(teacher_logits.shape)}: "
            "expected the same shape"
        )


def working_dtype(*logits: Tensor) -> torch.dtype:
    """Choose the precision to work in: float32 at least.

    Parameters
    ----------
    *logits : Tensor
        What is worked on.

    Returns
    -------
    torch.dtype
        Float32 or float64: a softmax in bfloat16 misses a small divergence by a factor.
    """
    dtype = torch.float32
    for each in logits:
        dtype = torch.promote_types(dtype, each.dtype)
    return dtype
