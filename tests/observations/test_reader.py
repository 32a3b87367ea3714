"""From a table of runs to observations: everything arrives, or is said to be left out."""

from __future__ import annotations

import importlib.util
import io
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_rows import row, student

from distill_lib import runs
from distill_lib.observations import ObservationsError, read_observations
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.points import find_copy

with_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed"
)


def codes(found, severity="error"):
    return [finding.code for finding in found.findings if finding.severity == severity]


def test_a_plain_table_arrives_whole(supervised, tmp_path):
    supervised.to_csv(tmp_path / "t.csv", index=False)
    found = read_observations(tmp_path / "t.csv").require()
    assert found.columns == {"N": "N", "D": "D", "L": "L"}
    assert (found.rows_read, len(found.frame), found.left_out) == (20, 20, {})
    for name in supervised:
        assert found.frame[name].tolist() == supervised[name].tolist()


counts = st.floats(1e7, 1e13, allow_nan=False)
losses = st.floats(1.2, 6.0)
tables = st.lists(st.tuples(counts, counts, losses), min_size=1, max_size=30)


@settings(deadline=None, max_examples=60)
@given(
    rows=tables,
    separator=st.sampled_from(",;\t|"),
    names=st.sampled_from(
        [("N", "D", "L"), ("Model Size", "Training Tokens", "loss"), ("n_params", "TOKENS", "val-loss")]
    ),
    mark=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_a_written_table_comes_back_to_the_bit(tmp_path_factory, rows, separator, names, mark, newline):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    table = pd.DataFrame(rows, columns=list(names))
    text = table.to_csv(index=False, sep=separator, lineterminator=newline)
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
    found = read_observations(path, units={"N": "raw", "D": "raw", "L": "nats"})
    assert tuple(found.columns.values()) == names
    assert found.rows_read == len(found.frame) == len(table)
    assert found.frame[["N", "D", "L"]].to_numpy().tolist() == table.to_numpy().tolist()


@settings(deadline=None, max_examples=60)
@given(
    rows=tables, bad=st.dictionaries(st.integers(0, 29), st.sampled_from([None, -1.0, 0.0, np.inf, np.nan]))
)
def test_every_row_is_used_or_left_out_with_a_reason(rows, bad):
    table = pd.DataFrame(rows, columns=["N", "D", "L"])
    bad = {at: value for at, value in bad.items() if at < len(table)}
    for at, value in bad.items():
        table.loc[at, "L"] = value
    found = read_observations(table, skip_invalid=True)
    left_out = np.concatenate([*found.left_out.values(), np.zeros(0, dtype=int)])
    assert sorted(left_out) == sorted(bad)
    assert sorted([*left_out, *found.frame.index]) == list(range(len(table)))
    assert sum(f.count for f in found.findings if f.code == "value") == len(bad)
    strict = read_observations(table)
    assert ("value" in codes(strict)) == bool(bad)


@settings(deadline=None, max_examples=40)
@given(
    rows=tables,
    N=st.sampled_from([("millions", 1e6), ("billions", 1e9)]),
    D=st.sampled_from([("billions", 1e9), ("trillions", 1e12)]),
    L=st.sampled_from(
        [("bits", lambda L: L / np.log(2)), ("perplexity", np.exp), ("percent", lambda L: 100 * L)]
    ),
)
def test_units_are_undone(rows, N, D, L):
    truth = pd.DataFrame(rows, columns=["N", "D", "L"])
    table = pd.DataFrame({"N": truth.N / N[1], "D": truth.D / D[1], "L": L[1](truth.L)})
    found = read_observations(table, units={"N": N[0], "D": D[0], "L": L[0]})
    assert found.units == {"N": N[0], "D": D[0], "L": L[0]}
    assert found.frame.to_numpy() == pytest.approx(truth.to_numpy(), rel=1e-12)


def test_a_decimal_comma_and_points_between_thousands(supervised, tmp_path):
    path = tmp_path / "t.csv"
    swap = str.maketrans(",.", ".,")
    lines = [";".join(f"{value:,.6f}".translate(swap) for value in line) for line in supervised.to_numpy()]
    path.write_text("\n".join(["N;D;L", *lines]))
    assert read_observations(path).errors
    found = read_observations(path, decimal=",", thousands=".").require()
    assert found.frame.to_numpy() == pytest.approx(supervised.to_numpy(), rel=1e-6)


class TestTokensFromCompute:
    def table(self, supervised):
        return supervised.assign(flops=6 * supervised.N * supervised.D).drop(columns="D")

    def test_only_when_asked(self, supervised):
        found = read_observations(self.table(supervised))
        (error,) = found.errors
        assert error.column == "D"
        assert 'tokens_from="6ND"' in error.remedy
        with pytest.raises(ObservationsError, match="no column for D"):
            found.require()

    def test_by_6ND(self, supervised):
        found = read_observations(self.table(supervised), tokens_from="6ND").require()
        assert found.frame["D"].to_numpy() == pytest.approx(supervised["D"].to_numpy())
        assert found.computed == {"D": "C / (6 N)"}
        assert "tokens" in codes(found, "note")

    def test_exact(self, supervised):
        table = self.table(supervised).assign(flops=3 * forward_flops(supervised.N) * supervised.D)
        found = read_observations(table, tokens_from="exact").require()
        assert found.frame["D"].to_numpy() == pytest.approx(supervised["D"].to_numpy())

    def test_not_over_tokens_that_are_there(self, supervised):
        found = read_observations(supervised.assign(C=1e20), tokens_from="6ND")
        assert codes(found) == ["tokens"]

    def test_compute_in_another_unit(self, supervised):
        table = self.table(supervised).assign(flops=lambda t: t.flops / 1e18)
        (error,) = read_observations(table, tokens_from="6ND").errors
        assert (error.code, error.column) == ("unit", "C")
        assert 'units={"C": "exaflops"}' in error.remedy
        found = read_observations(table, tokens_from="6ND", units={"C": "exaflops"}).require()
        assert found.frame["D"].to_numpy() == pytest.approx(supervised["D"].to_numpy())


class TestOurOwnTable:
    def test_it_is_split_by_objective_and_diverged_runs_are_said(self, tmp_path):
        path = tmp_path / "t.csv"
        for line in (row(), student(), row("lost", L=None, L_se=None, status="diverged"), student("second")):
            runs.append(path, line)
        found = read_observations(path)
        assert {reason: rows.tolist() for reason, rows in found.left_out.items()} == {
            "objective is not supervised": [1, 3],
            "diverged": [2],
        }
        assert found.frame["run"].tolist() == ["teacher"]
        (warning,) = [f for f in found.findings if f.code == "diverged"]
        assert (warning.row, warning.line, warning.count) == (2, 4, 1)
        students = read_observations(path, "distillation")
        assert students.frame["run"].tolist() == ["student", "second"]
        assert students.columns["L_S"] == "L"
        assert students.frame["L_T"].tolist() == [1 / 3 + 4] * 2
        assert read_observations(runs.read(path)).frame["L"].tolist() == found.frame["L"].tolist()

    def test_it_stays_strict(self, tmp_path):
        path = tmp_path / "t.csv"
        runs.append(path, row())
        path.write_text(path.read_text().replace(",ok,", ",fine,"))
        found = read_observations(path)
        assert codes(found) == ["runs_table"]
        assert "column status, row 0: fine" in str(found)
        assert found.rows_read == 1
        assert found.left_out["the runs table is not valid"].tolist() == [0]

    def test_its_units_are_fixed(self, tmp_path):
        runs.append(tmp_path / "t.csv", row())
        assert "options" in codes(read_observations(tmp_path / "t.csv", units={"L": "bits"}))

    def test_the_committed_tables_are_read(self):
        folder = Path(__file__).parents[2] / "data" / "runs"
        paths = sorted(set(folder.glob("*.csv")) - set(folder.glob("*.measures.csv")))
        assert paths
        for path in paths:
            table = runs.read(path)
            used = [len(read_observations(path, kind).frame) for kind in ("supervised", "distillation")]
            assert sum(used) == (table["status"] == "ok").sum()


class TestPublicTables:
    def copy(self, name):
        path = find_copy(name)
        if path is None:
            pytest.skip("no copy of this public table at hand")
        return path

    def test_the_chinchilla_runs(self):
        path = self.copy("epoch_chinchilla/svg_extracted_data.csv")
        found = read_observations(path, columns=None, tokens_from="6ND").require()
        assert found.columns == {"N": "Model Size", "L": "loss", "C": "Training FLOP"}
        assert found.other_columns == ("x", "y", "color", "hex_color")
        assert len(found.frame) == 245
        table = pd.read_csv(path)
        tokens = table["Training FLOP"] / (6 * table["Model Size"])
        assert found.frame["D"].to_numpy() == pytest.approx(tokens.to_numpy(), rel=1e-15)
        assert not codes(found, "warning")

    def test_the_354_points(self):
        found = read_observations(self.copy("distillation_points/points.csv"), "distillation").require()
        assert len(found.frame) == 354
        assert "41 students better than their teacher" in str(found)
        assert not codes(found, "warning")


def test_all_errors_come_together_the_first_ten_spelt_out(supervised):
    table = supervised.astype(object)
    table.loc[2, "N"] = "large"
    table.loc[3, "D"] = -5.0
    table.loc[4, "L"] = np.nan
    table.loc[5, "L"] = -1.0
    with pytest.raises(ObservationsError) as error:
        read_observations(table).require()
    said = str(error.value)
    for words in ("column N, row 2: large is not a number", "column D, row 3: -5 is below 1"):
        assert words in said
    assert "column L, row 4: empty where a value is needed" in said
    assert "column L, row 5: -1 is not above 0" in said
    many = read_observations({f"c{i}": [1.0] for i in range(14)}, columns={f"x{i}": "N" for i in range(14)})
    with pytest.raises(ObservationsError, match="and 6 more errors"):
        many.require()


def test_a_known_finding_can_be_passed_over(supervised):
    found = read_observations(supervised.assign(D=20 * supervised.N))
    assert codes(found) == ["in_step"]
    assert found.require(allow=["in_step"]) is found


def test_columns_that_no_fit_needs_are_kept_under_their_names(supervised):
    table = supervised.rename(columns={"N": "params"}).assign(N="a note", who="them")
    found = read_observations(table, columns={"params": "N"}).require()
    assert found.other_columns == ("N", "who")
    assert found.frame["N"].tolist() == supervised["N"].tolist()
    assert set(found.frame["N (not used)"]) == {"a note"}
    assert set(found.frame["who"]) == {"them"}


def test_json_says_what_the_text_says(supervised):
    supervised.loc[3, "L"] = np.inf
    found = read_observations(supervised)
    said = found.to_dict()
    assert not said["usable"]
    assert (said["rows_read"], said["rows_used"]) == (20, 19)
    assert said["left_out"] == [{"reason": "invalid values", "count": 1, "rows": [3]}]
    (error,) = [f for f in said["findings"] if f["severity"] == "error"]
    assert (error["column"], error["row"], error["value"]) == ("L", 3, "inf")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "students"}, "kind = 'students' is unknown; choose one of: 'supervised', 'distillation'"),
        ({"tokens_from": "C"}, "tokens_from = 'C' is unknown"),
        ({"columns": {"N": "size"}}, r"columns\['N'\] = 'size' is unknown"),
        ({"units": {"N": "dozens"}}, r"units\['N'\] = 'dozens' is unknown; choose one of: 'raw'"),
        ({"units": {"weight": "raw"}}, "a key of units = 'weight' is unknown"),
        ({"units": {"L": "bits-per-byte"}}, "bytes_per_token"),
        ({"decimal": ",", "thousands": ","}, "must differ"),
        ({"vocabulary": 1}, "vocabulary = 1 is out of range"),
    ],
)
def test_wrong_arguments_are_named(supervised, options, words):
    with pytest.raises(ValueError, match=words):
        read_observations(supervised, **options)


