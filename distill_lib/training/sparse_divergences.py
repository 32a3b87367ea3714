"""The divergence of a student and a teacher of which only the likeliest tokens are known.

It is the dense divergence on a small vocabulary of k + 1 tokens: the kept ones, and "any other", where the
student's logit is the log-sum-exp of its logits outside the kept tokens.
"""

import math
from typing import Any

import torch
from torch import Tensor

from distill_lib.training.divergences import Direction, check_settings, value_and_gradient, working_dtype
from distill_lib.training.loss_checks import check_derivative
from distill_lib.training.sparse_teachers import SparseTeacher, true_ids


def sparse_divergence(
    student_logits: Tensor,
    teacher: SparseTeacher,
    *,
    tau: float = 1.0,
    direction: Direction = "forward",
    beta: float = 0.5,
) -> Tensor:
    """Divergence of a student and a sparse teacher at each position, without the factor tau^2.

    Parameters
    ----------
    student_logits : Tensor
        Student logits [..., V].
    teacher : SparseTeacher
        The teacher at the same positions; a constant.
    tau : float
        Temperature, above 0; with a tail bucket the one that the teacher was taken at.
    direction : {"forward", "reverse", "jensen_shannon"}
        As for :func:`~distill_lib.training.divergences.divergence`.
    beta : float
        Weight of the teacher in the Jensen-Shannon mixture.

    Returns
    -------
    Tensor
        Divergence [...], nats: zero for the student whose kept tokens have the teacher's probabilities and
        whose others together have the tail (none, when renormalised).

    Raises
    ------
    ValueError
        For settings out of range, another vocabulary or shape, another temperature of the tail, or the
        reverse direction without a tail.
    """
    check_settings(tau, direction, beta)
    check_sparse(student_logits.shape, teacher, direction)
    student = student_logits.to(working_dtype(student_logits))
    coarse = teacher.coarse_logits(tau).to(student.dtype)
    return _SparseDivergence.apply(student, coarse, true_ids(teacher), tau, direction, beta)


class _SparseDivergence(torch.autograd.Function):
    """The dense divergence on the kept tokens and one for all others; gradient taken in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, student: Tensor, coarse: Tensor, ids: Tensor, tau: float, direction: Direction, beta: float
    ) -> Tensor:
        gradient = student / tau
        value = sparse_value_and_gradient_(gradient, coarse, ids, direction, beta)
        ctx.save_for_backward(gradient.div_(tau) if tau != 1.0 else gradient)
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        check_derivative()
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[..., None], None, None, None, None, None


def sparse_value_and_gradient_(
    student: Tensor, coarse: Tensor, ids: Tensor, direction: Direction, beta: float = 0.5
) -> Tensor:
    """Divergence from a sparse teacher; the gradient takes the place of the student's logits.

    Parameters
    ----------
    student : Tensor
        Logits [..., V], already divided by the temperature; overwritten by the gradient with respect to them.
    coarse : Tensor
        The teacher's logits on the small vocabulary [..., k + 1], as `SparseTeacher.coarse_logits` gives.
    ids : Tensor
        Kept tokens [..., k], those of unused slots equal to the first.
    direction : {"forward", "reverse", "jensen_shannon"}
        Which divergence.
    beta : float
        Weight of the teacher in the Jensen-Shannon mixture.

    Returns
    -------
    Tensor
        Divergence [...], nats.
    """
    known = student.amax(-1).isfinite()
    head = student.gather(-1, ids).masked_fill_(coarse[..., :-1] == -math.inf, -math.inf)
    others = student.scatter_(-1, ids, -math.inf)
    peak = others.amax(-1)
    none = peak == -math.inf
    share = torch.softmax(others, dim=-1)  # among the others
    share.masked_fill_(none[..., None], 0.0)
    # The largest share gives the log-sum-exp without another pass of exponentials.
    tail = torch.where(none, peak, peak - share.amax(-1).log())
    value, gradient = value_and_gradient(torch.cat([head, tail[..., None]], -1), coarse, direction, beta)
    torch.mul(share, gradient[..., -1:], out=student)
    student.scatter_add_(-1, ids, gradient[..., :-1])
    return value.masked_fill_(~known, torch.nan)


def coarse_student(student_logits: Tensor, teacher: SparseTeacher, tau: float = 1.0) -> Tensor:
    """Logits of a student on the small vocabulary of a sparse teacher, at a temperature; for reports.

    Parameters
    ----------
    student_logits : Tensor
        Student logits [..., V].
    teacher : SparseTeacher
        The teacher at the same positions.
    tau : float
        Temperature, above 0.

    Returns
    -------
    Tensor
        Logits [..., k + 1]; the last are of all tokens that the teacher does not keep.
    """
    z = student_logits.to(working_dtype(student_logits)) / tau
    ids = true_ids(teacher)
    head = z.gather(-1, ids).masked_fill(teacher.logprobs == -math.inf, -math.inf)
    return torch.cat([head, z.scatter(-1, ids, -math.inf).logsumexp(-1, keepdim=True)], -1)


def check_sparse(student: torch.Size, teacher: SparseTeacher, direction: str) -> None:
    """Refuse a sparse teacher that does not belong to the student's logits, or the direction.

    Parameters
    ----------
    student : torch.Size
        Shape [..., V] of the student's logits.
    teacher : SparseTeacher
        The teacher.
    direction : str
        Which divergence.

    Raises
    ------
    ValueError
        For another vocabulary or shape, or the reverse direction without a tail.
    """
    if student[-1] != teacher.vocab_size:
        raise ValueError(
            f"student vocabulary {student[-1]}, teacher vocabulary {teacher.vocab_size}: both must be the same"
        )
    if student[:-1] != teacher.shape:
        raise ValueError(
            f"student logits {list(student)}, teacher positions {list(teacher.shape)}: "
            f"expected {list(student[:-1])}"
        )
    if direction == "reverse" and teacher.tail is None:
        raise ValueError(
            'direction="reverse" is infinite for a renormalised teacher, which excludes tokens that the student '
            'allows: keep the tail (missing="tail" or .with_tail())'
        )
