"""Measures of a trained model on held-out text, each with the error that the finite sample leaves."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from distill_lib.measures import Bin
from distill_lib.training.brackets import choice_logits, closing_kinds, closings
from distill_lib.training.calibration import BinSums, confidence_bins, frequency_bands, observe
from distill_lib.training.copying import repetition
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
    accuracy : float
        Share of positions whose token the model holds for the likeliest; its expectation where the truth is
        known, as for all that follows.
    ece : float
        Expected calibration error: confidence against accuracy in 21 bins of confidence, a share (App E.8).
    kl_teacher : float or None
        KL(teacher || model) at temperature 1, nats per token; None without a teacher, as below.
    agreement : float or None
        Share of positions where model and teacher hold the same token for the likeliest.
    ece_teacher : float or None
        The same error against the teacher's likeliest token: confidence against agreement.
    bins : tuple of Bin
        What lies behind these, and more, by bins of positions.
    """

    L: float
    L_se: float
    accuracy: float
    ece: float
    kl_teacher: float | None = None
    agreement: float | None = None
    ece_teacher: float | None = None
    bins: tuple[Bin, ...] = field(default=(), repr=False)


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
    losses, tally = [], _Tally(corpus, teacher is not None)
    with torch.inference_mode():
        for first in range(0, len(index), _BATCH):
            batch = corpus.windows("validation", index[first : first + _BATCH], seq_len)
            window = torch.from_numpy(batch).to(device)
            logits = model(window[:, :-1])
            teacher_logits = None if teacher is None else teacher(window[:, :-1])
            if isinstance(corpus, LanguageCorpus):
                truth = torch.from_numpy(corpus.language.log_probs(batch[:, :-1])).to(device)
                logits = logits[:, blind:].double()
                if teacher_logits is not None:
                    teacher_logits = teacher_logits[:, blind:].double()
                loss = corpus.entropy_rate + kl_divergence(logits, truth)
                tally.add_expected(logits, truth.exp(), teacher_logits)
            else:
                loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none")
                loss = loss.view(len(window), seq_len).double()
                tally.add(batch, logits, window[:, 1:], teacher_logits)
            losses.append(loss.mean(1).cpu().numpy())
    per_window = np.concatenate(losses)
    return Evaluation(
        L=float(per_window.mean()),
        L_se=clustered_error(per_window, corpus.file_of("validation", index, seq_len)),
        **tally.measures(),
    )


class _Tally:
    """Sums over the positions seen so far, by all ways of sorting them."""

    def __init__(self, corpus: Corpus | LanguageCorpus, teacher: bool) -> None:
        self.band = frequency_bands(corpus)
        self.by_confidence, self.by_frequency = BinSums("confidence"), BinSums("frequency")
        self.by_teacher = BinSums("confidence_teacher") if teacher else None
        self.text = None if isinstance(corpus, LanguageCorpus) else corpus
        self.of_text = [] if self.text is None else [BinSums("repetition"), BinSums("bracket")]

    def add(
        self, windows: NDArray[np.int64], logits: Tensor, labels: Tensor, teacher_logits: Tensor | None
    ) -> None:
        """Add windows of text [B, T + 1] with what was predicted [B, T, V]."""
        values = self._by_confidence(observe(logits, labels, teacher_logits))
        self.by_frequency.add(self.band[windows[:, 1:]].reshape(-1), values)
        assert self.text is not None
        by_repetition, by_bracket = self.of_text
        by_repetition.add(repetition(windows).reshape(-1), values)
        closing = closings(self.text, windows)
        row, place = np.nonzero(closing >= 0)
        kinds = closing_kinds(self.text)
        chosen, of_teacher = (
            None if given is None else choice_logits(given[row, place], kinds)
            for given in (logits, teacher_logits)
        )
        assert chosen is not None
        answer = closing[row, place]
        by_bracket.add(answer, _table(observe(chosen, torch.from_numpy(answer).to(labels), of_teacher)))

    def add_expected(self, logits: Tensor, truth: Tensor, teacher_logits: Tensor | None) -> None:
        """Add windows whose true next-token probabilities are known [B, T, V]."""
        seen = observe(logits, truth, teacher_logits)
        values = self._by_confidence(seen)
        members = torch.from_numpy(np.eye(self.by_frequency.n)[self.band]).to(truth)  # [V, bands]
        # Each token that can follow counts in its own band, with its probability.
        products = {"loss": -(truth * logits.log_softmax(-1)) @ members}
        products["accuracy"] = seen["accuracy"][..., None] * members[seen["top"]]
        if teacher_logits is not None:
            products["loss_teacher"] = -(truth * teacher_logits.log_softmax(-1).to(truth)) @ members
        flat = {name: product.flatten(0, 1).cpu().numpy() for name, product in products.items()}
        self.by_frequency.spread((truth @ members).flatten(0, 1).cpu().numpy(), values | flat)

    def _by_confidence(self, seen: dict[str, Tensor]) -> dict[str, NDArray[np.float64]]:
        values = _table(seen)
        self.by_confidence.add(confidence_bins(values["confidence"]), values)
        if self.by_teacher is not None:
            self.by_teacher.add(confidence_bins(values["confidence_teacher"]), values)
        return values

    def measures(self) -> dict[str, Any]:
        """Measures of an `Evaluation`, by name."""
        sums = self.by_confidence
        found: dict[str, Any] = {
            "accuracy": sums.mean("accuracy"),
            "ece": sums.gap("confidence", "accuracy"),
        }
        if self.by_teacher is not None:
            found["kl_teacher"] = sums.mean("kl_teacher")
            found["agreement"] = sums.mean("agreement")
            found["ece_teacher"] = sums.gap("confidence", "agreement")
        ways = (sums, self.by_teacher, self.by_frequency, *self.of_text)
        found["bins"] = tuple(one for way in ways if way is not None for one in way.bins())
        return found


def _table(seen: dict[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    """Fetch values of all positions from the device in one go."""
    names = [name for name in seen if name != "top"]
    table = torch.stack([seen[name].double().flatten() for name in names]).cpu().numpy()
    return dict(zip(names, table, strict=True))


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
