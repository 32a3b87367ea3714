"""Many runs: resumable at any kill, one row each, and one line for whatever goes wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from tiny import tiny_run

from distill_lib import runs
from distill_lib.figures import calibration, where_loss_is
from distill_lib.measures import calibration_error, read_measures
from distill_lib.scaling.specifications import CorpusSpec, ModelSpec, TruncationSpec
from distill_lib.training import sweep as module
from distill_lib.training.corpus import Corpus
from distill_lib.training.processes import at_once
from distill_lib.training.sweep import SweepError, run_preset, run_sweep

mpl.use("agg")

TEACHER = tiny_run(split="teacher")
SPECS = [
    tiny_run(D=2**12),
    tiny_run(D=2**12).distilled_from(TEACHER),
    tiny_run(D=2**12, seed=1).distilled_from(TEACHER, lam=0.5, tau=2.0),
]
MEASURED = ["L", "L_se", "accuracy", "ece", "kl_teacher", "agreement", "ece_teacher", "L_T"]


def children() -> set[int]:
    """List the processes of this one that run a worker."""
    listing = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    rows = (line.split(None, 2) for line in listing.stdout.splitlines()[1:])
    return {
        int(pid) for pid, parent, args in rows if int(parent) == os.getpid() and "training.worker" in args
    }


@pytest.fixture(scope="module")
def swept(corpus: Corpus, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = tmp_path_factory.mktemp("sweep") / "table.csv"
    run_sweep(SPECS, table, cache=cache, quiet=True, command="a test")
    return table


def test_one_row_for_each_run_and_the_teacher_that_was_not_asked_for(swept: Path, corpus: Corpus):
    table = runs.read(swept).set_index("spec_hash")
    assert set(table.index) == {spec.spec_hash for spec in [TEACHER, *SPECS]}
    assert (table["status"] == "ok").all()
    assert (table["corpus"] == corpus.id).all()
    teacher, (_, first, second) = table.loc[TEACHER.spec_hash], SPECS
    assert table.loc[first.spec_hash, "L_T"] == teacher["L"]
    assert table.loc[second.spec_hash, "teacher_run"] == teacher["run"]
    assert (table.loc[second.spec_hash, "lam"], table.loc[second.spec_hash, "tau"]) == (0.5, 2.0)
    assert table.loc[first.spec_hash, "kl_teacher"] > 0
    assert not children()


def test_the_manifest_says_where_the_rows_come_from(swept: Path):
    manifest = runs.verify_manifest(swept)
    (sweep,) = manifest["sweeps"]
    assert sweep["command"] == "a test"
    assert sorted(sweep["runs"]) == sorted(runs.read(swept)["run"])
    assert set(manifest["specs"]) == {spec.spec_hash for spec in [TEACHER, *SPECS]}
    assert {"python", "versions", "cores"} <= set(sweep["environment"])


def test_every_run_has_its_bins_and_they_give_its_row(swept: Path):
    table, bins = runs.read(swept).set_index("run"), read_measures(swept)
    assert set(bins["run"]) == set(table.index)
    assert bins["confidence_teacher"].notna().any()
    for run, own in bins[bins["by"] == "confidence"].groupby("run"):
        row, filled = table.loc[run], own[own["count"] > 0]
        assert own["count"].sum() == TEACHER.eval_tokens
        for error, outcome in {"ece": "accuracy", "ece_teacher": "agreement"}.items():
            found = calibration_error(own["count"], own["confidence"], own[outcome])
            assert pd.isna(row[error]) == (row["objective"] == "supervised" and error == "ece_teacher")
            assert pd.isna(row[error]) or found == pytest.approx(row[error], abs=1e-5)
        assert np.average(filled["loss"], weights=filled["count"]) == pytest.approx(row["L"], rel=1e-5)


def test_what_was_measured_can_be_drawn(swept: Path):
    table, bins = runs.read(swept), read_measures(swept)
    error = table.loc[table["spec_hash"] == TEACHER.spec_hash, "ece"].item()
    _, teachers = calibration.fig42_teacher_calibration(table, bins)
    assert teachers[0, 0].texts[0].get_text() == f"ECE {100 * error:.1f} %"
    calibration.fig46_student_within_teacher_bins(table, bins)
    where_loss_is.loss_by_token_frequency(table, bins)
    _, (pairs, _) = where_loss_is.fig35_scores_against_loss(table, bins)
    assert sorted(x for line in pairs.lines for x in line.get_xdata()) == sorted(table["L"])
    plt.close("all")


def test_a_second_sweep_repeats_nothing_and_adds_what_is_new(
    swept: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "table.csv"
    lines = swept.read_text().splitlines(keepends=True)
    table.write_text("".join(lines)[:-30])  # the last line is torn: its run is repeated
    runs.manifest_path(table).write_text(runs.manifest_path(swept).read_text())
    run_sweep([*SPECS, tiny_run(D=2**11)], table, workers=1, cache=cache)
    assert table.read_text().startswith("".join(lines[:-1]))
    frame = runs.read(table)
    assert len(frame) == 5
    assert frame["run"].is_unique
    # Each sweep has the rows that it wrote: the one that was torn is of the second.
    assert [len(sweep["runs"]) for sweep in runs.verify_manifest(table)["sweeps"]] == [3, 2]
    said = capsys.readouterr().err
    assert "torn line was set aside" in said
    assert f"{tiny_run(D=2**11).run}: L = " in said
    assert "\x1b" not in said  # no terminal, no bar


def test_a_lost_teacher_is_trained_again_without_a_second_row(swept: Path, cache: Path, tmp_path: Path):
    table = tmp_path / "table.csv"
    lines = swept.read_text().splitlines(keepends=True)
    table.write_text(
        "".join([lines[0], *(line for line in lines[1:] if line.startswith("supervised-teacher"))])
    )
    for weights in cache.glob(f"checkpoints/{TEACHER.spec_hash}-*/weights.pt"):
        weights.write_bytes(weights.read_bytes()[:-100])
    run_sweep(SPECS[1:2], table, workers=1, cache=cache, quiet=True)
    first, second = (runs.read(path).set_index("spec_hash")[MEASURED] for path in (swept, table))
    assert len(second) == 2
    pd.testing.assert_frame_equal(first.loc[second.index], second, check_exact=True)


def test_a_killed_sweep_goes_on_where_it_was(corpus: Corpus, cache: Path, swept: Path, tmp_path: Path):
    table = tmp_path / "table.csv"
    specs = [tiny_run(D=2**12, seed=seed) for seed in range(20, 22)]
    content = json.dumps([spec.model_dump(mode="json") for spec in [*SPECS, *specs]])
    code = (
        "import json, sys\n"
        "from distill_lib.scaling.specifications import RunSpec\n"
        "from distill_lib.training.sweep import run_sweep\n"
        "specs = [RunSpec.model_validate(spec) for spec in json.loads(sys.argv[3])]\n"
        "run_sweep(specs, sys.argv[1], cache=sys.argv[2], quiet=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(table), str(cache), content])
    deadline = time.monotonic() + 300
    while not (table.exists() and len(table.read_text().splitlines()) > 1):
        assert time.monotonic() < deadline, "no rows"
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = runs.read(table)["run"].tolist()
    assert 0 < len(done) < 6
    frame = run_sweep([*SPECS, *specs], table, workers=1, cache=cache, quiet=True)
    assert frame["run"].tolist()[: len(done)] == done
    assert len(frame) == 6
    assert frame["run"].is_unique
    assert set(read_measures(table)["run"]) == set(frame["run"])
    runs.verify_manifest(table)
    first = runs.read(swept).set_index("spec_hash")[MEASURED]
    second = frame.set_index("spec_hash")[MEASURED]
    both = first.index.intersection(second.index)
    pd.testing.assert_frame_equal(first.loc[both], second.loc[both], check_exact=True)


def test_an_interrupt_stops_the_workers_and_keeps_the_rows(
    corpus: Corpus, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = tmp_path / "table.csv"
    record = module.SweepTable.record

    def record_and_stop(*given: object) -> None:
        record(*given)
        assert children()
        raise KeyboardInterrupt

    monkeypatch.setattr(module.SweepTable, "record", record_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(
            [tiny_run(D=2**12, seed=seed) for seed in range(4)], table, workers=1, cache=cache, quiet=True
        )
    assert not children()
    assert len(runs.read(table)) == 1


def test_a_diverged_run_is_recorded_and_its_students_are_named(cache: Path, corpus: Corpus, tmp_path: Path):
    table = tmp_path / "table.csv"
    bad = tiny_run(split="teacher", lr=1.0, weight_decay=1000.0, warmup=0.0)
    student = tiny_run(D=2**12).distilled_from(bad)
    with pytest.raises(SweepError, match=f"teacher diverged: {student.run}"):
        run_sweep([student, tiny_run(D=2**12)], table, workers=1, cache=cache, quiet=True)
    frame = runs.read(table).set_index("spec_hash")
    assert frame.loc[bad.spec_hash, "status"] == "diverged"
    assert pd.isna(frame.loc[bad.spec_hash, "L"])
    assert frame.loc[tiny_run(D=2**12).spec_hash, "status"] == "ok"


def test_a_failing_run_is_named_with_its_reason(corpus: Corpus, cache: Path, tmp_path: Path):
    spec = tiny_run(D=2**12)
    with pytest.raises(SweepError, match=rf"{spec.run}: .*'cudaa'.*run the same command to resume"):
        run_sweep([spec], tmp_path / "t.csv", cache=cache, quiet=True, device="cudaa")


def test_a_run_that_asks_for_more_text_than_there_is_is_named_before_any_is_trained(
    corpus: Corpus, cache: Path, tmp_path: Path
):
    for large, words in {
        tiny_run(D=2**20): r"tokens asked for.*allow repetition with repeat=True$",
        tiny_run(
            D=2**12, eval_tokens=2**20
        ): r"eval_tokens=1,048,576, .* holds [\d,]+: lower eval_tokens, or raise",
    }.items():
        with pytest.raises(SweepError, match=f"^{large.run}: .*{words}"):
            run_sweep([tiny_run(D=2**11), large], tmp_path / "t.csv", cache=cache, quiet=True)
    assert not (tmp_path / "t.csv").exists()


def test_a_teacher_of_a_teacher_is_trained_first_and_again_if_it_is_lost(
    corpus: Corpus, cache: Path, tmp_path: Path
):
    first = tiny_run(D=2**11, seed=7)
    second = tiny_run(D=2**11, split="teacher").distilled_from(first)
    students = [tiny_run(D=2**11, seed=seed).distilled_from(second) for seed in (0, 1)]
    assert module.teachers_of(students) == [first, second]
    table = run_sweep(students[:1], tmp_path / "t.csv", cache=cache, quiet=True)
    assert table["spec_hash"].tolist() == [spec.spec_hash for spec in (first, second, students[0])]
    for weights in cache.glob(f"checkpoints/{second.spec_hash}-*/weights.pt"):
        weights.unlink()
    for weights in cache.glob(f"checkpoints/{first.spec_hash}-*/weights.pt"):
        weights.unlink()
    again = run_sweep(students, tmp_path / "t.csv", cache=cache, quiet=True)
    assert again["spec_hash"].tolist()[3:] == [students[1].spec_hash]


def test_a_worker_that_dies_is_named(
    corpus: Corpus, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    send = module.WorkerProcess.send

    def send_and_kill(process: module.WorkerProcess, orders: list[module.Order]) -> None:
        send(process, orders)
        process._process.kill()

    monkeypatch.setattr(module.WorkerProcess, "send", send_and_kill)
    with pytest.raises(SweepError, match=r"its worker was killed.*out of memory"):
        run_sweep([TEACHER], tmp_path / "t.csv", cache=cache, quiet=True)


def test_students_of_one_teacher_and_seed_stand_together_after_the_teachers():
    other = tiny_run(split="teacher", seed=9)
    plain = [tiny_run(D=2**10 * k) for k in (1, 30, 2)]
    first = [tiny_run(D=2**10 * k).distilled_from(TEACHER) for k in (1, 3)]
    second = [tiny_run(D=2**10 * k, seed=1).distilled_from(TEACHER) for k in (4, 5)]
    alone = tiny_run(D=2**10 * 20).distilled_from(other)
    unasked = tiny_run(D=2**10 * 2).distilled_from(TEACHER, lam=0.0)
    orders = [
        module.Order(spec, keep=spec in (TEACHER, other), measured=False)
        for spec in [*plain, *first, alone, unasked, *second, TEACHER, other]
    ]
    found = module.in_turn(orders)
    assert {order.spec.split for order in found[:2]} == {"teacher"}
    assert [order.spec for order in found[2:6]] == [second[1], second[0], first[1], first[0]]
    assert [order.sharing for order in found[2:]] == [2] * 4 + [1] * 5
    costs = [order.cost for order in found[6:]]
    assert costs == sorted(costs, reverse=True)


def test_students_that_see_other_tokens_share_nothing():
    def cut(k: int, missing: str, seed: int = 0):
        truncation = TruncationSpec(keep="top_k", k=k, missing=missing)
        return tiny_run(D=2**12, seed=seed).distilled_from(TEACHER, truncation=truncation)

    specs = [cut(8, "tail"), cut(8, "renormalise"), cut(4, "tail"), cut(8, "tail", seed=1)]
    specs += [tiny_run(D=2**12).distilled_from(TEACHER), cut(400, "tail")]
    found = module.in_turn([module.Order(spec, keep=False, measured=False) for spec in specs])
    sharing = {order.spec.spec_hash: order.sharing for order in found}
    assert [sharing[spec.spec_hash] for spec in specs] == [2, 2, 1, 1, 2, 2]
    # Trained at once, all are given all logits.
    found = module.in_turn([module.Order(spec, keep=False, measured=False) for spec in specs], together=True)
    sharing = {order.spec.spec_hash: order.sharing for order in found}
    assert [sharing[spec.spec_hash] for spec in specs] == [5, 5, 5, 1, 5, 5]


def test_runs_at_once_share_all_logits_whatever_they_see_of_them(corpus: Corpus, cache: Path, tmp_path: Path):
    large = tiny_run(split="teacher", model=ModelSpec(d_model=32, seq_len=32), D=2**12, seed=3)
    students = [
        tiny_run(D=2**11, seed=3).distilled_from(large, truncation=TruncationSpec(keep="top_k", k=k))
        for k in (4, 8)
    ]
    run_sweep(students, tmp_path / "t.csv", workers=1, cache=cache, quiet=True, together=True)
    (file,) = cache.glob(f"logits/{large.spec_hash}-*-s3/*.logits")
    assert file.stat().st_size == 1024 + 2**11 * 512 * 2


@pytest.mark.parametrize(
    ("options", "width"),
    [({}, 2 * 512), ({"truncation": TruncationSpec(keep="top_k", k=8, missing="tail")}, 6 * 8 + 4)],
    ids=["all", "top-8"],
)
def test_a_sweep_that_keeps_logits_gives_the_rows_of_one_that_does_not(
    options: dict,
    width: int,
    swept: Path,
    cache: Path,
    corpus: Corpus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    large = tiny_run(split="teacher", model=ModelSpec(d_model=32, seq_len=32), D=2**12)
    students = [tiny_run(D=2**11 * k).distilled_from(large, **options) for k in (1, 2)]
    before = set(cache.glob("logits/*/*.logits"))
    kept = run_sweep(students, tmp_path / "kept.csv", workers=2, cache=cache)
    files = set(cache.glob(f"logits/{large.spec_hash}-*-s0/*.logits")) - before
    assert sorted(file.stat().st_size for file in files) == [1024 + 2**11 * k * width for k in (1, 2)]
    assert "damaged" not in capsys.readouterr().err
    for student in students:  # one at a time, none shares
        frame = run_sweep([student], tmp_path / "live.csv", workers=1, cache=cache, quiet=True)
    same = [frame.set_index("run")[MEASURED].sort_index() for frame in (kept, frame)]
    pd.testing.assert_frame_equal(*same, check_exact=True)
    assert not list(cache.glob("unfinished/*"))


def test_a_run_that_was_killed_within_goes_on_where_it_was(
    corpus: Corpus, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table, spec = tmp_path / "table.csv", tiny_run(D=2**16, repeat=True, seed=11)
    handle = module._Sweep._handle

    def kill_half_way(*given: object) -> bool:
        _, process, *_ = given
        if any(cache.glob(f"unfinished/{spec.spec_hash}-*.state")):
            process._process.kill()
        return handle(*given)

    with monkeypatch.context() as patch:
        patch.setattr(module._Sweep, "_handle", kill_half_way)
        with pytest.raises(SweepError, match=r"lower batch_tokens.*run the same command to resume"):
            run_sweep([spec], table, workers=1, cache=cache, quiet=True, save_every=0.0)
    (state,) = cache.glob(f"unfinished/{spec.spec_hash}-*.state")
    broken = run_sweep([spec], table, workers=1, cache=cache, quiet=True)
    assert not state.exists()
    whole = run_sweep([spec], tmp_path / "whole.csv", workers=1, cache=cache, quiet=True)
    pd.testing.assert_frame_equal(
        broken[["L", "L_se", "epochs"]], whole[["L", "L_se", "epochs"]], check_exact=True
    )


@pytest.mark.parametrize("together", [False, True])
def test_a_run_whose_row_could_not_be_written_is_not_lost(
    together: bool, corpus: Corpus, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table, spec = tmp_path / "table.csv", tiny_run(D=2**14, seed=12)
    options = {"workers": 1, "cache": cache, "quiet": True, "save_every": 0.0, "together": together}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "table.csv")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "append", full)
        with pytest.raises(SweepError, match="No space left on device"):
            run_sweep([spec], table, **options)
    (state,) = cache.glob(f"unfinished/{spec.spec_hash}-*.state")
    tokens: list[int] = []
    handle = module._Sweep._handle

    def listen(sweep, process, message, reporter) -> bool:
        tokens.extend([message["tokens"]] if message and message["event"] == "progress" else [])
        return handle(sweep, process, message, reporter)

    monkeypatch.setattr(module._Sweep, "_handle", listen)
    again = run_sweep([spec], table, **options)
    assert tokens[0] > 2**13  # it went on from near the end
    assert not state.exists()
    whole = run_sweep([spec], tmp_path / "whole.csv", **options)
    pd.testing.assert_frame_equal(again[MEASURED], whole[MEASURED], check_exact=True)
    assert not list(cache.glob("unfinished/*"))


def test_states_of_recorded_runs_are_removed_and_no_others(swept: Path, cache: Path, tmp_path: Path):
    table = copied(swept, tmp_path)
    recorded, other = (cache / "unfinished" / f"{key}-0.state" for key in (TEACHER.spec_hash, "0123456789ab"))
    for state in (recorded, other):
        state.parent.mkdir(exist_ok=True)
        state.write_bytes(b"left")
    run_sweep(SPECS, table, workers=1, cache=cache, quiet=True)
    assert not recorded.exists()
    assert other.exists()
    other.unlink()


def test_memory_that_ends_before_a_run_begins_is_one_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def starve(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "open_corpus", starve)
    with pytest.raises(SweepError, match=r"^out of memory .*: lower corpus.megabytes"):
        run_sweep([TEACHER], tmp_path / "t.csv", cache=cache, quiet=True)


def test_a_teacher_that_comes_out_otherwise_is_told_of(
    swept: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "table.csv"
    frame = runs.read(swept)
    teacher = frame[frame["spec_hash"] == TEACHER.spec_hash].copy()
    loss = teacher["L"].item()
    teacher["L"] = loss + 1e-3  # as of another machine
    table.write_text(runs.to_csv(teacher))
    for weights in cache.glob(f"checkpoints/{TEACHER.spec_hash}-*/weights.pt"):
        weights.unlink()
    again = run_sweep(SPECS[1:2], table, workers=1, cache=cache)
    said = capsys.readouterr().err
    assert f"{TEACHER.run}: trained again" in said
    assert f"has L = {loss:.6f}, not {loss + 1e-3:.6f} as in the table" in said
    assert again["L_T"].dropna().item() == loss + 1e-3


def test_another_corpus_is_refused(swept: Path, cache: Path):
    other = CorpusSpec(megabytes=0.05, packages=("stdlib",))
    with pytest.raises(SweepError, match=r"holds runs on corpus python-512-\w+, here the corpus is"):
        run_sweep([tiny_run(corpus=other)], swept, cache=cache, quiet=True)


def copied(swept: Path, folder: Path) -> Path:
    for beside in swept.parent.glob("table.*"):
        (folder / beside.name).write_bytes(beside.read_bytes())
    return folder / swept.name


def change_loss(table: Path) -> None:
    """Change the accuracy of the last row in a late digit, which no schema can notice."""
    lines = table.read_text().splitlines(keepends=True)
    accuracy = lines[-1].split(",")[list(runs.COLUMNS).index("accuracy")]
    lines[-1] = lines[-1].replace(f",{accuracy},", f",{accuracy}1,", 1)
    lines[-2:] = lines[:-3:-1]  # and not in the last line, which a killed sweep can leave unrecorded
    table.write_text("".join(lines))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_loss, r"table.csv differs from its manifest: .* restore it, or, if the change is meant, let"),
        (lambda table: runs.measures_path(table).unlink(), r"table.measures.csv is missing"),
        (
            lambda table: runs.measures_path(table).write_text(runs.measures_path(table).read_text()[:-9]),
            r"table.measures.csv differs from its manifest",
        ),
        (lambda table: runs.manifest_path(table).write_text("{"), r"table.manifest.json is damaged"),
    ],
    ids=["row", "no measures", "measures", "manifest"],
)
def test_a_table_that_was_changed_is_not_gone_on_with(
    change, words: str, swept: Path, cache: Path, tmp_path: Path
):
    table = copied(swept, tmp_path)
    change(table)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("table.*")}
    with pytest.raises(SweepError, match=words):
        run_sweep([*SPECS, tiny_run(D=2**11)], table, workers=1, cache=cache, quiet=True)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("table.*")} == before


@pytest.mark.parametrize("written", ["measures", "measures and row"])
def test_what_a_sweep_wrote_before_it_was_killed_is_taken_in(
    written: str, swept: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table, more = copied(swept, tmp_path), tiny_run(D=2**11)
    before = runs.manifest_path(table).read_bytes()
    owner, name = (runs, "append") if written == "measures" else (runs, "write_manifest")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(KeyboardInterrupt):
            run_sweep([*SPECS, more], table, workers=1, cache=cache, quiet=True)
    assert runs.manifest_path(table).read_bytes() == before
    with pytest.raises(runs.RunsTableError, match="differs from its manifest"):
        runs.verify_manifest(table)
    frame = run_sweep([*SPECS, more], table, workers=1, cache=cache, quiet=True)
    assert len(frame) == 5
    assert {run for sweep in runs.verify_manifest(table)["sweeps"] for run in sweep["runs"]} == set(
        frame["run"]
    )
    whole = runs.manifest_path(table).read_bytes()
    run_sweep([*SPECS, more], table, workers=1, cache=cache, quiet=True)
    assert runs.manifest_path(table).read_bytes() == whole  # nothing was done, nothing is claimed


def test_a_table_is_a_csv_file(tmp_path: Path):
    for name in ("t.parquet", "t"):
        with pytest.raises(SweepError, match=r"runs are written to a .csv file: choose another name"):
            run_sweep([TEACHER], tmp_path / name, quiet=True)
    assert not list(tmp_path.iterdir())


def test_corpora_are_not_mixed_in_one_sweep(tmp_path: Path):
    other = CorpusSpec(megabytes=0.05, packages=("stdlib",))
    with pytest.raises(SweepError, match="share one corpus"):
        run_sweep([tiny_run(), tiny_run(corpus=other)], tmp_path / "t.csv", quiet=True)


def test_a_sweep_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(SweepError, match="no runs are asked for"):
        run_sweep([], tmp_path / "t.csv", quiet=True)


def test_two_sweeps_do_not_write_one_table(tmp_path: Path):
    with (
        FileLock(tmp_path / ".t.csv.sweep.lock"),
        pytest.raises(SweepError, match="another sweep is writing"),
    ):
        run_sweep([TEACHER], tmp_path / "t.csv", quiet=True)


def test_without_the_training_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SweepError, match=r"needs tokenizers: pip install 'distill-lib\[train\]'"):
        run_preset("smoke", out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line():
    with (
        pytest.raises(SweepError, match=r"^No space left on device \(table.csv\): free some space [^\n]*$"),
        module._one_line_errors(),
    ):
        raise OSError(28, "No space left on device", "table.csv")


def test_an_unknown_preset_is_answered_with_the_known_ones():
    with pytest.raises(SweepError, match=r"no preset .smok.: choose from .*smoke"):
        run_preset("smok")


@pytest.mark.parametrize("options", [{"seeds": 0}, {"workers": 0}])
def test_numbers_that_make_no_sense_are_refused(options: dict, tmp_path: Path):
    with pytest.raises(SweepError, match="=0"):
        run_preset("smoke", out=tmp_path, **options)


@pytest.mark.parametrize("options", [{"logit_bytes": -1}, {"save_every": -1.0}])
def test_settings_below_zero_are_refused(options: dict, tmp_path: Path):
    with pytest.raises(SweepError, match="=-1"):
        run_sweep([TEACHER], tmp_path / "t.csv", **options)


def test_a_sweep_of_runs_at_once_gives_the_same_up_to_rounding_and_repeats_to_the_bit(
    corpus: Corpus, cache: Path, swept: Path, tmp_path: Path
):
    tables = []
    for name in ("first", "second"):
        path = tmp_path / name / "table.csv"
        # The second time in another company: one worker, and the students one by one after each other.
        for specs in [SPECS] if name == "first" else [SPECS[:2], SPECS]:
            run_sweep(
                specs, path, cache=cache, quiet=True, together=True, workers=2 if name == "first" else 1
            )
        tables.append(runs.read(path).set_index("spec_hash"))
    alone = runs.read(swept).set_index("spec_hash")
    assert set(tables[0].index) == set(alone.index)
    pd.testing.assert_frame_equal(
        tables[1].loc[tables[0].index, MEASURED], tables[0][MEASURED], check_exact=True
    )
    # Rounding is 1e-9 of a loss at first; a teacher's 32 steps at this high rate and the student's make it
    # 1e-4. Seeds are 1e-2 and more apart.
    for column, tolerance in {"L": 1e-3, "L_T": 1e-3, "L_se": 1e-2, "accuracy": 5e-2}.items():
        pd.testing.assert_series_equal(tables[0].loc[alone.index, column], alone[column], rtol=tolerance)
    assert not tables[0].loc[alone.index, "L"].equals(alone["L"])  # other sums, and so another setting
    assert not children()
    assert not list(cache.glob("unfinished/*"))


def test_a_worker_takes_runs_of_one_shape_and_no_more_than_its_share(
    corpus: Corpus, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sent: list[list[module.Order]] = []
    send = module.WorkerProcess.send
    monkeypatch.setattr(
        module.WorkerProcess, "send", lambda self, orders: (sent.append(orders), send(self, orders))
    )
    wide = tiny_run(D=2**10, model=ModelSpec(d_model=16, n_layers=1, seq_len=32))
    specs = [tiny_run(D=2**11, seed=seed) for seed in range(5)] + [wide]
    table = run_sweep(specs, tmp_path / "t.csv", cache=cache, quiet=True, together=True)
    assert sorted(table["spec_hash"]) == sorted(spec.spec_hash for spec in specs)
    assert all(len({order.shape for order in orders}) == 1 for orders in sent)
    assert len(sent[0]) == 3  # half of six, though four of the shape would pay
    assert sum(map(len, sent)) == len(specs)


def test_how_many_runs_pay_at_once_depends_on_shape_and_device():
    wide = tiny_run(model=ModelSpec(d_model=128, n_layers=1, seq_len=32))
    assert [at_once(spec, "cpu") for spec in (tiny_run(), wide)] == [4, 1]
    assert at_once(wide, "cuda") > 4
    assert at_once(wide, "cuda:1") == at_once(wide, "cuda")


def test_a_gpu_that_is_not_there_is_named_in_one_line_and_rows_that_are_there_need_none(
    swept: Path, corpus: Corpus, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # for the workers
    with pytest.raises(
        SweepError, match=r"device='cuda': PyTorch sees 0 GPUs here.*run the same command to resume$"
    ):
        run_sweep(SPECS[:1], tmp_path / "t.csv", cache=cache, quiet=True, device="cuda")
    before = swept.read_bytes()
    assert len(run_sweep(SPECS, swept, cache=cache, quiet=True, device="cuda")) == 4
    assert swept.read_bytes() == before


def test_auto_is_settled_before_runs_are_handed_out(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)  # here, and not in the workers
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(SweepError, match="device='cuda': PyTorch sees 0 GPUs here"):
        run_sweep(SPECS[:1], tmp_path / "t.csv", cache=cache, quiet=True, device="auto")


def test_graphs_are_for_runs_at_once(tmp_path: Path):
    with pytest.raises(SweepError, match="together=True"):
        run_sweep([TEACHER], tmp_path / "t.csv", graphs=True)


def test_the_manifest_names_the_device_in_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked: dict = {}
    monkeypatch.setattr(module, "run_sweep", lambda *_, **options: asked.update(options))
    run_preset("smoke", out=tmp_path, device="cuda", together=True, graphs=True)
    assert asked["command"] == "distill-lib sweep smoke --device cuda --together --graphs"
    run_preset("smoke", out=tmp_path)
    assert asked["command"] == "distill-lib sweep smoke"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", [{}, {"together": True}, {"together": True, "graphs": True}])
def test_a_sweep_on_a_gpu_goes_on_from_its_rows(
    options: dict, swept: Path, corpus: Corpus, cache: Path, tmp_path: Path
):
    path = tmp_path / "t.csv"
    run_sweep(SPECS[:1], path, cache=cache, quiet=True, device="cuda", **options)
    first = path.read_bytes()
    table = run_sweep(SPECS, path, cache=cache, quiet=True, device="cuda", **options).set_index("spec_hash")
    assert path.read_bytes().startswith(first)
    assert table["device"].str.startswith("cuda (").all()
    right = runs.read(swept).set_index("spec_hash").loc[table.index]
    np.testing.assert_allclose(table["L"], right["L"], rtol=1e-2)  # bfloat16