def test_parquet_without_pyarrow_names_the_package(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError,
        match=r't.parquet: Parquet needs pyarrow; run: pip install "distill-lib\[parquet\]"',
    ):
        read_observations(tmp_path / "t.parquet")
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        read_observations(tmp_path / "none.parquet")


@pytest.mark.parametrize("dtype", ["float32", "category", "string", object, "Float64"])
def test_numbers_arrive_from_any_dtype(supervised, dtype):
    found = read_observations(supervised.astype(dtype)).require()
    assert found.frame.to_numpy() == pytest.approx(supervised.to_numpy(), rel=1e-6)


@pytest.mark.parametrize("cell", [True, 1j, pd.Timestamp("2025-01-01"), pd.Timedelta("1s"), [2.0]])
def test_what_is_no_number_is_named(supervised, cell):
    found = read_observations(supervised.assign(L=[cell] * 20))
    assert [(f.code, f.row, f.count) for f in found.errors] == [("text", 0, 20)]
    assert found.frame.empty


@with_pyarrow
def test_parquet_comes_back_to_the_bit(supervised, tmp_path):
    path = tmp_path / "t.parquet"
    named = supervised.astype({"N": "int64"}).assign(who=pd.Series(["x"] * 20, dtype="string"))
    named.set_index("who").to_parquet(path)
    found = read_observations(path).require()
    assert found.frame[["N", "D", "L"]].to_numpy().tolist() == supervised.to_numpy().tolist()
    assert found.other_columns == ("who",)
    assert runs.header(path) == ["N", "D", "L"]
    suffixed = supervised.assign(N=[f"{N / 1e6:g}M" for N in supervised.N])
    suffixed.to_parquet(path)
    back = read_observations(path, units={"N": "suffixed"}).require()
    assert back.frame["N"].to_numpy() == pytest.approx(supervised["N"].to_numpy())


@pytest.mark.slow
def test_a_million_rows_take_seconds(tmp_path):
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7, 11, 10**6), 10 ** rng.uniform(9, 13, 10**6)
    table = pd.DataFrame({"params": N, "tokens": D, "loss": 1.8 + 482 / N**0.348 + 2085 / D**0.366})
    table.loc[777_777, "loss"] = -1.0
    text = io.StringIO()
    table.to_csv(text, index=False)
    (tmp_path / "t.csv").write_text(text.getvalue())
    start = time.perf_counter()
    found = read_observations(tmp_path / "t.csv", skip_invalid=True).require()
    assert time.perf_counter() - start < 30.0  # about 3 s on a free core; room for a busy one
    assert len(found.frame) == 10**6 - 1
    assert found.left_out["invalid values"].tolist() == [777_777]
