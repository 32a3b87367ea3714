"""Measures of a trained model on held-out text, each with the error that the finite sample leaves."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from distill_lib.training.corpus import Corpus
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.losses import kl_divergence
from distill_lib.training.model import Decoder

_BATCH = 64  # windows at once


@dataclass(frozen=True)
class Evaluation:
    """What one model does on the validation part.

    Attributes
    ----------
    L : float
        Cross-entropy, nats per token. In a language of known entropy it is E + KL(truth || model), where the
        model sees the full context: no luck of the tokens drawn enters, only that of the contexts.
    L_se : float
        Standard error of `L` over the choice of validation files (windows, in a language of known entropy),
        nats per token.
    kl_teacher : float or None
        KL(teacher || model) at temperature 1, nats per token; None without a teacher.
    """

    L: float
    L_se: float
    kl_teacher: float | None = None


def evaluate(
    model: Decoder, corpus: Corpus | LanguageCorpus, tokens: int, teacher: nn.Module | None = None
) -> Evaluation:
    """Measure a model on the same windows of the validation part as every other model.

    Parameters
    ----------
    model : Decoder
        The model, on the device where it is to be run.
    corpus : Corpus or LanguageCorpus
        The text.
    tokens : int
        How many tokens to measure on, rounded down to whole windows.
    teacher : Module or None
        A teacher to compare with.

    Returns
    -------
    Evaluation
        The measures.

    Raises
    ------
    ValueError
        If the context of the model never shows what the next token of a language depends on.
    """
    seq_len = model.spec.seq_len
    blind = corpus.language.order - 1 if isinstance(corpus, LanguageCorpus) else 0  # positions left out
    if blind >= seq_len:
        raise ValueError(f"seq_len={seq_len} shows less than the {blind + 1} tokens that matter: raise it")
    # One fixed order for all models: what the choice of windows adds is common to both sides of a pair.
    index = corpus.order("validation", seq_len, tokens // seq_len * seq_len, seed=0)
    device = next(model.parameters()).device
    losses, divergences = [], []
    with torch.inference_mode():
        for first in range(0, len(index), _BATCH):
            batch = corpus.windows("validation", index[first : first + _BATCH], seq_len)
            window = torch.from_numpy(batch).to(device)
            logits = model(window[:, :-1])
            if isinstance(corpus, LanguageCorpus):
                truth = torch.from_numpy(corpus.language.log_probs(batch[:, :-1])).to(device)
                loss = corpus.entropy_rate + kl_divergence(logits[:, blind:].double(), truth)
            else:
                loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none")
                loss = loss.view(len(window), seq_len).double()
            losses.append(loss.mean(1).cpu().numpy())
            if teacher is not None:
                divergence = kl_divergence(logits, teacher(window[:, :-1]))
                divergences.append(divergence[:, blind:].double().mean().item())
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
