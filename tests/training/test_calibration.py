"""Bins of confidence and frequency, and the errors that are read from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from distill_lib.scaling.specifications import LanguageSpec
from distill_lib.training.calibration import BinSums, confidence_bins, frequency_bands, observe
from distill_lib.training.corpus import Corpus, open_corpus


def some_logits(seed: int, n: int = 40_000, V: int = 12, scale: float = 1.5) -> Tensor:
    return scale * torch.randn(1, n, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn_from(logits: Tensor, seed: int = 100) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(logits[0].softmax(-1), 1, generator=generator).T


def summed(logits: Tensor, labels: Tensor) -> BinSums:
    seen = observe(logits, labels)
    values = {name: seen[name].double().flatten().numpy() for name in ("confidence", "accuracy", "loss")}
    sums = BinSums("confidence")
    sums.add(confidence_bins(values["confidence"]), values)
    return sums


def test_bins_are_21_of_equal_width_each_with_its_upper_edge():
    edges = np.arange(22) / 21
    assert confidence_bins(edges).tolist() == [0, *range(21)]
    assert confidence_bins(np.nextafter(edges[1:-1], 1)).tolist() == list(range(1, 21))
    assert confidence_bins((edges[:-1] + edges[1:]) / 2).tolist() == list(range(21))


def test_a_calibrated_model_has_no_error_beyond_that_of_the_sample():
    logits = some_logits(0)
    sums = summed(logits, drawn_from(logits))
    # Each bin's mean accuracy is off by a normal of this size: the mean of its absolute value is expected.
    noise = sum(
        math.sqrt(2 / math.pi * one.confidence * (1 - one.confidence) * one.count)
        for one in sums.bins()
        if one.count
    )
    assert 0 < sums.gap("confidence", "accuracy") < 2 * noise / logits.shape[1] < 0.02


@pytest.mark.parametrize("sharper", [0.5, 2.0])
def test_a_model_too_sure_or_too_unsure_has_the_gap_that_it_was_given(sharper: float):
    logits = some_logits(1)
    sums = summed(sharper * logits, drawn_from(logits))
    true = logits.softmax(-1).max(-1).values.mean()
    claimed = (sharper * logits).softmax(-1).max(-1).values.mean()
    # One-sided in every bin, so the bins cannot cancel; the accuracy drawn is off by 1/2 sqrt(1/n) at most.
    assert sums.gap("confidence", "accuracy") == pytest.approx(abs(claimed - true).item(), abs=0.01)
    assert abs(claimed - true) > 0.1


def test_where_the_truth_is_known_outcomes_are_expectations():
    logits, truth = some_logits(2, n=500), some_logits(3, n=500).softmax(-1)
    seen = observe(logits, truth)
    top = logits.argmax(-1)
    for t in range(500):
        assert seen["accuracy"][0, t] == truth[0, t, top[0, t]]
        surprise = -sum(truth[0, t] * logits[0, t].log_softmax(-1))
        assert seen["loss"][0, t].item() == pytest.approx(surprise.item(), rel=1e-12)


def test_a_token_that_never_comes_may_be_excluded():
    logits, truth = torch.tensor([[[0.0, 0.0, -math.inf]]]), torch.tensor([[[0.25, 0.75, 0.0]]])
    assert observe(logits, truth)["loss"].item() == pytest.approx(math.log(2))


def test_bands_are_eighths_of_the_training_text(corpus: Corpus):
    bands = frequency_bands(corpus)
    counts = sum(
        np.bincount(corpus.tokens(part), minlength=corpus.vocab_size) for part in ("teacher", "student")
    )
    shares = np.bincount(bands, weights=counts, minlength=8) / counts.sum()
    # A token is not cut: each border of a band is off by one token at most.
    largest = counts.max() / counts.sum()
    assert shares.sum() == pytest.approx(1)
    assert (abs(shares - 1 / 8) <= largest).all()
    for band in range(7):
        assert counts[bands == band].min() >= counts[bands == band + 1].max()


def test_bands_of_a_language_follow_its_stationary_distribution(cache):
    corpus = open_corpus(LanguageSpec(vocab_size=16, order=2, features=64), cache)
    share = np.exp(corpus.language.log_conditionals[0])
    bands = frequency_bands(corpus)
    assert bands[share.argmax()] == 0
    assert bands[share.argmin()] == 7
    assert (np.diff(bands[np.argsort(-share)]) >= 0).all()


def test_shares_of_a_position_add_up_as_positions_do():
    rng = np.random.default_rng(0)
    bins, values = rng.integers(0, 7, 100), {"loss": rng.random(100)}
    whole, spread = BinSums("frequency"), BinSums("frequency")
    whole.add(bins, values)
    spread.spread(np.eye(8)[bins], values)
    for one, other in zip(whole.bins(), spread.bins(), strict=True):
        assert one.count == other.count
        assert one.loss == (None if other.loss is None else pytest.approx(other.loss))
    assert whole.bins()[7].loss is None
    assert whole.mean("loss") == pytest.approx(values["loss"].mean())
