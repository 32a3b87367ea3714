"""Figures of our own runs: what is drawn is what the table says."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scaling"))
from mini_runs import simulated, small_law

from distill_lib import figures
from distill_lib.scaling.best_settings import best_settings
from distill_lib.scaling.teachers_compared import teachers_compared

LAW = small_law()


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("draw", "arguments", "options"),
    [
        ("fig04_capacity_gap", ["capacity_gap"], {}),
        ("fig04_capacity_gap", ["capacity_gap"], {"law": LAW}),
        ("fig37_gap_and_divergence", ["capacity_gap"], {}),
        ("fig02_student_isoflops", ["student_isoflops"], {"law": LAW}),
        ("fig03a_teacher_isoflops", ["teacher_isoflops"], {"law": LAW}),
        ("fig03b_teacher_loss_alone", ["teacher_isoflops"], {"law": LAW}),
        ("fig36_supervised_runs", ["supervised_fixed_ratio", "supervised_isoflops"], {"law": LAW.supervised}),
        ("fig39_optima", ["student_isoflops", "teacher_isoflops"], {}),
        ("fig51a_mixing", ["mixing"], {}),
        ("fig52_temperature", ["temperature"], {}),
        ("fig54_truncation", ["truncation"], {}),
        ("table07_directions", ["direction"], {}),
        ("distil_first_then_switch", ["switching"], {}),
        ("fig41_long_students", ["long_students"], {}),
    ],
)
def test_every_axis_says_what_it_shows(draw, arguments, options):
    fig, axes = getattr(figures, draw)(*map(simulated, arguments), **options)
    fig.draw_without_rendering()
    panels = list(axes.values()) if isinstance(axes, dict) else list(np.ravel(axes))
    shared = [ax.get_ylabel() for ax in panels]
    assert any("nats/token" in label for label in shared)
    for ax in panels:
        assert ax.has_data()


def test_marks_are_means_over_seeds():
    table = simulated("mixing")
    _, axes = figures.fig51a_mixing(table)
    taught = table[(table["objective"] == "distilled") & (table["N"] == table["N"].min())]
    expected = taught[taught["N_T"] == taught["N_T"].min()].groupby("lam")["L"].mean()
    drawn = axes[0].containers[0].lines[0]
    assert np.allclose(drawn.get_xdata(), expected.index)
    assert np.allclose(drawn.get_ydata(), expected)


def test_the_gap_is_drawn_with_both_kinds_of_doubt():
    comparison = teachers_compared(simulated("capacity_gap"))
    _, axes = figures.differences_from_the_best_teacher(comparison)
    assert len(axes) == comparison["N"].nunique()
    rings = [line for ax in axes for line in ax.lines if line.get_markersize() == 10]
    assert all(np.allclose(ring.get_ydata(), 0.0) for ring in rings)
    assert sum(len(ring.get_xdata()) for ring in rings) == comparison["best"].sum()


def test_the_best_mixing_has_its_reach():
    best = best_settings(simulated("mixing"), "lam")
    _, ax = figures.fig51b_best_mixing(best)
    assert len(ax.containers) == best["N"].nunique()


def test_an_optimum_at_an_end_is_an_open_mark():
    table = simulated("supervised_isoflops")
    edge = table[table["N"] >= table["N"].quantile(0.6)]
    _, axes = figures.fig36_supervised_runs(simulated("supervised_fixed_ratio"), edge)
    faces = [line.get_markerfacecolor() for line in axes["size"].lines if line.get_marker() == "o"]
    assert "white" in faces
