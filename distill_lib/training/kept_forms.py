"""What of a teacher's logits is kept on disk for a student: all of them, or the likeliest tokens that it sees.

A student of a truncated teacher sees k tokens at each position and no others, so these are all that need to be
kept for it. They are cut from the teacher as they would be at each step, so the student is the same to the bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.sharing import kept_tokens
from distill_lib.training.sparse_teachers import Missing, SparseTeacher, top_k


@dataclass(frozen=True)
class AllLogits:
    """All logits, in half precision.

    Attributes
    ----------
    vocab_size : int
        Vocabulary V.
    """

    vocab_size: int

    @property
    def name(self) -> dict[str, Any]:
        """What the header of a file says of it."""
        return {"dtype": "float16"}

    @property
    def columns(self) -> tuple[tuple[type, tuple[int, ...]], ...]:
        """Type and shape, at one position, of each part of a file, in their order."""
        return ((np.float16, (self.vocab_size,)),)

    def parts(self, logits: Tensor) -> tuple[NDArray[Any], ...]:
        """Turn a teacher's logits into what is written.

        Parameters
        ----------
        logits : Tensor
            Logits [B, T, V] as the teacher speaks them, in half precision.

        Returns
        -------
        tuple of ndarray
            One for each of `columns`, [B, T, ...].
        """
        return (logits.cpu().numpy(),)

    def teacher(self, parts: list[NDArray[Any]]) -> Tensor:
        """Turn what was read back into what the loss takes.

        Parameters
        ----------
        parts : list of ndarray
            One for each of `columns`, [B, T, ...].

        Returns
        -------
        Tensor
            Logits [B, T, V].
        """
        return torch.from_numpy(parts[0])


@dataclass(frozen=True)
class LikeliestTokens:
    """The k likeliest tokens, their probabilities, and the mass of all others together.

    Attributes
    ----------
    vocab_size : int
        Vocabulary V, 65,536 at most.
    k : int
        Tokens.
    tau : float
        Temperature of the probabilities.
    missing : {"renormalise", "tail"}
        What the student makes of the mass of the others; the files are the same.
    """

    vocab_size: int
    k: int
    tau: float
    missing: Missing

    @property
    def name(self) -> dict[str, Any]:
        """What the header of a file says of it."""
        return {"dtype": "float32, float32, uint16", "top_k": self.k, "tau": self.tau}

    @property
    def columns(self) -> tuple[tuple[type, tuple[int, ...]], ...]:
        """Type and shape, at one position, of each part of a file: log-probabilities, tail, ids."""
        return (np.float32, (self.k,)), (np.float32, ()), (np.uint16, (self.k,))

    def parts(self, logits: Tensor) -> tuple[NDArray[Any], ...]:
        """Turn a teacher's logits into what is written.

        Parameters
        ----------
        logits : Tensor
            Logits [B, T, V] as the teacher speaks them, in half precision.

        Returns
        -------
        tuple of ndarray
            One for each of `columns`, [B, T, ...].

        Raises
        ------
        ValueError
            For logits that are not numbers.
        """
        kept = top_k(logits, self.k, missing="tail", tau=self.tau)
        assert kept.tail is not None
        ids = kept.ids.cpu().numpy().astype(np.uint16)
        return kept.logprobs.cpu().numpy(), kept.tail.cpu().numpy(), ids

    def teacher(self, parts: list[NDArray[Any]]) -> SparseTeacher:
        """Turn what was read back into what the loss takes.

        Parameters
        ----------
        parts : list of ndarray
            One for each of `columns`, [B, T, ...].

        Returns
        -------
        SparseTeacher
            As `top_k` gave it; not looked at again, since the hash of its file was checked.
        """
        logprobs, tail, ids = parts
        return SparseTeacher.trusted(
            torch.from_numpy(ids.astype(np.int32)),
            torch.from_numpy(logprobs),
            self.vocab_size,
            torch.from_numpy(tail) if self.missing == "tail" else None,
            self.tau,
        )


KeptForm = AllLogits | LikeliestTokens


def kept_form(spec: RunSpec) -> KeptForm:
    """Choose what is kept for a student.

    Parameters
    ----------
    spec : RunSpec
        The student.

    Returns
    -------
    AllLogits or LikeliestTokens
        The smaller one of those that give the same student.
    """
    k = kept_tokens(spec)
    if k is None:
        return AllLogits(spec.model.vocab_size)
    assert spec.truncation is not None
    assert spec.tau is not None
    return LikeliestTokens(spec.model.vocab_size, k, spec.tau, spec.truncation.missing)
