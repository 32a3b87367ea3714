"""Runs at once: each gives what it gives by itself, in whatever company, killed or not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from company import COMPANY, DIVERGING, TEACHER, assert_same_bits, teachers_of
from tiny import tiny_run

from distill_lib.scaling.specifications import ModelSpec
from distill_lib.training import together, trainer
from distill_lib.training.checkpoints import load_state
from distill_lib.training.corpus import Corpus, CorpusError
from distill_lib.training.logit_cache import LogitCache
from distill_lib.training.together import train_together
from distill_lib.training.trainer import Training, train


@pytest.fixture(scope="module")
def teacher(corpus: Corpus) -> trainer.Training:
    return train(TEACHER, corpus)


@pytest.fixture(scope="module")
def company(corpus: Corpus, teacher: trainer.Training) -> list[Training]:
    return train_together(COMPANY, corpus, teachers=teachers_of(COMPANY, teacher))


def test_each_run_gives_what_it_gives_by_itself(
    corpus: Corpus, teacher: trainer.Training, company: list[Training]
):
    for spec, given, found in zip(COMPANY, teachers_of(COMPANY, teacher), company, strict=True):
        alone = train(spec, corpus, teacher=given)
        assert found.diverged == alone.diverged == (spec == DIVERGING)
        if alone.evaluation is not None and found.evaluation is not None:
            # Rounding, after 32 steps at most; two seeds are a hundred times as far apart and more.
            assert found.evaluation.L == pytest.approx(alone.evaluation.L, rel=1e-4)
            assert found.evaluation.ece == pytest.approx(alone.evaluation.ece, abs=1e-3)
            if given is not None:
                assert found.evaluation.kl_teacher == pytest.approx(alone.evaluation.kl_teacher, rel=1e-3)
        assert found.device == "cpu"
        assert found.tokens_per_s > 0


def test_company_does_not_change_a_run(corpus: Corpus, teacher: trainer.Training, company: list[Training]):
    for places in ([0], [1], [4, 3, 1], [7, 5, 0, 6]):
        specs = [COMPANY[place] for place in places]
        found = train_together(specs, corpus, teachers=teachers_of(specs, teacher))
        for place, one in zip(places, found, strict=True):
            assert_same_bits(one, company[place])


def test_other_shapes_of_models_learn_as_by_themselves(corpus: Corpus):
    model = ModelSpec(d_model=16, n_layers=2, seq_len=32, qk_norm=True, mlp="gated")
    specs = [tiny_run(model=model, D=2**12, seed=seed) for seed in range(2)]
    for spec, found in zip(specs, train_together(specs, corpus), strict=True):
        assert found.evaluation.L == pytest.approx(train(spec, corpus).evaluation.L, rel=1e-4)


def test_text_that_is_repeated_is_counted(corpus: Corpus):
    spec = tiny_run(D=2**16 + 2**14, repeat=True, eval_tokens=2**10)
    (found,) = train_together([spec], corpus)
    alone = train(spec, corpus)
    assert found.epochs == alone.epochs
    assert found.epochs > 1.0
    assert found.evaluation.L == pytest.approx(alone.evaluation.L, rel=1e-2)


def test_runs_report_their_tokens_and_end_one_by_one(corpus: Corpus):
    specs = [tiny_run(D=2**13), tiny_run(D=2**11 + 256), DIVERGING]
    reported: dict[int, int] = {}
    ended: list[int] = []

    def report(place: int, tokens: int) -> None:
        assert place not in ended
        reported[place] = reported.get(place, 0) + tokens

    found = train_together(
        specs, corpus, report=report, finished=lambda place, result: ended.append((place, result))
    )
    places = [place for place, _ in ended]
    assert sorted(places) == [0, 1, 2]
    assert places[-1] == 0
    assert all(result is found[place] for place, result in ended)
    assert [reported[0], reported[1]] == [specs[0].D, specs[1].D]
    assert reported.get(2, 0) < DIVERGING.D


def test_students_that_read_the_same_ask_once(
    corpus: Corpus, teacher: trainer.Training, monkeypatch: pytest.MonkeyPatch
):
    asked = []
    forward = teacher.model.forward
    monkeypatch.setattr(teacher.model, "forward", lambda tokens: asked.append(len(tokens)) or forward(tokens))
    monkeypatch.setattr(together, "evaluate", lambda *_: None)
    specs = [tiny_run(D=2**11, seed=3).distilled_from(TEACHER, lam=lam) for lam in (0.2, 0.6, 1.0)]
    train_together(specs, corpus, teachers=teachers_of(specs, teacher))
    assert len(asked) == specs[0].steps


def test_kept_logits_change_nothing(
    corpus: Corpus, teacher: trainer.Training, company: list[Training], tmp_path: Path
):
    specs = COMPANY[1:2] + COMPANY[3:5]
    caches = [
        LogitCache(tmp_path, f"teacher-s{spec.seed}", teacher.model, corpus, "student", 32) for spec in specs
    ]
    found = train_together(specs, corpus, teachers=teachers_of(specs, teacher), kept_logits=caches)
    assert list(tmp_path.glob("*/*.logits"))
    for place, one in zip((1, 3, 4), found, strict=True):
        assert_same_bits(one, company[place])


KILLED = """
import json, sys
from pathlib import Path
import torch
from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.corpus import open_corpus
from distill_lib.training.together import train_together
torch.set_num_threads(1)
specs = [RunSpec.model_validate(spec) for spec in json.loads(sys.argv[1])]
states = [Path(sys.argv[3]) / spec.spec_hash for spec in specs]
train_together(specs, open_corpus(specs[0].corpus, sys.argv[2]), states=states, save_every=0.0)
"""


def test_killed_runs_go_on_to_the_same_bits_in_other_company(corpus: Corpus, cache: Path, tmp_path: Path):
    specs = [tiny_run(D=2**16, repeat=True, seed=seed, eval_tokens=2**10) for seed in (7, 8)]
    content = json.dumps([spec.model_dump(mode="json") for spec in specs])
    process = subprocess.Popen([sys.executable, "-c", KILLED, content, str(cache), str(tmp_path)])
    states = [tmp_path / spec.spec_hash for spec in specs]
    deadline = time.monotonic() + 300
    while not all(state.exists() for state in states):
        assert time.monotonic() < deadline, "no state"
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    step = load_state(states[0], f"{specs[0].spec_hash}-together")["step"]
    assert 0 < step < specs[0].steps
    reported: list[int] = []
    (resumed,) = train_together(
        specs[:1], corpus, states=states[:1], report=lambda _, tokens: reported.append(tokens)
    )
    assert reported[0] > step * 256
    assert sum(reported) == specs[0].D
    assert not states[0].exists()
    assert states[1].exists()
    assert_same_bits(resumed, train_together(specs, corpus)[0])


def test_a_run_by_itself_does_not_go_on_from_a_state_of_runs_at_once(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec, state = tiny_run(D=2**13), tmp_path / "run.state"
    monkeypatch.setattr(together, "forget_state", lambda path: None)
    train_together([spec], corpus, states=[state], save_every=0.0)
    assert state.exists()
    assert train(spec, corpus, state=state).evaluation == train(spec, corpus).evaluation


def test_runs_whose_states_cannot_be_kept_go_on(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, company: list[Training]
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(together, "save_state", full)
    (found,) = train_together(COMPANY[:1], corpus, states=[tmp_path / "run.state"], save_every=0.0)
    assert_same_bits(found, company[0])


def test_what_does_not_fit_together_is_refused(corpus: Corpus, teacher: trainer.Training):
    assert train_together([], corpus) == []
    other = tiny_run(model=ModelSpec(d_model=16, n_layers=1, seq_len=32))
    with pytest.raises(ValueError, match="split them"):
        train_together([tiny_run(), other], corpus)
    with pytest.raises(ValueError, match="split them"):
        train_together([tiny_run(), tiny_run(batch_tokens=512)], corpus)
    with pytest.raises(ValueError, match="a teacher"):
        train_together([tiny_run()], corpus, teachers=[teacher.model])
    with pytest.raises(ValueError, match="no teacher"):
        train_together(COMPANY[1:2], corpus)
    with pytest.raises(CorpusError, match="asked for"):
        train_together([tiny_run(D=2**20)], corpus)


def test_a_teacher_that_is_no_number_is_blamed(corpus: Corpus):
    class Broken(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return torch.full((*tokens.shape, 512), torch.nan)

    specs = [tiny_run(D=2**12), COMPANY[1]]
    with pytest.raises(ValueError, match=rf"{COMPANY[1].run}: teacher .* train it again"):
        train_together(specs, corpus, teachers=[None, Broken()])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("graphs", [False, True])
def test_a_gpu_learns_what_a_cpu_learns(graphs: bool, corpus: Corpus, company: list[Training]):
    spec = COMPANY[0]
    specs = [spec, tiny_run(D=2**11, seed=4)]  # the second leaves first
    found, _ = train_together(specs, corpus, device="cuda", graphs=graphs)
    assert found.evaluation.L == pytest.approx(company[0].evaluation.L, rel=1e-2)  # bfloat16
