"""Measures of a trained model on held-out text, each with the error that the finite sample leaves."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from distill_lib.training.corpus import Corpus
from distill_lib.training.losses import kl_divergence
from distill_lib.training.model import Decoder

_BATCH = 64  # windows at once


@dataclass(frozen=True)
class Evaluation:
    """What one model does on the validation part.

    Attributes
    ----------
    L : float
        Cross-entropy, nats per token.
    L_se : float
        Standard error of `L` over the choice of validation files, nats per token.
    kl_teacher : float or None
        KL(teacher || model) at temperature 1, nats per token; None without a teacher.
    """

    L: float
    L_se: float
    kl_teacher: float | None = None


def evaluate(model: Decoder, corpus: Corpus, tokens: int, teacher: Decoder | None = None) -> Evaluation:
    """Measure a model on the same windows of the validation part as every other model.

    Parameters
    ----------
    model : Decoder
        The model, on the device where it is to be run.
    corpus : Corpus
        The text.
    tokens : int
        How many tokens to measure on, rounded down to whole windows.
    teacher : Decoder or None
        A teacher to compare with.

    Returns
    -------
    Evaluation
        The measures.
    """
    seq_len = model.spec.seq_len
    # One fixed order for all models: what the choice of windows adds is common to both sides of a pair.
    index = corpus.order("validation", seq_len, tokens // seq_len * seq_len, seed=0)
    device = next(model.parameters()).device
    losses, divergences = [], []
    with torch.inference_mode():
        for first in range(0, len(index), _BATCH):
            batch = corpus.windows("validation", index[first : first + _BATCH], seq_len)
            window = torch.from_numpy(batch).to(device)
            logits = model(window[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none")
            losses.append(loss.view(len(window), seq_len).double().mean(1).cpu().numpy())
            if teacher is not None:
                divergences.append(kl_divergence(logits, teacher(window[:, :-1])).double().mean().item())
    per_window = np.concatenate(losses)
    return Evaluation(
        L=float(per_window.mean()),
        L_se=clustered_error(per_window, corpus.file_of("validation", index, seq_len)),
        kl_teacher=float(np.mean(divergences)) if divergences else None,
    )


def clustered_error(values: NDArray[np.float64], clusters: NDArray[np.int64]) -> float:
    """Estimate the standard error of a mean when values of one cluster are not independent.

    Parameters
    ----------
    values : ndarray
        Values [n].
    clusters : ndarray
        Number of the cluster of each value [n].

    Returns
    -------
    float
        Standard error of ``values.mean()`` over the choice of clusters (linearised ratio of sums); NaN for
        a single cluster.
    """
    _, members = np.unique(clusters, return_inverse=True)
    n_clusters = members.max() + 1
    if n_clusters < 2:
        return float("nan")
    sums = np.bincount(members, weights=values - values.mean())
    return float(np.sqrt(n_clusters / (n_clusters - 1) * np.sum(sums**2)) / len(values))
