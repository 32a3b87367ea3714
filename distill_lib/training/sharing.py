"""Which students can share what is kept of a teacher's logits; without torch, for the planning of a sweep."""

from typing import Any

from distill_lib.scaling import formulas
from distill_lib.scaling.specifications import RunSpec


def kept_tokens(spec: RunSpec) -> int | None:
    """Count the tokens at each position whose probabilities are kept for a student.

    Parameters
    ----------
    spec : RunSpec
        The student.

    Returns
    -------
    int or None
        The k likeliest that it sees. None for all logits: without a truncation; for a share of the mass, which
        is held by another number of tokens at each position; and where k tokens with their ids are no smaller.
    """
    cut = spec.truncation
    if cut is None or cut.keep == "top_p":
        return None
    k = cut.k or 1
    return k if bytes_per_token(spec.model.vocab_size, k) < bytes_per_token(spec.model.vocab_size) else None


def bytes_per_token(vocab_size: int, k: int | None = None) -> int:
    """Count the bytes that are kept of a teacher at one position.

    Parameters
    ----------
    vocab_size : int
        Vocabulary.
    k : int or None
        Likeliest tokens that are kept; None for all logits.

    Returns
    -------
    int
        Two for each logit of the vocabulary (float16); or six for each kept token (float32 and its id) and four
        for the mass of the others.
    """
    if k is None:
        return formulas.logit_row_bytes(vocab_size, None, 2)
    return formulas.logit_row_bytes(vocab_size, k, 4) + 4


def sharing_key(spec: RunSpec, together: bool = False) -> tuple[Any, ...] | None:
    """Name what is kept for a student: students of one name read the same files.

    Parameters
    ----------
    spec : RunSpec
        A run.
    together : bool
        Whether runs are trained at once: all logits are then kept, whatever a student sees of them.

    Returns
    -------
    tuple or None
        Teacher, part, seed and context; then the kept tokens and the temperature of their mass, both None for
        all logits. What a student makes of the missing mass is its own. None for a run that asks no teacher.
    """
    if not isinstance(spec.teacher, RunSpec) or not spec.distilled_steps:
        return None
    k = None if together else kept_tokens(spec)
    windows = (spec.teacher.spec_hash, spec.split, spec.seed, spec.model.seq_len)
    return *windows, k, None if k is None else spec.tau
