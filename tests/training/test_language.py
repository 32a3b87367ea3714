"""The language of known entropy: its entropy found in several ways, its samples held against its table."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import chi2

from distill_lib import runs
from distill_lib.scaling.protocols import smoke, smoke_language
from distill_lib.scaling.specifications import CorpusSpec, LanguageSpec, ModelSpec, OracleSpec, RunSpec
from distill_lib.training.corpus import CorpusError, load_corpus, open_corpus
from distill_lib.training.evaluation import evaluate
from distill_lib.training.language import Language, Stationary, design_language
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.model import Decoder
from distill_lib.training.oracle import Oracle
from distill_lib.training.sampling import (
    TOTAL,
    alias_slots,
    continue_streams,
    quantise,
    random_draws,
    random_words,
)
from distill_lib.training.sweep import run_sweep
from distill_lib.training.trainer import train

SMALL = LanguageSpec(vocab_size=16, order=2, features=64)
TINY = LanguageSpec(vocab_size=4, order=2, features=16)


@pytest.fixture(scope="module")
def language() -> Language:
    return design_language(SMALL)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> LanguageCorpus:
    return open_corpus(SMALL, tmp_path_factory.mktemp("languages"))


def language_run(**options) -> RunSpec:
    defaults = {
        "corpus": SMALL,
        "model": ModelSpec(d_model=8, n_layers=1, seq_len=32, vocab_size=16),
        "D": 2**13,
        "batch_tokens": 256,
        "lr": 3.2e-2,
        "eval_tokens": 2**12,
    }
    return RunSpec(**(defaults | options))


def test_a_coin_with_a_memory_has_the_entropy_of_the_textbook():
    # Two states that change with probability 1/4 and 1/8: the first is met in 1/3 of all steps.
    counts = np.array([[49152, 16384], [8192, 57344]], dtype=np.uint16)
    binary = lambda p: -p * math.log(p) - (1 - p) * math.log(1 - p)  # noqa: E731
    found = Language(counts, 1)
    assert found.entropy_rate == pytest.approx(binary(1 / 4) / 3 + 2 * binary(1 / 8) / 3, rel=1e-12)
    assert found.staircase[0] == pytest.approx(binary(1 / 3), rel=1e-12)


def test_entropy_by_an_eigenvector_and_by_enumeration_of_blocks():
    language = design_language(TINY)
    V = TINY.vocab_size
    step = np.zeros((V**2, V**2))
    for a, b, c in itertools.product(range(V), repeat=3):
        step[a * V + b, b * V + c] = language.counts[a * V + b, c] / TOTAL
    values, vectors = np.linalg.eig(step.T)
    context = np.real(vectors[:, np.argmax(values.real)])
    context /= context.sum()
    np.testing.assert_allclose(context, language.stationary.probabilities.reshape(-1), atol=1e-12)
    # Entropies of all blocks of n tokens, each sequence by itself: the difference is the rate, for n above 2.
    block = {}
    for n in (2, 3, 4, 5):
        total = 0.0
        for tokens in itertools.product(range(V), repeat=n):
            p = context[tokens[0] * V + tokens[1]]
            for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False):
                p *= language.counts[a * V + b, c] / TOTAL
            total -= p * math.log(p)
        block[n] = total
    assert block[3] - block[2] == pytest.approx(language.entropy_rate, rel=1e-10)
    assert block[5] - block[4] == pytest.approx(language.entropy_rate, rel=1e-10)


def test_entropy_rate_is_the_long_run_surprise(language: Language):
    # The streams know nothing of the stationary distribution: they begin anywhere and forget it. Four standard
    # errors are passed once in 16,000 seeds; this seed is fixed.
    mean, error = language.long_run_entropy(2_000_000, seed=1)
    assert error < 2e-3
    assert abs(mean - language.entropy_rate) < 4 * error


def test_the_staircase_descends_from_the_unigram_to_the_rate(language: Language, known: LanguageCorpus):
    steps = language.staircase
    assert len(steps) == 3
    assert math.log(16) > steps[0] > steps[1] > steps[2] == language.entropy_rate
    assert known.manifest["staircase"] == list(steps)
    # Its middle step from counts of pairs in a sample: the plug-in error is about cells / (2 n) = 1e-4.
    windows = known.windows("teacher", known.order("teacher", 32, 2**20, seed=0), 32)
    pairs = np.zeros((16, 16))
    np.add.at(pairs, (windows[:, :-1].reshape(-1), windows[:, 1:].reshape(-1)), 1)
    share = pairs / pairs.sum()
    conditional = share / share.sum(1, keepdims=True)
    assert -(share * np.log(conditional)).sum() == pytest.approx(steps[1], abs=4e-3)


def test_the_stationary_distribution_stays_as_it_is(language: Language):
    found = language.stationary
    assert found.residual < 1e-12
    assert found.probabilities.sum() == pytest.approx(1.0)
    joint = found.probabilities[..., None] * language.counts.reshape(16, 16, 16) / TOTAL
    np.testing.assert_allclose(joint.sum(0), found.probabilities, atol=1e-13)


@pytest.mark.parametrize("vocab_size", [2, 16, 256])
def test_slots_hold_each_token_as_often_as_it_counts(vocab_size: int):
    weights = np.random.default_rng(0).dirichlet(np.full(vocab_size, 0.2), size=50)
    weights[0] = np.eye(vocab_size)[1]  # as sure as can be
    weights[1] = 1 / vocab_size  # every slot full by itself
    counts = quantise(weights)
    assert (counts.sum(1, dtype=int) == TOTAL).all()
    assert counts.min() >= 1
    assert np.abs(counts / TOTAL - weights).max() <= 2 * vocab_size / TOTAL
    slots = alias_slots(counts)
    draws = np.arange(TOTAL, dtype=np.uint16)[None]
    for row in range(len(counts)):
        # One stream for each value of the sixteen bits, from one context: an exact census.
        tokens = continue_streams(
            np.tile(slots[row], (vocab_size, 1)), np.zeros(TOTAL, dtype=np.int64), draws
        )
        np.testing.assert_array_equal(np.bincount(tokens[0], minlength=vocab_size), counts[row])


def test_sampled_tokens_follow_their_distributions(known: LanguageCorpus):
    windows = known.windows("student", known.order("student", 32, 2**19, seed=3), 32)
    language = known.language
    state = language.states(windows[:, :-1]).reshape(-1)
    seen = np.zeros(language.counts.shape)
    np.add.at(seen, (state, windows[:, 2:].reshape(-1)), 1)
    expected = seen.sum(1, keepdims=True) * language.counts / TOTAL
    usual = expected >= 5  # the rule of thumb under which Pearson's statistic is chi-square
    statistic = (((seen - expected) ** 2 / np.maximum(expected, 1))[usual]).sum()
    # Each context with k usual cells has k - 1 degrees at least (the rest is pooled nowhere, so up to k); the
    # band is taken between both, one in 10^4 on each side.
    cells, contexts = usual.sum(), usual.any(1).sum()
    assert chi2.ppf(1e-4, cells - contexts) < statistic < chi2.ppf(1 - 1e-4, cells)
    assert cells > 1000


def test_windows_begin_in_the_long_run_distribution(known: LanguageCorpus):
    n = 2**16
    windows = known.windows("student", known.order("student", 8, 8 * n, seed=0), 8)
    contexts = known.language.states(windows)
    expected = n * known.language.stationary.probabilities.reshape(-1)
    for position in (0, 6):
        seen = np.bincount(contexts[:, position], minlength=len(expected))
        usual = expected >= 5
        statistic = ((seen - expected)[usual] ** 2 / expected[usual]).sum()
        assert chi2.ppf(1e-4, usual.sum() - 1) < statistic < chi2.ppf(1 - 1e-4, usual.sum())


def test_no_two_numbers_have_one_word():
    words = random_words(np.arange(2**18, dtype=np.uint64), key=5)
    assert len(np.unique(words)) == 2**18
    assert not np.array_equal(words, random_words(np.arange(2**18, dtype=np.uint64), key=6))
    draws = random_draws(np.arange(2**16, dtype=np.uint64), key=5)
    assert draws.shape == (2**18,)
    # 2^18 draws of 256 values: each is met 1024 times, give or take 32.
    statistic = ((np.bincount(draws >> 8, minlength=256) - 1024) ** 2 / 1024).sum()
    assert chi2.ppf(1e-4, 255) < statistic < chi2.ppf(1 - 1e-4, 255)


def test_the_same_specification_gives_the_same_language_and_text(known: LanguageCorpus, tmp_path: Path):
    again = open_corpus(SMALL, tmp_path)
    assert again.id == known.id
    assert load_corpus(again.folder).manifest == known.manifest
    index = known.order("student", 32, 2**12, seed=1)
    np.testing.assert_array_equal(again.windows("student", index, 32), known.windows("student", index, 32))
    # In whatever order they are read.
    shuffled = np.random.default_rng(0).permutation(len(index))
    np.testing.assert_array_equal(
        again.windows("student", index[shuffled], 32), known.windows("student", index, 32)[shuffled]
    )
    other = open_corpus(SMALL.model_copy(update={"seed": 1}), tmp_path)
    assert other.id != known.id
    assert other.entropy_rate != known.entropy_rate


def test_a_damaged_language_is_built_again(known: LanguageCorpus, tmp_path: Path):
    folder = open_corpus(SMALL, tmp_path).folder
    content = bytearray((folder / "counts.npy").read_bytes())
    content[-1] ^= 0xFF
    (folder / "counts.npy").write_bytes(content)
    assert open_corpus(SMALL, tmp_path).id == known.id


def test_parts_and_seeds_share_no_text(known: LanguageCorpus):
    # 32 tokens of about 2 nats each: two windows are equal by chance once in e^60.
    streams = [
        known.windows(part, known.order(part, 32, 2**15, seed=seed), 32)
        for part in ("teacher", "student", "validation")
        for seed in (0, 1, 2**31 - 1)
    ]
    seen = np.concatenate(streams)
    assert len(np.unique(seen, axis=0)) == len(seen)


def test_the_shorter_order_begins_the_longer_and_is_bounded(known: LanguageCorpus):
    short, long = (known.order("student", 32, tokens, seed=4) for tokens in (2**10, 2**12))
    np.testing.assert_array_equal(short, long[: len(short)])
    with pytest.raises(CorpusError, match=r"one seed of language-16-\w+ gives .*: lower D"):
        known.order("student", 32, 2**40, seed=0)
    last = np.array([known.n_windows("student", 32) - 1, 2**31])
    ending, of_next = known.windows("student", last, 32)
    assert not np.array_equal(ending, of_next)


def test_the_truth_at_every_position(known: LanguageCorpus):
    language = known.language
    tokens = known.windows("validation", np.arange(4), 16)
    truth = language.log_probs(tokens)
    assert truth.shape == (4, 16, 16)
    np.testing.assert_allclose(np.exp(truth).sum(-1), 1.0, rtol=1e-12)
    row = language.counts[tokens[2, 5] * 16 + tokens[2, 6]]
    np.testing.assert_allclose(truth[2, 5], np.log(row / TOTAL), rtol=1e-12)
    logits = Oracle(language)(torch.from_numpy(tokens))
    assert logits.shape == (4, 17, 16)
    np.testing.assert_allclose(logits[:, 1:].numpy(), truth, atol=1e-6)
    # Of one token it knows what pairs of tokens tell.
    pair = language.stationary.probabilities
    expected = pair[tokens[:, 0]] / pair[tokens[:, 0]].sum(-1, keepdims=True)
    np.testing.assert_allclose(logits[:, 0].exp().numpy(), expected, rtol=1e-5)


def test_the_oracle_takes_windows_shorter_than_the_order():
    oracle = Oracle(design_language(LanguageSpec(vocab_size=4, order=3, features=8)))
    tokens = torch.tensor([[1, 2, 3, 0, 1]])
    for length in range(1, 6):
        assert torch.equal(oracle(tokens[:, :length]), oracle(tokens)[:, :length])


def test_the_loss_of_the_oracle_is_the_entropy_rate(known: LanguageCorpus):
    windows = torch.from_numpy(known.windows("validation", known.order("validation", 32, 2**18, seed=0), 32))
    logits = Oracle(known.language)(windows[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.mT, windows[:, 1:], reduction="none").double()
    error = (loss[:, 1:].mean(1).std() / math.sqrt(len(loss))).item()
    assert error < 5e-3
    assert abs(loss[:, 1:].mean().item() - known.entropy_rate) < 4 * error
    first = loss[:, 0]  # one token seen: the step of the staircase above
    assert abs(first.mean().item() - known.language.staircase[1]) < 4 * first.std().item() / math.sqrt(
        len(loss)
    )


def test_a_model_is_measured_against_the_truth(known: LanguageCorpus):
    trained = train(language_run(D=2**16), known).model
    spec = language_run()
    found = evaluate(trained, known, spec.eval_tokens)
    assert known.entropy_rate < found.L < known.language.staircase[0]
    # The sampled cross-entropy of other tokens agrees, with an error several times as large for as many tokens.
    windows = torch.from_numpy(known.windows("validation", known.order("validation", 32, 2**19, seed=9), 32))
    with torch.inference_mode():
        loss = torch.nn.functional.cross_entropy(
            trained(windows[:, :-1]).mT, windows[:, 1:], reduction="none"
        )
    means = loss[:, 1:].double().mean(1)
    error = means.std().item() / math.sqrt(len(means))
    assert abs(means.mean().item() - found.L) < 4 * math.hypot(error, found.L_se)
    of_as_many = means.std().item() / math.sqrt(spec.eval_tokens // 32)
    assert found.L_se < of_as_many / 2


def test_an_untrained_model_is_off_by_what_it_does_not_know(known: LanguageCorpus):
    # Logits of zero lose ln V of every token; that is E plus the KL, whose mean over contexts is ln V - E.
    found = evaluate(Decoder(language_run().model), known, 2**16)
    assert abs(found.L - math.log(16)) < 4 * found.L_se


def test_a_context_that_hides_the_truth_is_refused(known: LanguageCorpus):
    model = Decoder(ModelSpec(d_model=8, seq_len=2, vocab_size=16))
    assert evaluate(model, known, 64).L > 0
    blind = LanguageCorpus(known.folder)
    blind.language.order = 3
    with pytest.raises(ValueError, match="seq_len=2 shows less than the 3 tokens that matter"):
        evaluate(model, blind, 64)


def test_learning_from_the_oracle_is_faster(known: LanguageCorpus):
    spec = language_run(D=2**14)
    supervised = train(spec, known).evaluation
    distilled = train(spec.distilled_from(OracleSpec()), known, teacher=Oracle(known.language)).evaluation
    # One seed of a tiny run moves by about .01.
    assert distilled.L < supervised.L - 0.02
    assert distilled.kl_teacher == pytest.approx(distilled.L - known.entropy_rate, abs=1e-5)


def test_a_sweep_records_the_oracle_for_what_it_is(known: LanguageCorpus, tmp_path: Path):
    teacher = language_run(split="teacher", D=2**12)
    student = language_run(D=2**11)
    specs = [student, student.distilled_from(OracleSpec()), student.distilled_from(teacher)]
    cache = known.folder.parents[1]
    table = run_sweep(specs, tmp_path / "t.csv", workers=1, cache=cache, quiet=True).set_index("spec_hash")
    assert len(table) == 4
    row = table.loc[specs[1].spec_hash]
    assert (row["teacher_run"], row["L_T"]) == ("oracle", known.entropy_rate)
    assert pd.isna(row["N_T"])
    assert pd.isna(row["D_T"])
    assert row["flops"] == table.loc[student.spec_hash, "flops"]
    assert (table["corpus"] == known.id).all()
    (sweep,) = runs.verify_manifest(tmp_path / "t.csv")["sweeps"]
    assert sweep["corpus"]["entropy_rate"] == known.entropy_rate
    for key, content in runs.verify_manifest(tmp_path / "t.csv")["specs"].items():
        assert RunSpec.model_validate(content).spec_hash == key


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vocab_size": 48}, "power of two"),
        ({"vocab_size": 512}, "less than or equal to 256"),
        ({"vocab_size": 1}, "greater than or equal to 2"),
        ({"order": 0}, "greater than or equal to 1"),
        ({"order": 4}, "1,073,741,824 numbers, 16,777,216 at most: lower one"),
        ({"vocab_size": 128}, "lower one of them"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"amplitude": math.nan}, "amplitude"),
        ({"gain": 11}, "less than or equal to 10"),
        ({"megabytes": 1}, "Extra inputs"),
    ],
)
def test_languages_out_of_range_are_refused(options: dict, words: str):
    with pytest.raises(ValidationError, match=words):
        LanguageSpec(**options)


def test_runs_that_cannot_be_are_refused():
    with pytest.raises(ValidationError, match="an oracle knows a language of known entropy alone"):
        RunSpec(model=ModelSpec(d_model=8), D=2**12).distilled_from(OracleSpec())
    with pytest.raises(ValidationError, match="the model has 512 tokens, its corpus 16"):
        RunSpec(corpus=SMALL, model=ModelSpec(d_model=8), D=2**12)
    with pytest.raises(ValidationError, match="differ in corpus"):
        language_run().distilled_from(
            RunSpec(model=ModelSpec(d_model=8, seq_len=32), D=2**12, split="teacher")
        )


def test_tables_and_tokens_that_make_no_language_are_refused(language: Language):
    with pytest.raises(ValueError, match=r"expected \[V\*\*order, V\]"):
        Language(language.counts, 3)
    with pytest.raises(ValueError, match="sum to 65536"):
        Language(language.counts + np.uint16(1), 2)
    with pytest.raises(ValueError, match="expected 0 to 15"):
        language.log_probs(np.array([3, 16]))
    with pytest.raises(ValueError, match="a context has 2"):
        language.log_probs(np.array([3]))
    with pytest.raises(ValueError, match="two streams"):
        language.long_run_entropy(1000, streams=1)


def test_a_language_knows_a_distribution_it_is_given(language: Language):
    given = Stationary(language.stationary.probabilities, 0.0, 0)
    assert Language(language.counts, 2, given).stationary is given


def test_hashes_of_text_runs_stay_and_those_of_languages_cover_their_options():
    # From the first table that was committed.
    assert {"7892c34e851b", "764058aafdb4"} <= {spec.spec_hash for spec in smoke(1)}
    assert RunSpec(model=ModelSpec(d_model=16), D=2**17).corpus == CorpusSpec()
    changed = [
        language_run(corpus=SMALL.model_copy(update=change)).spec_hash
        for change in ({}, {"seed": 1}, {"gain": 2.0}, {"features": 65}, {"zipf": 0.5})
    ]
    assert len(set(changed)) == len(changed)
    oracle = language_run().distilled_from(OracleSpec())
    assert oracle.spec_hash != language_run().spec_hash
    assert RunSpec.model_validate(oracle.model_dump(mode="json")) == oracle


def test_the_preset_is_a_grid_with_pairs():
    specs = smoke_language(2)
    assert len({spec.spec_hash for spec in specs}) == len(specs)
    grid = {(spec.model.N, spec.D) for spec in specs if spec.teacher is None}
    assert len(grid) == 15
    for spec in specs:
        if spec.teacher is not None:
            twin = spec.model_copy(update={"teacher": None, "lam": None, "tau": None, "direction": None})
            assert twin in specs
    with pytest.raises(ValueError, match="seeds=0"):
        smoke_language(0)
