"""The runs table: validated, appended whole or not at all, and known where it comes from."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_rows import row, student

from distill_lib import runs
from distill_lib.scaling.specifications import RunSpec

DATA = Path(__file__).parents[1] / "data"
COMMITTED = sorted(set((DATA / "runs").glob("*.csv")) - set((DATA / "runs").glob("*.measures.csv")))


def test_rows_come_back_to_the_bit(tmp_path: Path):
    table = tmp_path / "new" / "table.csv"
    runs.append(table, row())
    runs.append(table, student(L=np.float64(0.1) + 0.2))
    runs.append(table, student("another", L=1e-3))
    back = runs.read(table)
    assert list(back.columns) == list(runs.COLUMNS)
    assert back["L"].tolist() == [1 / 3 + 4, 0.1 + 0.2, 1e-3]
    assert back["N"].tolist() == [6224, 6224, 6224]
    assert back["N_T"].tolist()[1:] == [6224, 6224]
    assert pd.isna(back["N_T"].iloc[0])
    assert back["ece"].isna().all()  # not measured
    assert runs.to_csv(back) == table.read_text()


def test_losses_are_plain_floats_that_a_fit_can_take(tmp_path: Path):
    runs.append(tmp_path / "t.csv", row())
    back = runs.read(tmp_path / "t.csv")
    for name in ("N", "D", "L"):
        assert np.asarray(back[name]).dtype.kind in "if"


def test_an_empty_table_is_valid():
    assert runs.validate(runs.empty()).empty


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"N": 0.0062},
            r"column N, row 1: 0.0062; expected a whole number; non-embedding parameters: a raw count is expected",
        ),
        ({"N": 1.3}, r"column N, row 1: 1.3; .*; non-embedding parameters"),
        ({"D": 0.131}, r"column D, row 1: 0.131; .*; training tokens: a raw count"),
        ({"N": 12}, r"column N, row 1: 12; non-embedding parameters: a raw count"),
        ({"N": None}, r"column N, row 1: empty; a value is needed"),
        ({"N": "many"}, r"column N, row 1: many; expected a whole number"),
        ({"L": "low"}, r"column L, row 1: low; expected a number; a cross-entropy in nats"),
        ({"L": -1.0}, r"column L, row 1: -1.0; a cross-entropy in nats per token is above 0"),
        ({"L": 0.0}, r"column L, row 1: 0.0; a cross-entropy"),
        ({"L": float("nan")}, r'row 1 \(x\): L is nan; a run without a finite loss has status "diverged"'),
        ({"L": float("inf")}, r"row 1 \(x\): L is inf"),
        (
            {"L": 6.1 / 0.6931},
            r"row 1 \(x\): L = 8.80104 is far above .* is it in bits\? multiply bits by ln 2",
        ),
        ({"status": "diverged"}, r"row 1 \(x\): L is 4.33\d*, but the run diverged: leave L empty"),
        ({"status": "fine"}, r"column status, row 1: fine; expected one of ok, diverged"),
        (
            {"objective": "copied"},
            r"column objective, row 1: copied; expected one of supervised, distilled",
        ),
        ({"run": "teacher"}, r"column run, row 0: teacher; another row has the same name"),
        ({"spec_hash": "xyz"}, r"column spec_hash, row 1: xyz; expected 12 hex digits"),
        ({"ece": 3.0}, r"column ece, row 1: 3.0; expected calibration error as a share"),
        ({"lam": 1.0}, r"row 1 \(x\): a supervised run with lam"),
        ({"objective": "distilled"}, r"row 1 \(x\): a distilled run without .*teacher_run"),
        ({"kl": 1.0}, r"unknown column kl"),
    ],
)
def test_a_wrong_row_is_named_and_not_appended(tmp_path: Path, changes: dict, words: str):
    table = tmp_path / "t.csv"
    runs.append(table, row())
    before = table.read_bytes()
    with pytest.raises(runs.RunsTableError, match=words):
        runs.append(table, row("x") | changes)
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher_run": "nobody"}, "its teacher nobody is not in the table"),
        ({"L_T": 2.0}, "L_T = 2.0, but its teacher has L = 4.3"),
        ({"lam": 1.5}, r"column lam, row 1: 1.5; expected a share in \[0, 1\]"),
        ({"tau": 0.0}, "column tau, row 1: 0.0; expected a value above 0"),
        ({"direction": "sideways"}, "expected one of forward, reverse"),
    ],
)
def test_a_student_must_fit_its_teacher(tmp_path: Path, changes: dict, words: str):
    table = tmp_path / "t.csv"
    runs.append(table, row())
    with pytest.raises(runs.RunsTableError, match=words):
        runs.append(table, student(**changes))


ORACLE = {"teacher_run": "oracle", "N_T": None, "D_T": None, "L_T": 2.0, "corpus": "language-64-0123456789ab"}


def test_an_oracle_has_no_row_no_parameters_and_no_tokens(tmp_path: Path):
    runs.append(tmp_path / "t.csv", student(**ORACLE))
    back = runs.read(tmp_path / "t.csv")
    assert back.loc[0, "L_T"] == 2.0
    assert back.loc[0, ["N_T", "D_T"]].isna().all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"N_T": 6224}, "an oracle with N_T: leave them empty"),
        ({"L_T": None}, "a distilled run without L_T"),
        ({"corpus": "python-512-0123456789ab"}, "only a language of known entropy has one"),
    ],
)
def test_what_an_oracle_cannot_be(tmp_path: Path, changes: dict, words: str):
    with pytest.raises(runs.RunsTableError, match=words):
        runs.append(tmp_path / "t.csv", student(**(ORACLE | changes)))


def test_a_missing_column_is_named(tmp_path: Path):
    runs.append(tmp_path / "t.csv", row())
    with pytest.raises(runs.RunsTableError, match="no column 'L'"):
        runs.validate(runs.read(tmp_path / "t.csv").drop(columns="L"))


def test_a_diverged_run_has_its_row(tmp_path: Path):
    runs.append(tmp_path / "t.csv", row(L=None, L_se=None, status="diverged"))
    back = runs.read(tmp_path / "t.csv")
    assert back["L"].isna().all()


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_line_is_found_named_and_set_aside(tmp_path: Path, cut: int):
    table = tmp_path / "t.csv"
    for name in ("a", "b", "c"):
        runs.append(table, row(name))
    whole = table.read_text()
    table.write_text(whole[:-cut])
    with pytest.raises(runs.RunsTableError, match=r"t.csv: line 4 is torn"):
        runs.read(table)
    with pytest.raises(runs.RunsTableError, match="line 4 is torn"):
        runs.append(table, row("d"))
    torn = runs.repair(table)
    assert torn == whole[:-cut].splitlines()[-1]
    assert runs.read(table)["run"].tolist() == ["a", "b"]
    assert torn in (tmp_path / "t.csv.torn").read_text()
    assert runs.repair(table) is None
    runs.append(table, row("c"))
    assert table.read_text() == whole


def test_a_table_torn_in_its_header_is_set_aside_whole(tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_text("run,proto")
    assert runs.repair(table) == "run,proto"
    assert not table.exists()


@pytest.mark.parametrize(
    "fault",
    [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()],
    ids=["full", "interrupt"],
)
@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_a_fault_while_writing_leaves_the_table_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, place: str
):
    table = tmp_path / "t.csv"
    runs.append(table, row("a"))
    before = table.read_bytes()

    def fail(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(os, place, fail)
        with pytest.raises(type(fault)):
            runs.append(table, row("b"))
    assert table.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"t.csv", ".t.csv.lock"}
    runs.append(table, row("b"))
    assert runs.read(table)["run"].tolist() == ["a", "b"]


def test_processes_append_at_once_and_nothing_is_lost(tmp_path: Path):
    table = tmp_path / "t.csv"
    code = (
        "import json, sys\n"
        "from distill_lib import runs\n"
        "row = json.loads(sys.argv[2])\n"
        "for i in range(6): runs.append(sys.argv[1], row | {'run': f'{sys.argv[3]}-{i}'})\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(table), json.dumps(row()), name]) for name in "ab"
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(runs.read(table)["run"]) == sorted(f"{name}-{i}" for name in "ab" for i in range(6))


def test_a_changed_table_no_longer_fits_its_manifest(tmp_path: Path):
    table = tmp_path / "t.csv"
    runs.append(table, row("a"))
    runs.write_manifest(table, {"command": "test"})
    assert runs.verify_manifest(table)["command"] == "test"
    table.write_text(table.read_text().replace("131072", "131073"))
    with pytest.raises(runs.RunsTableError, match="differs from its manifest"):
        runs.verify_manifest(table)


@pytest.mark.parametrize("changes", [{"ece": 0.3}, {"truncation": "top_k=4, renormalise"}])
def test_a_model_that_is_sure_of_what_is_wrong_is_recorded(changes: dict, tmp_path: Path):
    table = tmp_path / "t.csv"
    runs.append(table, row())
    runs.append(table, student(L=9.1, **changes))
    assert runs.read(table)["L"].tolist()[1] == 9.1
    with pytest.raises(runs.RunsTableError, match="is it in bits"):
        runs.append(table, student("another", L=9.1, ece=0.01))


def test_a_change_that_was_meant_is_taken_over(tmp_path: Path):
    table = tmp_path / "t.csv"
    runs.append(table, row("a"))
    runs.append(table, row("b"))
    runs.write_manifest(table, {"command": "test", "sweeps": [1]})
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    runs.accept(table)
    assert runs.verify_manifest(table)["command"] == "test"
    table.write_text(table.read_text()[:-3])
    with pytest.raises(runs.RunsTableError, match="torn"):
        runs.accept(table)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"sha256": 3}', ""])
def test_a_damaged_manifest_is_named(content: str, tmp_path: Path):
    table = tmp_path / "t.csv"
    runs.append(table, row("a"))
    runs.manifest_path(table).write_text(content)
    with pytest.raises(
        runs.RunsTableError, match=r"t.manifest.json is damaged .*restore it, or move it away"
    ):
        runs.verify_manifest(table)


def test_an_empty_file_is_no_table(tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_text("")
    with pytest.raises(runs.RunsTableError, match=r"t.csv is empty"):
        runs.read(table)


def test_tables_are_utf_8_whatever_the_locale(tmp_path: Path):
    table = tmp_path / "t.csv"
    code = (
        "import json, sys\n"
        "from distill_lib import runs\n"
        "runs.append(sys.argv[1], json.loads(sys.argv[2]))\n"
        "print(ascii(runs.read(sys.argv[1])['protocol'].tolist()))\n"
    )
    content = json.dumps(row(protocol="naïve τ"))
    plain = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(table), content],
        env=plain,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "naïve τ".encode() in table.read_bytes()
    assert "\\u03c4" in done.stdout


def test_every_column_is_in_the_data_dictionary():
    text = (DATA / "README.md").read_text().split("## Measures by bin")[0]
    described = re.findall(r"^\| `(\w+)` \|", text, flags=re.M)
    assert set(runs.COLUMNS) <= set(described)
    assert [name for name in described if name in runs.COLUMNS] == list(runs.COLUMNS)


def test_there_are_committed_tables():
    assert COMMITTED


@pytest.mark.parametrize("table", COMMITTED, ids=lambda path: path.name)
def test_a_committed_table_is_whole_clean_and_says_where_it_comes_from(table: Path):
    frame = runs.read(table)
    manifest = runs.verify_manifest(table)
    assert not frame["commit"].str.contains("dirty").any()
    assert set(frame["run"]) == {run for sweep in manifest["sweeps"] for run in sweep["runs"]}
    assert str(Path.home()) not in runs.manifest_path(table).read_text()


@pytest.mark.parametrize("table", COMMITTED, ids=lambda path: path.name)
def test_a_committed_table_is_what_its_specifications_say(table: Path):
    specs = {
        key: RunSpec.model_validate(content) for key, content in runs.verify_manifest(table)["specs"].items()
    }
    for line in runs.read(table).itertuples():
        spec = specs[line.spec_hash]
        assert spec.spec_hash == line.spec_hash
        assert (spec.run, spec.model.N, spec.D, spec.seed) == (line.run, line.N, line.D, line.seed)
        assert line.flops == pytest.approx(spec.flops)
        assert (spec.teacher.run if spec.teacher else None) == (
            None if pd.isna(line.teacher_run) else line.teacher_run
        )


def test_a_table_with_other_columns_is_not_taken_for_a_torn_one(tmp_path: Path):
    path = tmp_path / "older.csv"
    path.write_text("run,L\na,3.1\nb,3.0\n")
    assert runs.repair(path) is None
    with pytest.raises(runs.RunsTableError, match="no column 'protocol'"):
        runs.read(path)
