"""Measures by bin: complete, replaced when a run is repeated, and held by the manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_rows import row

from distill_lib import measures, runs
from distill_lib.measures import BINS_BY, Bin, append_measures, calibration_error, read_measures

COMMITTED = sorted((Path(__file__).parents[1] / "data" / "runs").glob("*.measures.csv"))


def bins(by: str = "frequency", **changes: object) -> list[Bin]:
    """Make the bins of one run, the last one empty."""
    filled = {"confidence": 1 / 3, "accuracy": 0.25, "loss": 2.0} | changes
    full = [Bin(by, number, 10.0 * (number + 1), **filled) for number in range(BINS_BY[by] - 1)]
    return [*full, Bin(by, BINS_BY[by] - 1, 0.0)]


A, B = "a" * 12, "b" * 12


def record(table: Path, *hashes: str) -> None:
    """Write rows of runs that go by these hashes."""
    for spec_hash in hashes:
        runs.append(table, row(f"supervised-{spec_hash}", spec_hash=spec_hash))


def test_bins_come_back_to_six_digits(tmp_path: Path):
    table = tmp_path / "new" / "t.csv"
    append_measures(table, A, bins())
    append_measures(table, B, bins("confidence", kl_teacher=0.5) + bins("repetition"))
    record(table, A, B)
    back = read_measures(table)
    assert tuple(back.columns) == ("run", *measures.COLUMNS[1:])
    assert back.groupby("run").size().to_dict() == {f"supervised-{A}": 8, f"supervised-{B}": 24}
    first = back.iloc[0]
    assert (first["count"], first["accuracy"], first["loss"]) == (10, 0.25, 2)
    assert first["confidence"] == pytest.approx(1 / 3, abs=1e-6)
    assert np.isnan(first["kl_teacher"])
    assert back.loc[back["count"] == 0, "loss"].isna().all()


def test_a_repeated_run_takes_the_place_of_what_it_left(tmp_path: Path):
    table = tmp_path / "t.csv"
    append_measures(table, A, bins(loss=9.0))
    append_measures(table, B, bins())
    append_measures(table, A, bins(loss=3.0))
    record(table, B, A)
    back = read_measures(table)
    assert back["run"].unique().tolist() == [f"supervised-{A}", f"supervised-{B}"]
    assert set(back["loss"].dropna()) == {2.0, 3.0}
    whole = runs.measures_path(table).read_bytes()
    append_measures(table, A, bins(loss=3.0))
    assert runs.measures_path(table).read_bytes() == whole


def test_an_older_file_is_read_and_its_runs_go_by_their_hash_from_then_on(tmp_path: Path):
    table = tmp_path / "t.csv"
    append_measures(table, A, bins())
    append_measures(table, B, bins(loss=3.0))
    record(table, A, B)
    path, today = runs.measures_path(table), read_measures(table)
    whole = path.read_text()
    named = "".join(f"supervised-{line}" for line in whole.splitlines(keepends=True)[1:])
    older = whole.partition("\n")[0].replace("spec_hash", "run") + "\n" + named
    path.write_text(older)
    pd.testing.assert_frame_equal(read_measures(table), today)
    append_measures(table, B, bins(loss=3.0))
    assert path.read_text() == whole
    path.write_text(older.replace(f"supervised-{A}", "nameless"))
    with pytest.raises(
        runs.RunsTableError, match="column spec_hash, row 0: nameless; expected 12 hex digits"
    ):
        read_measures(table)


def test_a_run_without_a_row_has_no_measures_yet(tmp_path: Path):
    table = tmp_path / "t.csv"
    append_measures(table, A, bins())
    record(table, B)
    assert len(read_measures(table)) == 0
    record(table, A)
    assert len(read_measures(table)) == 8


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (bins()[:-1], r"a{12} has bins \[0, .*6\] by frequency, expected 0 to 7, in order"),
        (bins()[::-1], "expected 0 to 7, in order"),
        (bins(accuracy=1.5), r"column accuracy, row 0: 1.5; expected a share in \[0, 1\]"),
        (bins(loss=-1.0), "column loss, row 0: -1.0; expected a value of 0 or more"),
        (bins(loss=None), "a bin has means exactly if it is not empty"),
        ([replace(one, by="colour") for one in bins()], "expected one of confidence, "),
    ],
)
def test_wrong_bins_are_named_and_not_written(tmp_path: Path, faulty: list[Bin], words: str):
    table = tmp_path / "t.csv"
    with pytest.raises(runs.RunsTableError, match=words):
        append_measures(table, A, faulty)
    assert not runs.measures_path(table).exists()


def test_a_torn_or_foreign_file_is_named(tmp_path: Path):
    table = tmp_path / "t.csv"
    append_measures(table, A, bins())
    path = runs.measures_path(table)
    whole = path.read_text()
    path.write_text(whole[:-5])
    with pytest.raises(runs.RunsTableError, match=r"t.measures.csv: line 9 is torn"):
        read_measures(table)
    with pytest.raises(runs.RunsTableError, match=r"t.measures.csv: its last line is torn: restore it"):
        append_measures(table, B, bins())
    path.write_text("run,L\na,3.1\n")
    with pytest.raises(runs.RunsTableError, match="columns run, L; expected spec_hash, by"):
        read_measures(table)
    with pytest.raises(runs.RunsTableError, match="move it away"):
        append_measures(table, A, bins())


def test_the_manifest_holds_the_measures_too(tmp_path: Path):
    table = tmp_path / "t.csv"
    append_measures(table, A, bins())
    runs.append(table, row("a"))
    runs.write_manifest(table, {})
    runs.verify_manifest(table)
    append_measures(table, A, bins(loss=2.5))
    with pytest.raises(runs.RunsTableError, match=r"t.measures.csv differs from its manifest"):
        runs.verify_manifest(table)
    runs.measures_path(table).unlink()
    with pytest.raises(runs.RunsTableError, match=r"t.measures.csv is missing"):
        runs.verify_manifest(table)


def test_a_table_without_measures_stays_valid(tmp_path: Path):
    table = tmp_path / "t.csv"
    runs.append(table, row("a"))
    runs.write_manifest(table, {})
    assert "measures_sha256" not in runs.verify_manifest(table)
    with pytest.raises(FileNotFoundError):
        read_measures(table)


def test_calibration_error_is_a_mean_over_positions():
    assert calibration_error([3, 1, 0], [0.5, 0.9, np.nan], [0.4, 1.0, np.nan]) == pytest.approx(0.1)
    assert calibration_error([3, 1], [0.5, 0.9], [0.4, 0.5]) == pytest.approx((3 * 0.1 + 0.4) / 4)
    assert np.isnan(calibration_error([0.0], [0.0], [0.0]))


def test_every_column_and_way_of_sorting_is_in_the_data_dictionary():
    text = (Path(__file__).parents[1] / "data" / "README.md").read_text()
    section = text[text.index("## Measures by bin") : text.index("## Tables of others")]
    for name in (*measures.COLUMNS, *BINS_BY):
        assert f"| `{name}` |" in section


def test_committed_measures_are_of_runs_in_their_table():
    for path in COMMITTED:
        assert path.read_text().startswith("spec_hash,"), path.name
        table = path.with_name(path.name.replace(".measures", ""))
        assert set(read_measures(table)["run"]) <= set(runs.read(table)["run"]), path.name
