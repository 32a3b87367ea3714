"""Held-out measures and their errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_run

from distill_lib.measures import BINS_BY, calibration_error
from distill_lib.scaling.specifications import LanguageSpec
from distill_lib.training.calibration import frequency_bands
from distill_lib.training.copying import repetition
from distill_lib.training.corpus import Corpus, open_corpus
from distill_lib.training.evaluation import Evaluation, clustered_error, evaluate
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.model import Decoder


def test_an_untrained_model_loses_ln_V(corpus: Corpus):
    found = evaluate(Decoder(tiny_run().model), corpus, 4_096)
    assert pytest.approx(math.log(corpus.vocab_size), rel=1e-6) == found.L
    assert found.L_se == pytest.approx(0.0, abs=1e-6)
    assert found.kl_teacher is None


@pytest.fixture(scope="module")
def known(cache: Path) -> LanguageCorpus:
    return open_corpus(LanguageSpec(vocab_size=16, order=2, features=64), cache)


def some_model(seed: int, **options) -> Decoder:
    """Make a model that is sure of something, right or wrong."""
    model = Decoder(tiny_run().model.model_copy(update=options), seed=seed)
    with torch.no_grad():
        model.head.weight.normal_(0.0, 1.2, generator=torch.Generator().manual_seed(seed))
    return model


def test_a_model_is_its_own_perfect_teacher(corpus: Corpus):
    model = some_model(0)
    found = evaluate(model, corpus, 2_048, teacher=model)
    assert (found.kl_teacher, found.agreement) == (0.0, 1.0)
    for one in found.bins:
        if one.count:
            assert (one.agreement, one.confidence_teacher) == (1.0, one.confidence)
            assert one.loss_teacher == one.loss


def slowly(model: Decoder, teacher: Decoder, corpus: Corpus | LanguageCorpus, tokens: int, first: int):
    """Yield at each position what can come with which probability, and both models' distributions."""
    seq_len = model.spec.seq_len
    index = corpus.order("validation", seq_len, tokens, seed=0)
    for window in corpus.windows("validation", index, seq_len):
        both = [
            net(torch.from_numpy(window[None, :-1])).detach().double().softmax(-1)[0].numpy()
            for net in (model, teacher)
        ]
        repeated = repetition(window[None])[0]
        for t in range(first, seq_len):
            yield window, t, repeated[t], *(one[t] for one in both)


def by_hand(positions, bands: np.ndarray) -> dict:
    """Add positions to their bins one by one: (by, bin) -> sums, in the order of the columns."""
    sums: dict[tuple[str, int], np.ndarray] = {}
    for truth, repeated, p, p_T in positions:
        top, top_T = int(p.argmax()), int(p_T.argmax())
        for token, weight in enumerate(truth):
            if not weight:
                continue
            kl = sum(a * math.log(a / b) for a, b in zip(p_T, p, strict=True))
            values = [1.0, p[top], token == top, -math.log(p[token])]
            values = np.array([*values, p_T[top_T], top == top_T, -math.log(p_T[token]), kl])
            places = {"confidence": math.ceil(21 * p[top]) - 1, "frequency": bands[token]}
            places |= {"confidence_teacher": math.ceil(21 * p_T[top_T]) - 1, "repetition": repeated}
            for place in places.items():
                sums[place] = sums.get(place, 0.0) + weight * values
    return sums


def assert_same(found: Evaluation, sums: dict) -> None:
    seen = set()
    for one in found.bins:
        if one.by == "bracket":
            continue
        if not one.count:
            assert (one.by, one.bin) not in sums
            continue
        count, *means = sums[one.by, one.bin]
        seen.add(one.by)
        assert one.count == pytest.approx(count)
        got = [one.confidence, one.accuracy, one.loss, one.confidence_teacher, one.agreement]
        assert [*got, one.loss_teacher, one.kl_teacher] == pytest.approx(np.array(means) / count, rel=1e-4)
    by_confidence = np.array([value for (by, _), value in sums.items() if by == "confidence"])
    count = by_confidence[:, 0]
    sure, right, _, _, agreed, _, kl = (by_confidence[:, 1:] / count[:, None]).T
    assert found.ece == pytest.approx(calibration_error(count, sure, right), rel=1e-4)
    assert found.ece_teacher == pytest.approx(calibration_error(count, sure, agreed), rel=1e-4)
    assert found.accuracy == pytest.approx(np.average(right, weights=count), rel=1e-6)
    assert found.agreement == pytest.approx(np.average(agreed, weights=count), rel=1e-6)
    assert found.kl_teacher == pytest.approx(np.average(kl, weights=count), rel=1e-4)
    assert found.ece > 0.1
    assert seen == {one.by for one in found.bins} - {"bracket"}


def test_text_is_measured_as_a_slow_sum_over_positions_does(corpus: Corpus):
    model, teacher = some_model(1), some_model(2)
    positions = (
        (np.eye(512)[window[t + 1]], repeated, p, p_T)
        for window, t, repeated, p, p_T in slowly(model, teacher, corpus, 512, 0)
    )
    found = evaluate(model, corpus, 512, teacher)
    assert {one.by for one in found.bins} == set(BINS_BY)
    assert_same(found, by_hand(positions, frequency_bands(corpus)))


def test_a_language_is_measured_in_expectation_where_the_context_is_whole(known: LanguageCorpus):
    models = [some_model(seed, vocab_size=16, seq_len=8) for seed in (3, 4)]
    positions = (
        (np.exp(known.language.log_probs(window[t - 1 : t + 1])[0]), None, p, p_T)
        for window, t, _, p, p_T in slowly(*models, known, 512, first=1)
    )
    found = evaluate(models[0], known, 512, models[1])
    sums = by_hand(positions, frequency_bands(known))
    assert_same(found, {place: value for place, value in sums.items() if place[0] != "repetition"})


def test_without_a_teacher_nothing_is_said_of_one(corpus: Corpus):
    found = evaluate(some_model(5), corpus, 2_048)
    assert found.kl_teacher is found.agreement is found.ece_teacher is None
    assert {one.by for one in found.bins} == set(BINS_BY) - {"confidence_teacher"}
    assert all(one.confidence_teacher is None for one in found.bins)


def test_a_teacher_changes_nothing_that_is_the_models_own(corpus: Corpus):
    alone, beside = (evaluate(some_model(6), corpus, 2_048, teacher) for teacher in (None, some_model(7)))
    assert (alone.L, alone.L_se, alone.accuracy, alone.ece) == (
        beside.L,
        beside.L_se,
        beside.accuracy,
        beside.ece,
    )


def test_clusters_of_one_give_the_textbook_error():
    values = np.random.default_rng(0).normal(size=50)
    assert clustered_error(values, np.arange(50)) == pytest.approx(values.std(ddof=1) / math.sqrt(50))


def test_values_repeated_in_a_cluster_tell_nothing_new():
    values = np.random.default_rng(0).normal(size=50)
    repeated = clustered_error(np.repeat(values, 4), np.repeat(np.arange(50), 4))
    assert repeated == pytest.approx(values.std(ddof=1) / math.sqrt(50))


def test_error_covers_the_scatter_of_means_over_clusters():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 5)
    means, errors = [], []
    for _ in range(400):
        values = rng.normal(size=40)[clusters] + rng.normal(size=200)
        means.append(values.mean())
        errors.append(clustered_error(values, clusters))
    # Both sides are estimates from 400 draws: about 4 % each.
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)


def test_a_single_cluster_has_no_error_to_give():
    assert math.isnan(clustered_error(np.arange(5.0), np.zeros(5, dtype=np.int64)))
