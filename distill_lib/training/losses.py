"""Losses of distillation, with the traps of the known libraries closed.

Every value is really the divergence it is named after: zero for identical models, in nats per token. The
paper writes the distillation loss as the cross-entropy with the teacher (its L_KD), which differs from the KL
divergence by the teacher's entropy: a constant for the student, so both have the same gradient.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    tau: float = 1.0,
    lam: float = 1.0,
    direction: Literal["forward", "reverse"] = "forward",
    ignore_index: int = -100,
) -> Tensor:
    """Mix distillation and next-token loss: (1 - lam) CE + lam tau^2 KL at temperature tau.

    The factor tau^2 keeps the gradients of both terms comparable (Hinton et al., 2015; the paper's L_KD). The
    mean is over the tokens that are not ignored. No gradient flows to the teacher.

    Parameters
    ----------
    student_logits : Tensor
        Student logits [..., V].
    teacher_logits : Tensor
        Teacher logits [..., V]; entries of minus infinity (padded vocabulary) have probability zero.
    labels : Tensor or None
        Next tokens [...], integers; positions with `ignore_index` count nowhere. May be left out when
        ``lam=1`` and nothing is to be ignored.
    tau : float
        Temperature, above 0.
    lam : float
        Share of the distillation term, in [0, 1] (the paper's lambda).
    direction : {"forward", "reverse"}
        KL(teacher || student), as in the paper, or KL(student || teacher).
    ignore_index : int
        Label of the positions to leave out.

    Returns
    -------
    Tensor
        Scalar, nats per token; zero when every position is ignored.

    Raises
    ------
    ValueError
        For a temperature or share out of range, unequal vocabularies or shapes, or missing labels.
    """
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam={lam} must lie in [0, 1]: the share of the distillation term")
    _check_logits(student_logits, teacher_logits, tau)
    if labels is None:
        if lam < 1.0:
            raise ValueError(f"lam={lam} mixes in the next-token loss, which needs labels")
    else:
        if labels.shape != student_logits.shape[:-1]:
            raise ValueError(
                f"labels have shape {list(labels.shape)}, the logits {list(student_logits.shape)}: "
                f"expected labels {list(student_logits.shape[:-1])}"
            )
        # Rows are dropped before any arithmetic: a mask times NaN would still be NaN.
        kept = labels != ignore_index
        if not kept.all():
            student_logits, teacher_logits, labels = student_logits[kept], teacher_logits[kept], labels[kept]
    if student_logits.shape[:-1].numel() == 0:
        return student_logits.sum()

    loss = student_logits.new_zeros((), dtype=_working_dtype(student_logits))
    if lam > 0.0:
        divergence = kl_divergence(student_logits, teacher_logits, tau=tau, direction=direction)
        loss = loss + lam * tau**2 * divergence.mean()
    if lam < 1.0 and labels is not None:
        loss = loss + (1.0 - lam) * next_token_loss(student_logits, labels)
    return loss


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
    _check_logits(student_logits, teacher_logits, tau)
    if direction not in ("forward", "reverse"):
        raise ValueError(f'direction={direction!r} must be "forward" or "reverse"')
    dtype = _working_dtype(student_logits, teacher_logits)
    return _Divergence.apply(student_logits.to(dtype), teacher_logits.to(dtype), tau, direction)


class _Divergence(torch.autograd.Function):
    """KL divergence over the last axis with its analytic gradient, taken in the forward pass.

    With q = softmax(z / tau) the student and p the teacher, the gradients with respect to z are
    (q - p) / tau for KL(p || q), and q (log q - log p - KL) / tau for KL(q || p). Written so, an excluded
    token (probability 0, logit of minus infinity) gives a zero instead of infinity times zero, and neither
    logarithm is kept for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, tau: float, direction: str) -> Tensor:
        log_q = torch.log_softmax(student / tau if tau != 1.0 else student, dim=-1)
        log_p = torch.log_softmax(teacher / tau if tau != 1.0 else teacher, dim=-1)
        weight = (log_p if direction == "forward" else log_q).exp()
        difference = log_p.sub_(log_q) if direction == "forward" else log_q - log_p
        # Where the weight is 0 the term is 0, not 0 times -inf or 0 times NaN; +inf is a true one.
        difference.nan_to_num_(nan=0.0, neginf=0.0, posinf=torch.inf)
        divergence = torch.linalg.vecdot(weight, difference)
        divergence.masked_fill_((student.sum(-1) + teacher.sum(-1)).isnan(), torch.nan)  # NaN in, NaN out
        if direction == "forward":
            gradient = log_q.exp_().sub_(weight)
        else:
            gradient = difference.sub_(divergence[..., None]).mul_(weight)
        ctx.save_for_backward(gradient.div_(tau) if tau != 1.0 else gradient)
        return divergence

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[..., None], None, None, None


def next_token_loss(logits: Tensor, labels: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Mean cross-entropy of the next token (the paper's L_NTP), in float32 or better.

    Parameters
    ----------
    logits : Tensor
        Logits [..., V].
    labels : Tensor
        Next tokens [...], integers.
    ignore_index : int
        Label of the positions to leave out.

    Returns
    -------
    Tensor
        Scalar, nats per token; zero when every position is ignored.
    """
    labels = labels.reshape(-1)
    flat = logits.reshape(-1, logits.shape[-1]).to(_working_dtype(logits))
    total = F.cross_entropy(flat, labels, ignore_index=ignore_index, reduction="sum")
    return total / (labels != ignore_index).sum().clamp(min=1)


def _check_logits(student_logits: Tensor, teacher_logits: Tensor, tau: float) -> None:
    if not tau > 0.0:
        raise ValueError(f"tau={tau} must be above 0")
    if student_logits.shape[-1] != teacher_logits.shape[-1]:
        raise ValueError(
            f"student vocabulary {student_logits.shape[-1]}, teacher vocabulary {teacher_logits.shape[-1]}: "
            "both must be the same; pad the smaller one with logits of minus infinity"
        )
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student logits {list(student_logits.shape)}, teacher logits {list(teacher_logits.shape)}: "
            "expected the same shape"
        )


def _working_dtype(*logits: Tensor) -> torch.dtype:
    """Float32 at least: softmax in bfloat16 misses a small divergence by a factor."""
    dtype = torch.float32
    for each in logits:
        dtype = torch.promote_types(dtype, each.dtype)
    return dtype
