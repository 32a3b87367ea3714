"""What a run minimises at each step, and which windows it reads: the options of a specification, carried out."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.corpus import Corpus
from distill_lib.training.enough_text import check_enough_text
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.losses import kd_loss, next_token_loss
from distill_lib.training.sparse_teachers import SparseTeacher, top_k, top_p


def step_loss(
    spec: RunSpec, logits: Tensor, labels: Tensor, teacher_logits: Tensor | SparseTeacher | None
) -> Tensor:
    """Loss of one step; without a look at whether it is a number, which would wait for the device.

    Dense logits go through `kd_loss`: at widths of tens and a vocabulary of hundreds the loss that is fused
    with the head is no faster (measured), and it would need the teacher's head at every step.

    Parameters
    ----------
    spec : RunSpec
        The run: its lam, tau, direction, beta and truncation.
    logits : Tensor
        The student's logits [B, T, V].
    labels : Tensor
        Next tokens [B, T].
    teacher_logits : Tensor, SparseTeacher or None
        The teacher's logits [B, T, V], or what was kept of them; None at a supervised step.

    Returns
    -------
    Tensor
        Scalar, nats per token.
    """
    if teacher_logits is None:
        return next_token_loss(logits, labels)
    assert spec.lam is not None
    assert spec.tau is not None
    assert spec.direction is not None
    return kd_loss(
        logits,
        seen_teacher(spec, teacher_logits),
        labels if spec.lam < 1.0 else None,
        tau=spec.tau,
        lam=spec.lam,
        direction=spec.direction,
        beta=0.5 if spec.beta is None else spec.beta,
        ignore_index=None,  # no token of a window is left out
        check=False,
    )


def seen_teacher(spec: RunSpec, teacher_logits: Tensor | SparseTeacher) -> Tensor | SparseTeacher:
    """Cut a teacher's logits down to what the student is to see of them (Eq 55).

    Parameters
    ----------
    spec : RunSpec
        The run: its truncation, and the temperature at which shares are counted.
    teacher_logits : Tensor or SparseTeacher
        The teacher's logits [..., V]; what was cut before stays as it is.

    Returns
    -------
    Tensor or SparseTeacher
        All of them without a truncation. The likeliest token alone, renormalised, is a hard label.
    """
    cut = spec.truncation
    if cut is None or isinstance(teacher_logits, SparseTeacher):
        return teacher_logits
    assert spec.tau is not None
    if cut.keep == "top_p":
        assert cut.p is not None
        return top_p(teacher_logits, cut.p, missing=cut.missing, tau=spec.tau)
    return top_k(teacher_logits, cut.k or 1, missing=cut.missing, tau=spec.tau)


def reading_order(spec: RunSpec, corpus: Corpus | LanguageCorpus) -> tuple[NDArray[np.int64], float | None]:
    """List the windows that a run reads, step by step.

    Parameters
    ----------
    spec : RunSpec
        The run.
    corpus : Corpus or LanguageCorpus
        The text.

    Returns
    -------
    order : ndarray
        Numbers of the windows [steps, windows in a step]. Runs of one seed read the same windows first; where
        text is repeated, each pass has an order of its own, and the first is that of a run without repetition.
    epochs : float or None
        How often the text is read, where the specification allows repetition; else None.

    Raises
    ------
    CorpusError
        If the corpus holds too few tokens and the specification does not allow repetition, or too few held-out ones.
    """
    seq_len = spec.model.seq_len
    check_enough_text(spec, corpus)
    if not spec.repeat:
        return corpus.order(spec.split, seq_len, spec.D, spec.seed).reshape(spec.steps, -1), None
    held = corpus.n_windows(spec.split, seq_len)
    windows = spec.D // seq_len
    first = corpus.order(spec.split, seq_len, min(held, windows) * seq_len, spec.seed)
    passes = [first]
    for number in range(1, -(-windows // held)):
        passes.append(np.random.default_rng([spec.seed, number]).permutation(first))
    return np.concatenate(passes)[:windows].reshape(spec.steps, -1), windows / held
