"""Teachers of which only the likeliest tokens are known: top-k, top-p, the top token alone; live or cached.

Two statements about the missing mass are offered, and each gives a true divergence:

- *renormalised* (``tail=None``; the paper's Eq. 55): the kept tokens are scaled to sum to one and every other
  token has probability zero, so the student is taught to give them none;
- *tail bucket*: one more token, "any other", holds the missing mass; the student's mass outside the kept
  tokens is compared with it as a whole, so the student is taught the teacher's mass on the kept tokens.

What the student's divergence from either is, is written in `sparse_divergences`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from distill_lib.training.divergences import check_settings, working_dtype
from distill_lib.training.loss_checks import check_numbers

Missing = Literal["renormalise", "tail"]

_SLACK = 1e-2  # in total probability: what storage in half precision may add up to


@dataclass(frozen=True)
class SparseTeacher:
    """The likeliest tokens of a teacher at each position, as computed or as read from a cache.

    Attributes
    ----------
    ids : Tensor
        Kept tokens [..., k], integers, each token once per position.
    logprobs : Tensor
        Natural logarithms of their probabilities [..., k] at temperature `tau`. Minus infinity marks an
        unused slot, whose id is not read; the first slot must be used.
    vocab_size : int
        Size V of the vocabulary they come from.
    tail : Tensor or None
        Natural logarithm of the probability of all other tokens together [...], minus infinity for none.
        None leaves it out: the kept tokens are then renormalised.
    tau : float
        Temperature of the probabilities.

    Raises
    ------
    ValueError
        For shapes that do not fit, ids outside the vocabulary or twice at a position, or probabilities that
        are not numbers or sum to more than one (with the tail: to anything but one).
    """

    ids: Tensor
    logprobs: Tensor
    vocab_size: int
    tail: Tensor | None = None
    tau: float = 1.0

    def __post_init__(self) -> None:
        check_settings(self.tau)
        ids, logprobs = self.ids, self.logprobs
        if ids.is_floating_point() or ids.dtype == torch.bool:
            raise ValueError(f"ids are {ids.dtype}; give integers")
        ids = ids.long()  # torch compares no unsigned ones but bytes
        if ids.shape != logprobs.shape or ids.dim() == 0:
            raise ValueError(
                f"ids have shape {list(ids.shape)}, logprobs {list(logprobs.shape)}: expected [..., k] twice"
            )
        _check_k(ids.shape[-1], self.vocab_size)
        if self.tail is not None and self.tail.shape != ids.shape[:-1]:
            raise ValueError(f"tail has shape {list(self.tail.shape)}, expected {list(ids.shape[:-1])}")
        if ids.numel() == 0:
            return
        used = logprobs != -math.inf
        _refuse("logprobs", logprobs, logprobs.isnan() | (logprobs > _SLACK), "logarithms of probabilities")
        _refuse("logprobs", logprobs[..., 0], ~used[..., 0], "finite in the first slot of each position")
        outside = used & ((ids < 0) | (ids >= self.vocab_size))
        _refuse("ids", ids, outside, f"tokens from 0 to {self.vocab_size - 1}")
        # Unused slots get ids of their own below zero, so that only true repetitions are equal neighbours.
        slots = -1 - torch.arange(ids.shape[-1], device=ids.device)
        ordered = torch.where(used, ids, slots).sort(-1).values
        _refuse("ids (sorted)", ordered[..., 1:], ordered[..., 1:] == ordered[..., :-1], "each token once")
        total = logprobs.double().exp().sum(-1)
        bad = total > 1.0 + _SLACK
        if self.tail is not None:
            total = total + self.tail.double().exp()
            bad = ~((total - 1.0).abs() <= _SLACK)  # catches a tail that is no number as well
        rule = "one at most" if self.tail is None else "one, with the tail"
        _refuse("sum of probabilities", total, bad, rule)

    @classmethod
    def trusted(
        cls, ids: Tensor, logprobs: Tensor, vocab_size: int, tail: Tensor | None = None, tau: float = 1.0
    ) -> SparseTeacher:
        """Make one of what was looked at before, such as what a hash vouches for, without the cost of looking again.

        Parameters
        ----------
        ids : Tensor
            Kept tokens [..., k], as in the class.
        logprobs : Tensor
            Logarithms of their probabilities [..., k].
        vocab_size : int
            Size of the vocabulary.
        tail : Tensor or None
            Logarithm of the mass of the others [...]; None leaves it out.
        tau : float
            Temperature of the probabilities.

        Returns
        -------
        SparseTeacher
            The same as the class would make of valid arguments.
        """
        teacher = object.__new__(cls)
        teacher.__dict__.update(ids=ids, logprobs=logprobs, vocab_size=vocab_size, tail=tail, tau=tau)
        return teacher

    @property
    def shape(self) -> torch.Size:
        """Shape [...] of the positions."""
        return self.ids.shape[:-1]

    def at(self, index: Any) -> SparseTeacher:
        """Select positions.

        Parameters
        ----------
        index : slice, Tensor or tuple
            Index into the positions [...], such as a mask.

        Returns
        -------
        SparseTeacher
            The teacher there.
        """
        tail = None if self.tail is None else self.tail[index]
        return _unchecked(self, ids=self.ids[index], logprobs=self.logprobs[index], tail=tail)

    def to(self, device: torch.device | str) -> SparseTeacher:
        """Move to a device.

        Parameters
        ----------
        device : torch.device or str
            Where to.

        Returns
        -------
        SparseTeacher
            The same teacher there.
        """
        tail = None if self.tail is None else self.tail.to(device)
        return _unchecked(self, ids=self.ids.to(device), logprobs=self.logprobs.to(device), tail=tail)

    def with_tail(self) -> SparseTeacher:
        """Put what the kept tokens lack to one into the tail bucket.

        Returns
        -------
        SparseTeacher
            With a tail; for caches of true (not renormalised) probabilities that kept no tail.
        """
        total = self.logprobs.double().exp().sum(-1)
        return replace(self, tail=(1.0 - total).clamp(min=0.0).log().to(self.logprobs.dtype))

    def renormalised(self) -> SparseTeacher:
        """Leave the tail out.

        Returns
        -------
        SparseTeacher
            Whose kept tokens are scaled to sum to one in every loss (Eq. 55).
        """
        return replace(self, tail=None)

    def coarse_logits(self, tau: float) -> Tensor:
        """Logits of the kept tokens and, last, of all others together, at a temperature.

        Parameters
        ----------
        tau : float
            Temperature, above 0.

        Returns
        -------
        Tensor
            Logits [..., k + 1], float32 at least; the last are minus infinity without a tail.

        Raises
        ------
        ValueError
            For a tail at another temperature: the mass of unknown tokens cannot be tempered.
        """
        logits = self.logprobs.to(working_dtype(self.logprobs))
        if tau != self.tau:
            if self.tail is not None:
                raise ValueError(
                    f"the teacher's tail was taken at tau={self.tau}, the loss is at tau={tau}: the mass of "
                    "unknown tokens cannot be tempered; take the sparse teacher at the temperature of the loss"
                )
            logits = logits * (self.tau / tau)
        tail = logits.new_full((*self.shape, 1), -math.inf) if self.tail is None else self.tail[..., None]
        return torch.cat([logits, tail.to(logits.dtype)], -1)


def top_k(teacher_logits: Tensor, k: int, *, missing: Missing, tau: float = 1.0) -> SparseTeacher:
    """Keep the k likeliest tokens of a teacher.

    Parameters
    ----------
    teacher_logits : Tensor
        Teacher logits [..., V].
    k : int
        Tokens to keep, from 1 to V.
    missing : {"renormalise", "tail"}
        What becomes of the mass of the others: scaled away (Eq. 55), or one bucket.
    tau : float
        Temperature of the loss that it is for.

    Returns
    -------
    SparseTeacher
        Its probabilities are true ones, so that ``SparseTeacher.with_tail`` works on either.

    Raises
    ------
    ValueError
        For k, a temperature or a word out of range, or logits that are not numbers.
    """
    _check_k(k, teacher_logits.shape[-1])
    return _keep(teacher_logits, k, None, missing, tau)


def top_p(
    teacher_logits: Tensor, p: float, *, missing: Missing, tau: float = 1.0, most: int | None = None
) -> SparseTeacher:
    """Keep the fewest of a teacher's likeliest tokens that hold a share p of its mass.

    Parameters
    ----------
    teacher_logits : Tensor
        Teacher logits [..., V].
    p : float
        Share of the mass to keep, above 0, at most 1.
    missing : {"renormalise", "tail"}
        What becomes of the mass of the others: scaled away (Eq. 55), or one bucket.
    tau : float
        Temperature of the loss that it is for, at which the mass is counted.
    most : int or None
        Tokens to keep at most; None for no limit.

    Returns
    -------
    SparseTeacher
        With as many slots as the widest position needs.

    Raises
    ------
    ValueError
        For a share, a temperature or a word out of range, or logits that are not numbers.
    """
    if not 0.0 < p <= 1.0:
        raise ValueError(f"p={p} must lie above 0 and be at most 1: the share of the mass to keep")
    vocab_size = teacher_logits.shape[-1]
    if most is not None:
        _check_k(most, vocab_size)
    return _keep(teacher_logits, most or vocab_size, p, missing, tau)


def top_token(teacher_logits: Tensor) -> SparseTeacher:
    """Take the teacher's likeliest token for certain: hard labels, as the paper's App. E.8 trains on.

    Its divergence from a student is the student's cross-entropy with that token. The temperature acts on the
    student alone.

    Parameters
    ----------
    teacher_logits : Tensor
        Teacher logits [..., V].

    Returns
    -------
    SparseTeacher
        One token per position, with probability one.

    Raises
    ------
    ValueError
        For logits that are not numbers.
    """
    logits = teacher_logits.detach()
    peak, ids = logits.max(-1, keepdim=True)
    if not bool(peak.isfinite().all()):
        check_numbers("teacher_logits", logits)
    certain = torch.zeros_like(peak, dtype=torch.float32)
    return SparseTeacher.trusted(ids, certain, logits.shape[-1])


@torch.no_grad()
def _keep(logits: Tensor, k: int, p: float | None, missing: str, tau: float) -> SparseTeacher:
    check_settings(tau)
    if missing not in ("renormalise", "tail"):
        raise ValueError(f'missing={missing!r} must be "renormalise" or "tail"')
    logprobs = torch.log_softmax(logits.to(working_dtype(logits)) / tau, dim=-1)
    kept, ids = logprobs.topk(k, dim=-1)
    if not bool(kept[..., 0].isfinite().all()):
        check_numbers("teacher_logits", logits)
    if p is not None and p < 1.0 and kept.numel():  # a sum over all may reach one early, by rounding
        before = kept.exp().cumsum(-1) - kept.exp()  # mass ahead of each token
        unneeded = before >= p
        unneeded[..., 0] = False
        width = int((~unneeded).sum(-1).max())
        kept, ids = kept.masked_fill(unneeded, -math.inf)[..., :width], ids[..., :width]
    tail = None
    if missing == "tail":
        # From the others themselves: one minus the kept mass would lose all digits of a small tail.
        others = logprobs.scatter(-1, _true_ids(ids, kept), -math.inf)
        tail = others.logsumexp(-1)
    return SparseTeacher.trusted(ids, kept, logits.shape[-1], tail, tau)


def true_ids(teacher: SparseTeacher) -> Tensor:
    """Ids for indexing: an unused slot points where the first one does, and so touches no other token.

    Parameters
    ----------
    teacher : SparseTeacher
        The teacher.

    Returns
    -------
    Tensor
        Kept tokens [..., k], 64-bit integers.
    """
    return _true_ids(teacher.ids, teacher.logprobs)


def _true_ids(ids: Tensor, logprobs: Tensor) -> Tensor:
    ids = ids.long()
    return torch.where(logprobs == -math.inf, ids[..., :1], ids)


def _check_k(k: int, vocab_size: int) -> None:
    if not 1 <= k <= vocab_size:
        raise ValueError(f"k={k} must lie from 1 to the vocabulary of {vocab_size} tokens")


def _refuse(name: str, values: Tensor, bad: Tensor, rule: str) -> None:
    if bad.any():
        place = bad.nonzero()[0].tolist()
        raise ValueError(f"{name}{place} = {values[tuple(place)].item()}: must be {rule}")


def _unchecked(teacher: SparseTeacher, **changes: Any) -> SparseTeacher:
    """Copy with changes that cannot make it invalid, without the cost of looking again."""
    return SparseTeacher.trusted(**(vars(teacher) | changes))
