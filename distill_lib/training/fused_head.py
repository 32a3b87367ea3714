"""The distillation loss fused with the output heads: logits are made, used and forgotten a chunk at a time.

The gradient with respect to the logits is known as soon as they are (see `divergences`), so both products
that the backward pass needs are taken at once, and nothing of the size [tokens, vocabulary] is ever kept.
Chunks of tokens feed the matrix products; on a CPU, the softmaxes inside run over blocks of a few rows that
stay in its cache.
"""

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from distill_lib.training.divergences import Direction, check_settings, value_and_gradient, working_dtype
from distill_lib.training.loss_checks import check_derivative, check_numbers, check_shares, kept_positions
from distill_lib.training.sparse_divergences import check_sparse, sparse_value_and_gradient_
from distill_lib.training.sparse_teachers import SparseTeacher, true_ids

_BLOCK = 2**18  # logits that one block of rows holds on a CPU


def fused_kd_loss(
    student_hidden: Tensor,
    student_head: Tensor,
    teacher: tuple[Tensor, Tensor] | SparseTeacher,
    labels: Tensor | None = None,
    *,
    tau: float = 1.0,
    lam: float = 1.0,
    direction: Direction = "forward",
    beta: float = 0.5,
    lam_z: float = 0.0,
    ignore_index: int = -100,
    chunk: int = 256,
    check: bool = True,
) -> Tensor:
    """Equal ``kd_loss(student_hidden @ student_head.T, ...)`` without keeping logits for all tokens.

    Gradients flow to the student's hidden states and head; the head's is summed in float32 at least. A head
    that is padded beyond the vocabulary is given as ``head[:vocab_size]``, a bias as one more column of the head,
    beside a hidden state that is one.

    Parameters
    ----------
    student_hidden : Tensor
        Last hidden states of the student [..., d].
    student_head : Tensor
        Its output weights [V, d], of the same dtype (under autocast both are cast).
    teacher : tuple of Tensor, or SparseTeacher
        Hidden states [..., d_T] and head [V, d_T] of the teacher, in a dtype of their own, or its likeliest
        tokens at each position.
    labels : Tensor or None
        Next tokens [...], integers; may be left out when ``lam=1`` and nothing is to be ignored.
    tau : float
        Temperature, above 0.
    lam : float
        Share of the distillation term, in [0, 1].
    direction : {"forward", "reverse", "jensen_shannon"}
        As for :func:`~distill_lib.training.losses.kd_loss`.
    beta : float
        Weight of the teacher in the Jensen-Shannon mixture.
    lam_z : float
        Weight of the z-loss on the student, 0 at least.
    ignore_index : int
        Label of the positions to leave out.
    chunk : int
        Tokens whose logits are held at once; memory grows with it, and not with the number of tokens.
    check : bool
        Name the position of what is not a number, if the loss is NaN.

    Returns
    -------
    Tensor
        Scalar, nats per token; zero when every position is ignored. It can be differentiated once.

    Raises
    ------
    ValueError
        As for :func:`~distill_lib.training.losses.kd_loss`, for shapes or dtypes that do not fit, and for a
        chunk below 1.
    """
    check_settings(tau, direction, beta)
    check_shares(lam, lam_z)
    if isinstance(chunk, bool) or not isinstance(chunk, Integral) or chunk < 1:
        raise ValueError(f"chunk={chunk} must be a whole number of tokens, 1 at least")
    _check_product("student", student_hidden, student_head)
    positions, vocab_size = student_hidden.shape[:-1], student_head.shape[0]
    sources = {"student_hidden": student_hidden, "student_head": student_head}
    if isinstance(teacher, SparseTeacher):
        check_sparse(torch.Size([*positions, vocab_size]), teacher, direction)
    else:
        if isinstance(teacher, Tensor) or len(teacher) != 2:
            raise ValueError(
                "teacher must be (hidden states, head) or a SparseTeacher; for logits there is kd_loss"
            )
        _check_product("teacher", *teacher)
        sources |= {"teacher_hidden": teacher[0], "teacher_head": teacher[1]}
        if teacher[1].shape[0] != vocab_size:
            raise ValueError(
                f"student vocabulary {vocab_size}, teacher vocabulary {teacher[1].shape[0]}: both must be the "
                "same; give padded heads as head[:vocab_size]"
            )
        if teacher[0].shape[:-1] != positions:
            raise ValueError(
                f"student positions {list(positions)}, teacher positions {list(teacher[0].shape[:-1])}: "
                "expected the same"
            )
    kept = kept_positions(labels, torch.Size([*positions, vocab_size]), lam, ignore_index)

    rows: Any = slice(None) if kept is None else kept.reshape(-1)
    hidden, head = _cast(student_hidden.flatten(0, -2)[rows], student_head)
    targets = None if labels is None else labels.reshape(-1)[rows].long()
    if isinstance(teacher, SparseTeacher):
        coarse = teacher.coarse_logits(tau).to(working_dtype(hidden)).flatten(0, -2)[rows]
        known = (coarse, true_ids(teacher).flatten(0, -2)[rows])
    else:
        known = _cast(teacher[0].flatten(0, -2)[rows], teacher[1])
    if len(hidden) == 0:
        return (hidden.sum() + 0.0 * head[:0].sum()).to(working_dtype(hidden))  # zero, with its graph
    terms = _Terms(tau, lam, direction, beta, lam_z, isinstance(teacher, SparseTeacher))
    loss = _FusedHead.apply(hidden, head, targets, *known, terms, chunk, torch.is_grad_enabled())
    if check and not torch.compiler.is_compiling() and bool(loss.isnan()):
        for name, values in sources.items():
            check_numbers(name, values, kept if name.endswith("hidden") else None)
    return loss


