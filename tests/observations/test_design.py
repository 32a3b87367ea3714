"""What runs cannot tell is said before a fit is tried."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib.observations import read_observations
from distill_lib.observations.design import levels
from distill_lib.scaling.laws import published_law


def made(N, D):
    N, D = np.broadcast_arrays(np.asarray(N, dtype=float), np.asarray(D, dtype=float))
    return pd.DataFrame({"N": N, "D": D, "L": published_law().supervised.loss(N, D)})


SIZES = np.geomspace(1e8, 1e10, 12)
TOKENS = np.geomspace(2e9, 2e12, 12)


@pytest.mark.parametrize(
    ("table", "severity", "code", "words"),
    [
        (made(SIZES[:4], TOKENS[[3, 0, 2, 1]]), "error", "few_runs", "4 runs cannot fix the 5 coefficients"),
        (
            made(SIZES[:7], TOKENS[[3, 0, 2, 1, 6, 5, 4]]),
            "warning",
            "few_runs",
            "7 runs for the 5 coefficients",
        ),
        (made(1e9, TOKENS), "error", "few_N", r"all runs have one N \(1e\+09\): A and alpha"),
        (made(SIZES, 1e10), "error", "few_D", "all runs have one D"),
        (made(np.tile([1e8, 1e9], 6), TOKENS), "error", "few_N", "N takes 2 values only"),
        (made(SIZES, 20 * SIZES), "error", "in_step", "D is 20 N in all runs"),
        (made(SIZES, SIZES**1.5 / 1e3), "error", "in_step", r"D follows from N \(as N\^1.50\)"),
        (made(SIZES, 1e21 / (6 * SIZES)), "warning", "one_budget", "all runs share one budget"),
    ],
)
def test_what_cannot_be_told(table, severity, code, words):
    found = read_observations(table)
    (finding,) = [f for f in found.findings if f.severity != "note"]
    assert (finding.severity, finding.code) == (severity, code)
    assert pd.Series([finding.message]).str.contains(words).all(), finding.message
    assert finding.remedy


def test_sizes_within_a_percent_are_one():
    rng = np.random.default_rng(0)
    assert levels(1e9 * rng.uniform(0.997, 1.003, 100)) == 1
    assert levels(np.repeat([1e8, 2e8, 4e8], 5)) == 3
    assert levels(rng.uniform(1, 1e6, 10**5), at_most=7) == 7
    assert [f.code for f in read_observations(made(1e9 * rng.uniform(0.997, 1.003, 12), TOKENS)).errors] == [
        "few_N"
    ]


def test_copies_are_told_from_seeds(supervised):
    table = pd.concat([supervised, supervised.head(3), supervised.head(2).assign(L=lambda t: t.L + 0.02)])
    found = read_observations(table)
    (copies,) = [f for f in found.findings if f.code == "duplicate"]
    assert (copies.severity, copies.row, copies.count) == ("warning", 20, 3)
    (seeds,) = [f for f in found.findings if f.code == "repeated"]
    assert "2 settings (N, D) with 4 runs" in seeds.message
    assert f"standard deviation {0.02 / np.sqrt(2):.3g}, largest range 0.02" in seeds.message
    assert len(found.require().frame) == len(table)


def test_profiles_are_told_from_mixed_budgets(supervised):
    C = np.repeat([1e19, 1e20, 1e21], 5)
    N = np.tile(np.geomspace(1e8, 3e9, 5), 3)
    (note,) = read_observations(made(N, C / (6 * N))).findings
    assert "15 of 15 runs lie on 3 IsoFLOP profiles" in note.message
    for mixed in (supervised, made(*10 ** np.random.default_rng(0).uniform(9, 11, (2, 3000)))):
        (note,) = read_observations(mixed).findings
        assert "mixed budgets" in note.message


def test_students_better_than_their_teacher(distilled):
    assert "student_better" not in {f.code for f in read_observations(distilled, "distillation").findings}
    few = distilled.copy()
    few.loc[[3, 8], "L_S"] = few.loc[[3, 8], "L_T"] - 0.01
    (note,) = [
        f for f in read_observations(few, "distillation").require().findings if f.code == "student_better"
    ]
    assert (note.severity, note.row, note.count) == ("note", 3, 2)
    assert "2 students better than their teacher" in note.message
    most = distilled.assign(L_T=distilled.L_T / np.log(2))
    (warning,) = [f for f in read_observations(most, "distillation").findings if f.code == "student_better"]
    assert warning.severity == "warning"
    assert "one unit" in warning.remedy


def test_one_teacher_cannot_show_what_teachers_do(distilled):
    found = read_observations(distilled.assign(L_T=2.0), "distillation")
    assert [(f.code, f.column) for f in found.errors] == [("few_L", "L_T")]


def test_rows_of_one_run_are_clusters(supervised):
    found = read_observations(supervised.assign(run=[f"r{i // 4}" for i in range(20)])).require()
    (note,) = [f for f in found.findings if f.code == "clusters"]
    assert "20 rows come from 5 runs" in note.message
    assert found.frame["run"].nunique() == 5


def test_weights_are_taken_and_checked(supervised):
    found = read_observations(supervised.assign(weight=2.0)).require()
    assert set(found.frame["weight"]) == {2.0}
    bad = supervised.assign(weight=1.0)
    bad.loc[6, "weight"] = -1.0
    (error,) = read_observations(bad).errors
    assert (error.column, error.row) == ("weight", 6)
