"""One run: it learns, it repeats bit by bit, and it says when it diverges."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tiny import tiny_run

from distill_lib.training import trainer
from distill_lib.training.checkpoints import load_state
from distill_lib.training.corpus import Corpus, CorpusError
from distill_lib.training.trainer import rate, train


@pytest.fixture(scope="module")
def teacher(corpus: Corpus) -> trainer.Training:
    return train(tiny_run(split="teacher", D=2**14), corpus)


def test_a_run_learns_and_measures_itself(corpus: Corpus, teacher: trainer.Training):
    found = teacher.evaluation
    assert found is not None
    assert 2.0 < found.L < math.log(corpus.vocab_size) - 0.5
    assert 0.0 < found.L_se < 0.5
    assert teacher.device == "cpu"
    assert teacher.seconds > 0
    assert teacher.tokens_per_s > 0


@pytest.mark.parametrize("objective", ["supervised", "distilled"])
def test_the_same_specification_gives_the_same_bits(
    objective: str, corpus: Corpus, teacher: trainer.Training
):
    spec = tiny_run(seed=5)
    given = None
    if objective == "distilled":
        spec, given = spec.distilled_from(tiny_run(split="teacher", D=2**14)), teacher.model
    first, second = (train(spec, corpus, teacher=given) for _ in range(2))
    assert first.evaluation == second.evaluation
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_seed_is_another_run(corpus: Corpus):
    losses = {train(tiny_run(D=2**12, seed=seed), corpus).evaluation.L for seed in range(3)}
    assert len(losses) == 3


def test_a_distilled_student_comes_near_its_teacher(corpus: Corpus, teacher: trainer.Training):
    spec = tiny_run(D=2**14)
    supervised = train(spec, corpus)
    distilled = train(spec.distilled_from(tiny_run(split="teacher", D=2**14)), corpus, teacher=teacher.model)
    near = distilled.evaluation.kl_teacher
    far = trainer.evaluate(supervised.model, corpus, spec.eval_tokens, teacher.model).kl_teacher
    assert 0.0 < near < far


def test_lam_of_zero_trains_as_a_supervised_run(corpus: Corpus, teacher: trainer.Training):
    spec = tiny_run(D=2**12)
    mixed = spec.distilled_from(tiny_run(split="teacher", D=2**14), lam=0.0)
    distilled = train(mixed, corpus, teacher=teacher.model).evaluation.L
    assert distilled == pytest.approx(train(spec, corpus).evaluation.L, rel=1e-6)


def test_progress_adds_up(corpus: Corpus):
    reported: list[int] = []
    spec = tiny_run(D=2**13 - 256 * 5)
    train(spec, corpus, report=reported.append)
    assert sum(reported) == spec.D
    assert len(reported) > 1


def test_a_diverged_run_ends_early_and_says_so(corpus: Corpus):
    reported: list[int] = []
    # A decoupled decay of 1000 times the rate multiplies the weights in every step.
    result = train(tiny_run(lr=1.0, weight_decay=1000.0, warmup=0.0), corpus, report=reported.append)
    assert result.diverged
    assert result.evaluation is None
    assert sum(reported) < 2**13


KILLED = """
import json, sys
from pathlib import Path
import torch
from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.corpus import open_corpus
from distill_lib.training.trainer import train
torch.set_num_threads(1)
spec = RunSpec.model_validate(json.loads(sys.argv[1]))
train(spec, open_corpus(spec.corpus, sys.argv[2]), state=Path(sys.argv[3]), save_every=0.0)
"""


def test_a_killed_run_goes_on_to_the_same_bits(corpus: Corpus, cache: Path, tmp_path: Path):
    spec, state = tiny_run(D=2**16 + 3 * 256, repeat=True, seed=7), tmp_path / "run.state"
    command = [sys.executable, "-c", KILLED, json.dumps(spec.model_dump(mode="json")), str(cache), str(state)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 300
    while not state.exists():
        assert time.monotonic() < deadline, "no state"
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    step = load_state(state, spec.spec_hash)["step"]
    assert 0 < step < spec.steps
    reported: list[int] = []
    resumed = train(spec, corpus, state=state, report=reported.append)
    assert reported[0] == step * spec.batch_tokens
    assert sum(reported) == spec.D
    assert not state.exists()
    unbroken = train(spec, corpus)
    assert resumed.evaluation == unbroken.evaluation
    for one, other in zip(resumed.model.parameters(), unbroken.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_damaged_state_begins_again(corpus: Corpus, tmp_path: Path):
    spec, state = tiny_run(D=2**12), tmp_path / "run.state"
    state.write_bytes(b"no state")
    assert train(spec, corpus, state=state).evaluation == train(spec, corpus).evaluation


def test_a_run_whose_state_cannot_be_kept_goes_on(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer, "save_state", full)
    spec = tiny_run(D=2**13)
    found = train(spec, corpus, state=tmp_path / "run.state", save_every=0.0).evaluation
    assert found == train(spec, corpus).evaluation


def test_a_teacher_is_given_exactly_when_it_is_needed(corpus: Corpus, teacher: trainer.Training):
    with pytest.raises(ValueError, match="a teacher"):
        train(tiny_run(), corpus, teacher=teacher.model)
    with pytest.raises(ValueError, match="no teacher"):
        train(tiny_run().distilled_from(tiny_run(split="teacher")), corpus)


def test_a_corpus_that_is_too_small_is_refused(corpus: Corpus):
    with pytest.raises(CorpusError, match="asked for"):
        train(tiny_run(D=2**20), corpus)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_rate_rises_then_falls_to_zero(schedule: str):
    spec = tiny_run(D=256 * 100, warmup=0.1, schedule=schedule)
    rates = [rate(step, spec) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_warmup_is_200_steps_at_most():
    spec = tiny_run(D=256 * 10_000, warmup=0.5)
    assert rate(199, spec) == 1.0
    assert rate(198, spec) < 1.0
