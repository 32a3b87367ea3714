"""Losses of distillation, with the traps of the known libraries closed.

Every value is really the divergence it is named after: zero for identical models, in nats per token. The
paper writes the distillation loss as the cross-entropy with the teacher (its L_KD), which differs from the KL
divergence by the teacher's entropy: a constant for the student, so both have the same gradient.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lib.training.divergences import (
    Direction,
    check_settings,
    check_shapes,
    decompose,
    divergence,
    working_dtype,
)
from distill_lib.training.divergences import jensen_shannon_divergence as jensen_shannon_divergence
from distill_lib.training.divergences import kl_divergence as kl_divergence
from distill_lib.training.divergences import z_loss as z_loss
from distill_lib.training.fused_head import fused_kd_loss as fused_kd_loss
from distill_lib.training.loss_checks import check_labels, check_numbers, check_shares, kept_positions
from distill_lib.training.sparse_divergences import check_sparse, coarse_student, sparse_divergence
from distill_lib.training.sparse_teachers import SparseTeacher


@dataclass(frozen=True)
class LossParts:
    """What a loss is made of: kd_loss = (1 - lam) next_token + lam tau^2 divergence + lam_z z.

    Attributes
    ----------
    divergence : Tensor
        Mean divergence in the chosen direction at temperature tau, without tau^2, nats per token.
    next_token : Tensor or None
        Mean cross-entropy of the next token, nats per token; None without labels.
    z : Tensor
        Mean z-loss.
    teacher_entropy, cross_entropy, kl : Tensor
        Mean entropy of the teacher, cross-entropy with it and KL(teacher || student) at temperature tau,
        nats per token; the second is the sum of the other two. For a sparse teacher all three are those of
        its small vocabulary: the kept tokens and one for all others.
    """

    divergence: Tensor
    next_token: Tensor | None
    z: Tensor
    teacher_entropy: Tensor
    cross_entropy: Tensor
    kl: Tensor


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor | SparseTeacher,
    labels: Tensor | None = None,
    *,
    tau: float = 1.0,
    lam: float = 1.0,
    direction: Direction = "forward",
    beta: float = 0.5,
    lam_z: float = 0.0,
    ignore_index: int | None = -100,
    check: bool = True,
) -> Tensor:
    """Mix distillation and next-token loss: (1 - lam) CE + lam tau^2 KL at temperature tau + lam_z z-loss.

    The factor tau^2 keeps the gradients of both terms comparable (Hinton et al., 2015; the paper's L_KD). The
    mean is over the tokens that are not ignored. No gradient flows to the teacher.

    Parameters
    ----------
    student_logits : Tensor
        Student logits [..., V].
    teacher_logits : Tensor or SparseTeacher
        Teacher logits [..., V]; entries of minus infinity (padded vocabulary) have probability zero. Or a
        teacher known by its likeliest tokens, see ``distill_lib.training.sparse_teachers``.
    labels : Tensor or None
        Next tokens [...], integers; positions with `ignore_index` count nowhere. May be left out when
        ``lam=1`` and nothing is to be ignored.
    tau : float
        Temperature, above 0.
    lam : float
        Share of the distillation term, in [0, 1] (the paper's lambda).
    direction : {"forward", "reverse", "jensen_shannon"}
        KL(teacher || student), as in the paper, KL(student || teacher), or JSD_beta in its place.
    beta : float
        Weight of the teacher in the Jensen-Shannon mixture, strictly between 0 and 1; see
        :func:`~distill_lib.training.divergences.jensen_shannon_divergence`.
    lam_z : float
        Weight of the z-loss on the student, 0 at least (the paper's lambda_Z, 1e-4 in its training).
    ignore_index : int or None
        Label of the positions to leave out; None for none: labels are then not searched for it, which would
        wait for the device.
    check : bool
        Name the position of NaN or plus infinity among the logits, if the loss is NaN. Without, such a loss
        is returned: for loops that watch it themselves and must not wait for the device at each step. (Labels
        make it wait all the same: which of them are ignored decides what is computed.)

    Returns
    -------
    Tensor
        Scalar, nats per token; zero when every position is ignored. It can be differentiated once.

    Raises
    ------
    ValueError
        For a temperature or share out of range, unequal vocabularies or shapes, labels that are missing or
        outside the vocabulary, or logits that are not numbers.
    """
    check_settings(tau, direction, beta)
    check_shares(lam, lam_z)
    kept = _belong_together(student_logits, teacher_logits, labels, lam, direction, ignore_index)
    student, teacher, targets = _rows(kept, student_logits, teacher_logits, labels)
    empty = student.shape[:-1].numel() == 0
    loss = student.new_zeros((), dtype=working_dtype(student))
    if empty:
        loss = loss + student.sum()  # keeps the graph: the gradient is zero everywhere
    if lam > 0.0 and not empty:
        distilled = _divergence(student, teacher, tau=tau, direction=direction, beta=beta)
        loss = loss + lam * tau**2 * distilled.mean()
    if lam < 1.0 and targets is not None:
        loss = loss + (1.0 - lam) * _cross_entropy(student, targets)
    if lam_z > 0.0 and not empty:
        loss = loss + lam_z * z_loss(student).mean()
    if check and not torch.compiler.is_compiling() and bool(loss.isnan()):
        _check_logits(student_logits, teacher_logits, kept)
    return loss


@torch.no_grad()
def loss_parts(
    student_logits: Tensor,
    teacher_logits: Tensor | SparseTeacher,
    labels: Tensor | None = None,
    *,
    tau: float = 1.0,
    direction: Direction = "forward",
    beta: float = 0.5,
    ignore_index: int = -100,
) -> LossParts:
    """Report what the terms of :func:`kd_loss` are, each without its weight and without gradient.

    Parameters
    ----------
    student_logits, teacher_logits, labels, tau, direction, beta, ignore_index
        As for :func:`kd_loss`.

    Returns
    -------
    LossParts
        Means over the positions that count; zeros when there is none.

    Raises
    ------
    ValueError
        As for :func:`kd_loss`.
    """
    check_settings(tau, direction, beta)
    kept = _belong_together(student_logits, teacher_logits, labels, 1.0, direction, ignore_index)
    student, teacher, targets = _rows(kept, student_logits, teacher_logits, labels)
    n = max(1, student.shape[:-1].numel())
    if isinstance(teacher, SparseTeacher):
        small = coarse_student(student, teacher, tau)
        split = decompose(small, teacher.coarse_logits(tau))
    else:
        split = decompose(student, teacher, tau=tau)
    if bool(split.kl.isnan().any()):
        _check_logits(student_logits, teacher_logits, kept)
    return LossParts(
        divergence=_divergence(student, teacher, tau=tau, direction=direction, beta=beta).sum() / n,
        next_token=None if targets is None else _cross_entropy(student, targets),
        z=z_loss(student).sum() / n,
        teacher_entropy=split.teacher_entropy.sum() / n,
        cross_entropy=split.cross_entropy.sum() / n,
        kl=split.kl.sum() / n,
    )


def _belong_together(
    student_logits: Tensor,
    teacher_logits: Tensor | SparseTeacher,
    labels: Tensor | None,
    lam: float,
    direction: Direction,
    ignore_index: int | None,
) -> Tensor | None:
    """Refuse what does not belong together, and find the positions that count; None for all."""
    if isinstance(teacher_logits, SparseTeacher):
        check_sparse(student_logits.shape, teacher_logits, direction)
    else:
        check_shapes(student_logits, teacher_logits)
    return kept_positions(labels, student_logits.shape, lam, ignore_index)


def _rows(
    kept: Tensor | None, student: Tensor, teacher: Tensor | SparseTeacher, labels: Tensor | None
) -> tuple[Tensor, Tensor | SparseTeacher, Tensor | None]:
    """Drop the other rows before any arithmetic: a mask times NaN would still be NaN."""
    if kept is None or labels is None:
        return student, teacher, labels
    return student[kept], teacher[kept] if isinstance(teacher, Tensor) else teacher.at(kept), labels[kept]


def _check_logits(
    student_logits: Tensor, teacher_logits: Tensor | SparseTeacher, kept: Tensor | None
) -> None:
    check_numbers("student_logits", student_logits, kept)
    if isinstance(teacher_logits, Tensor):  # a sparse one was checked when it was made
        check_numbers("teacher_logits", teacher_logits, kept)


def _divergence(
    student: Tensor, teacher: Tensor | SparseTeacher, *, tau: float, direction: Direction, beta: float
) -> Tensor:
    if isinstance(teacher, SparseTeacher):
        return sparse_divergence(student, teacher, tau=tau, direction=direction, beta=beta)
    return divergence(student, teacher, tau=tau, direction=direction, beta=beta)


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

    Raises
    ------
    ValueError
        For labels of another shape or outside the vocabulary (on a GPU, where a look would have to wait, the
        device itself stops at the second).
    """
    check_labels(labels, logits.shape[:-1])
    if labels.device.type == "cpu" and not torch.compiler.is_compiling():
        kept_positions(labels, logits.shape, 0.0, ignore_index)
    return _cross_entropy(logits, labels, ignore_index)


def _cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int = -100) -> Tensor:
    labels = labels.long().reshape(-1)
    flat = logits.reshape(-1, logits.shape[-1]).to(working_dtype(logits))
    total = F.cross_entropy(flat, labels, ignore_index=ignore_index, reduction="sum")
    return total / (labels != ignore_index).sum().clamp(min=1)