@dataclass(frozen=True)
class _Terms:
    """What to compute at each position."""

    tau: float
    lam: float
    direction: Direction
    beta: float
    lam_z: float
    sparse: bool

    def of_block_(self, z: Tensor, labels: Tensor | None, teacher: Tensor, ids: Tensor | None) -> Tensor:
        """Return the loss of each row; the student's logits z [rows, V] become its gradient."""
        rest = self._rest(z, labels) if self.lam < 1.0 or self.lam_z > 0.0 else None
        if self.lam > 0.0:
            if self.tau != 1.0:
                z.div_(self.tau)
            if ids is not None:
                value = sparse_value_and_gradient_(z, teacher, ids, self.direction, self.beta)
            else:
                teacher = teacher if self.tau == 1.0 else teacher / self.tau
                exp = _exp if z.device.type == "cpu" else torch.exp
                value, gradient = value_and_gradient(z, teacher, self.direction, self.beta, exp)
                z.copy_(gradient)
            if self.lam * self.tau != 1.0:  # tau^2 of the loss over tau of the logits
                z.mul_(self.lam * self.tau)
            loss = self.lam * self.tau**2 * value
            if rest is None:
                return loss
            z.add_(rest[1])
            return loss + rest[0]
        if rest is None:
            raise AssertionError("without distillation, lam is 0 and there is a next-token term")
        z.copy_(rest[1])
        return rest[0]

    def _rest(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Next-token and z-loss of each row, and their gradient."""
        q = torch.softmax(z, dim=-1)
        normaliser = z.amax(-1) - q.amax(-1).log()
        loss = self.lam_z * normaliser.square()
        q.mul_((1.0 - self.lam + 2.0 * self.lam_z * normaliser)[:, None])
        if labels is not None and self.lam < 1.0:
            label = labels[:, None]
            loss = loss + (1.0 - self.lam) * (normaliser - z.gather(-1, label)[:, 0])
            q.scatter_add_(-1, label, q.new_full(label.shape, self.lam - 1.0))
        return loss, q


class _FusedHead(torch.autograd.Function):
    """Mean loss over rows; both gradients are taken on the way."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        head: Tensor,
        labels: Tensor | None,
        teacher: Tensor,
        of_teacher: Tensor,
        terms: _Terms,
        chunk: int,
        differentiated: bool,
    ) -> Tensor:
        dense = terms.lam > 0.0 and not terms.sparse
        work = working_dtype(hidden, *([teacher] if dense else []))
        n, vocab_size = len(hidden), len(head)
        chunk = min(chunk, n)
        step = max(1, _BLOCK // vocab_size) if hidden.device.type == "cpu" else chunk
        want_hidden, want_head = (differentiated and need for need in ctx.needs_input_grad[:2])
        hidden_gradient = torch.empty_like(hidden) if want_hidden else None
        head_gradient = torch.zeros_like(head, dtype=work) if want_head else None
        buffers = [each.new_empty(chunk, vocab_size) for each in (head, of_teacher)[: 1 + dense]]
        total = hidden.new_zeros((), dtype=torch.float64 if hidden.device.type == "cpu" else work)
        with torch.autocast(hidden.device.type, enabled=False):
            for first in range(0, n, chunk):
                part = slice(first, min(first + chunk, n))
                z = _logits(hidden[part], head, buffers[0], work)
                other = _logits(teacher[part], of_teacher, buffers[1], work) if dense else teacher[part]
                for start in range(0, len(z), step):
                    block = slice(start, start + step)
                    total += terms.of_block_(
                        z[block],
                        None if labels is None else labels[part][block],
                        other[block],
                        of_teacher[part][block] if terms.sparse else None,
                    ).sum()
                gradient = z.to(head.dtype)
                if hidden_gradient is not None:
                    torch.mm(gradient, head, out=hidden_gradient[part])
                if head_gradient is not None and head.dtype == work:
                    head_gradient.addmm_(gradient.T, hidden[part])
                elif head_gradient is not None:
                    head_gradient.add_(gradient.T @ hidden[part])
        # Of the sum over rows: in half precision, their mean would fall below the least number.
        ctx.save_for_backward(hidden_gradient, head_gradient)
        ctx.n, ctx.dtype = n, head.dtype
        return (total / n).to(work)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        check_derivative()
        for_hidden, for_head = ctx.saved_tensors
        scale = upstream / ctx.n
        return (
            None if for_hidden is None else (for_hidden.to(scale.dtype) * scale).to(ctx.dtype),
            None if for_head is None else (for_head * scale).to(ctx.dtype),
            *(None,) * 6,
        )


def _exp(logarithms: Tensor) -> Tensor:
    """Take exponentials as powers of two: on a CPU in half the time, and a unit in the last place less exact."""
    return (logarithms * math.log2(math.e)).exp2_()


def _logits(hidden: Tensor, head: Tensor, buffer: Tensor, work: torch.dtype) -> Tensor:
    """Logits [rows, V] to work on; of half-precision inputs, rounded once as a head gives them."""
    return torch.mm(hidden, head.T, out=buffer[: len(hidden)]).to(work)


def _cast(hidden: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        return hidden.to(dtype), head.to(dtype)
    return hidden, head


def _check_product(who: str, hidden: Tensor, head: Tensor) -> None:
    if head.dim() != 2 or hidden.dim() < 2 or hidden.shape[-1] != head.shape[-1]:
        raise ValueError(
            f"{who} hidden states {list(hidden.shape)}, head {list(head.shape)}: expected [..., d] and [V, d]"
        )
    if hidden.dtype != head.dtype and not torch.is_autocast_enabled(hidden.device.type):
        raise ValueError(
            f"{who} hidden states are {hidden.dtype}, the head {head.dtype}: cast one, or use autocast"
        )
