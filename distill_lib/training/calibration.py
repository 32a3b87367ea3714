"""What a model does at each held-out position, summed up over bins of positions that are alike (App E.8).

Where the truth is known, outcomes are their expectations: the accuracy at a position is the true probability
of the token that the model holds for the likeliest, and no luck of the tokens drawn enters.
"""

import functools

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill_lib.measures import BINS_BY, CONFIDENCE_BINS, FREQUENCY_BANDS, Bin, calibration_error
from distill_lib.training.corpus import Corpus
from distill_lib.training.divergences import kl_divergence
from distill_lib.training.language_corpus import LanguageCorpus

_EDGES = np.arange(1, CONFIDENCE_BINS) / CONFIDENCE_BINS


def confidence_bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Sort confidences into 21 bins of equal width; bin k holds those in (k / 21, (k + 1) / 21].

    Parameters
    ----------
    confidence : ndarray
        Probabilities of likeliest tokens [...].

    Returns
    -------
    ndarray
        Number of the bin [...], 0 to 20; a confidence of 0 is in the first.
    """
    return np.searchsorted(_EDGES, confidence, side="left")


@functools.lru_cache(maxsize=2)  # of the corpora that a process has open: their text does not change
def frequency_bands(corpus: Corpus | LanguageCorpus) -> NDArray[np.int64]:
    """Sort the vocabulary into 8 bands, the most common tokens first, each an eighth of the training text.

    A token belongs where its share begins when shares are laid end to end, the largest first: a token of
    more than a quarter leaves the next band empty.

    Parameters
    ----------
    corpus : Corpus or LanguageCorpus
        Its tokens are counted in both training halves; of a language the stationary distribution is taken.

    Returns
    -------
    ndarray
        Band of each token [V], 0 for the most common.
    """
    if isinstance(corpus, LanguageCorpus):
        share = np.exp(corpus.language.log_conditionals[0])
    else:
        share = np.zeros(corpus.vocab_size)
        for part in ("teacher", "student"):
            share += np.bincount(corpus.tokens(part), minlength=corpus.vocab_size)
    share = share / share.sum()
    common = np.argsort(-share, kind="stable")
    begin = np.empty_like(share)
    begin[common] = np.cumsum(share[common]) - share[common]
    return np.minimum((FREQUENCY_BANDS * begin).astype(np.int64), FREQUENCY_BANDS - 1)


def observe(logits: Tensor, truth: Tensor, teacher_logits: Tensor | None = None) -> dict[str, Tensor]:
    """Tell at each position how sure the model is, whether it is right, and the same of its teacher.

    Parameters
    ----------
    logits : Tensor
        Logits of the model [B, T, V].
    truth : Tensor
        Next tokens [B, T], integers, or their true probabilities [B, T, V].
    teacher_logits : Tensor or None
        Logits of the teacher [B, T, V].

    Returns
    -------
    dict of str to Tensor
        Values [B, T] by the name of a mean in `distill_lib.measures.Bin`; ``top``, the likeliest token, besides.
    """
    confidence, top, loss = _surest(logits, truth)
    right = truth.gather(-1, top[..., None])[..., 0] if truth.ndim == logits.ndim else top == truth
    seen = {"confidence": confidence, "accuracy": right, "loss": loss, "top": top}
    if teacher_logits is not None:
        of_teacher, its_top, its_loss = _surest(teacher_logits, truth)
        seen |= {"confidence_teacher": of_teacher, "agreement": top == its_top, "loss_teacher": its_loss}
        seen["kl_teacher"] = kl_divergence(logits, teacher_logits)
    return seen


def _surest(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probability of the likeliest token, that token, and the cross-entropy with the truth."""
    total = logits.logsumexp(-1)
    largest, top = logits.max(-1)
    if truth.ndim == logits.ndim:
        # Not total - (truth * logits).sum: an excluded token (-inf) that never comes costs nothing.
        loss = -(truth * (logits - total[..., None])).nan_to_num(nan=0.0).sum(-1)
    else:
        loss = total - logits.gather(-1, truth[..., None])[..., 0]
    return (largest - total).exp(), top, loss


class BinSums:
    """Sums of values at positions, bin by bin.

    Parameters
    ----------
    by : str
        How positions are sorted, a key of `distill_lib.measures.BINS_BY`.
    """

    def __init__(self, by: str) -> None:
        self.by, self.n = by, BINS_BY[by]
        self._count = np.zeros(self.n)
        self._sums: dict[str, NDArray[np.float64]] = {}

    def add(self, bins: NDArray[np.int64], values: dict[str, NDArray[np.float64]]) -> None:
        """Add positions, each of which belongs to one bin.

        Parameters
        ----------
        bins : ndarray
            Bin of each position [n].
        values : dict of str to ndarray
            Values [n] by name.
        """
        self._count += np.bincount(bins, minlength=self.n)
        for name, value in values.items():
            total = self._sum(name)
            total += np.bincount(bins, weights=value, minlength=self.n)

    def spread(self, weights: NDArray[np.float64], values: dict[str, NDArray[np.float64]]) -> None:
        """Add positions that belong to several bins in part.

        Parameters
        ----------
        weights : ndarray
            Share of each position in each bin [n, bins].
        values : dict of str to ndarray
            Values [n] by name, the same in all bins, or products of share and value [n, bins].
        """
        self._count += weights.sum(0)
        for name, value in values.items():
            total = self._sum(name)
            total += value.sum(0) if value.ndim == 2 else value @ weights

    def _sum(self, name: str) -> NDArray[np.float64]:
        return self._sums.setdefault(name, np.zeros(self.n))

    def mean(self, name: str) -> float:
        """Mean over all positions.

        Parameters
        ----------
        name : str
            Name of a value.

        Returns
        -------
        float
            Its mean.
        """
        return float(self._sums[name].sum() / self._count.sum())

    def gap(self, expected: str, outcome: str) -> float:
        """Calibration error of one value against another in these bins.

        Parameters
        ----------
        expected, outcome : str
            Names of values.

        Returns
        -------
        float
            Mean over positions of the distance of both means in their bin.
        """
        filled = np.maximum(self._count, 1e-300)
        return calibration_error(self._count, self._sums[expected] / filled, self._sums[outcome] / filled)

    def bins(self) -> tuple[Bin, ...]:
        """Mean values of each bin.

        Returns
        -------
        tuple of Bin
            All bins, in order; those without positions have no means.
        """
        return tuple(
            Bin(
                self.by,
                number,
                float(count),
                **{name: float(total[number] / count) for name, total in self._sums.items() if count > 0},
            )
            for number, count in enumerate(self._count)
        )
