"""Held-out measures and their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny import tiny_run

from distill_lib.training.corpus import Corpus
from distill_lib.training.evaluation import clustered_error, evaluate
from distill_lib.training.model import Decoder


def test_an_untrained_model_loses_ln_V(corpus: Corpus):
    found = evaluate(Decoder(tiny_run().model), corpus, 4_096)
    assert pytest.approx(math.log(corpus.vocab_size), rel=1e-6) == found.L
    assert found.L_se == pytest.approx(0.0, abs=1e-6)
    assert found.kl_teacher is None


def test_a_model_is_its_own_perfect_teacher(corpus: Corpus):
    model = Decoder(tiny_run().model)
    assert evaluate(model, corpus, 2_048, teacher=model).kl_teacher == pytest.approx(0.0, abs=1e-6)


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
