"""Figures of laws fitted to runs, on a protocol simulated from a known law."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scaling"))
from mini_runs import simulated, small_law

from distill_lib import figures
from distill_lib.scaling.breaks import break_even, break_factor, remaining_gap
from distill_lib.scaling.comparison import paired_students
from distill_lib.scaling.irreducible import profile_of_E
from distill_lib.scaling.selections import for_laws
from distill_lib.scaling.teachers_compared import errors_by_teacher, trend_of_errors

LAW = small_law()


@pytest.fixture(scope="module")
def table():
    runs = simulated("capacity_gap")
    return runs[runs["split"] == "student"]


def test_the_break_goes_through_runs_of_its_own_law(table):
    _, students = for_laws(table)
    gaps, pairs = remaining_gap(LAW, students), paired_students(table)
    even = break_even(pairs, LAW)
    _, axes = figures.break_of_runs(gaps, pairs, LAW, even)
    curve = next(line for line in axes[0].lines if len(line.get_xdata()) == 200)
    assert np.allclose(curve.get_ydata(), break_factor(LAW, curve.get_xdata()))
    dots = np.concatenate([line.get_ydata() for line in axes[0].lines if line.get_marker() == "o"])
    assert sorted(dots) == pytest.approx(sorted(gaps["remaining"]))
    assert even.by_law in [line.get_xdata()[0] for line in axes[1].lines]


def test_each_teacher_is_one_dot():
    _, students = for_laws(simulated("teacher_isoflops"))
    errors = errors_by_teacher(students, np.zeros(len(students)))
    trends = {name: trend_of_errors(errors, name) for name in ("N_T", "M_T")}
    _, axes = figures.errors_of_teachers(errors, trends)
    for ax, name in zip(axes, trends, strict=True):
        assert sorted(ax.lines[0].get_xdata()) == sorted(errors[name])
        assert "factor 10" in ax.get_legend().get_texts()[0].get_text()


def test_the_known_loss_stands_beside_its_profile():
    runs = simulated("supervised_isoflops")
    profile = profile_of_E(runs["N"], runs["D"], runs["L"], [0.0, 0.6, 1.2], gamma="free")
    _, axes = figures.profiles_of_E(
        {"simulated": ({"free": profile}, 1.2), "text": ({"free": profile}, None)}
    )
    assert [len(ax.lines) for ax in axes] == [2, 1]
    assert axes[0].lines[1].get_xdata()[0] == 1.2
