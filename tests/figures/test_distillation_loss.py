"""The figures of the distillation loss draw what they are given, where it belongs."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from distill_lib import figures
from distill_lib.figures.distillation_loss import DIRECTION_COLOURS, TRUNCATION_COLOURS


def test_every_way_to_the_gradient_is_drawn_over_the_bars():
    probabilities = pd.DataFrame({"teacher": [0.7, 0.3], "student": [0.4, 0.6]})
    gradients = pd.DataFrame(
        {"formula": [-0.3, 0.3], "autograd": [-0.3, 0.3], "finite differences": [-0.29, 0.31]}
    )
    _, axes = figures.gradient_on_tokens(probabilities, gradients)
    heights = [bar.get_height() for bar in axes[1].patches]
    assert heights == [-0.3, 0.3]
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes[1].lines}
    assert drawn["autograd"] == [-0.3, 0.3]
    assert drawn["finite differences"] == [-0.29, 0.31]
    assert sorted(bar.get_height() for bar in axes[0].patches) == [0.3, 0.4, 0.6, 0.7]


def test_the_three_pulls_keep_their_colours(drawn):
    norms = pd.DataFrame(
        {"with tau^2": [1.0, 1.0], "without": [1.0, 0.01], "next token": [2.0, 2.0]}, index=[1.0, 10.0]
    )
    _, ax = figures.temperature_and_balance(norms)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert list(drawn(ax).lines["distillation, without"][1]) == [1.0, 0.01]
    assert ax.lines[2].get_linestyle() == ":"


def test_the_best_share_is_marked_on_each_curve():
    lam = np.array([0.0, 0.5, 1.0])
    table = pd.DataFrame({10: [3.0, 1.0, 2.0], 100: [0.5, 1.0, 2.0]}, index=lam)
    _, axes = figures.mixing_and_excess({"good": table, "weak": 2 * table})
    dots = [tuple(np.ravel(line.get_xydata())) for line in axes[1].lines if line.get_marker() == "o"]
    assert dots == [(0.5, 2.0), (0.0, 1.0)]
    assert [ax.get_title() for ax in axes] == ["good", "weak"]


def test_models_share_one_scale_of_probability():
    models = {"teacher": np.eye(3), "student": np.full((3, 3), 1 / 3)}
    _, axes = figures.students_side_by_side(models)
    for ax, p in zip(axes, models.values(), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), p)
        assert ax.images[0].get_clim() == (0.0, 1.0)


def test_the_kl_divergences_stand_at_the_ends():
    beta = [0.1, 0.5, 0.9]
    curve = pd.Series([0.1, 0.4, 0.1], index=beta)
    _, axes = figures.scale_of_jensen_shannon(
        curve, 2 * curve, {"forward": (1.0, 3.0), "reverse": (2.0, 4.0)}
    )
    for which, ax in enumerate(axes):
        ends = {line.get_label(): tuple(np.ravel(line.get_xydata())) for line in ax.lines[1:]}
        assert ends == {"forward KL": (0.0, (1.0, 3.0)[which]), "reverse KL": (1.0, (2.0, 4.0)[which])}
    assert axes[0].lines[1].get_color() == DIRECTION_COLOURS["forward"]


def test_each_objective_has_its_row_and_colour():
    ends = pd.DataFrame(
        {"mass": [0.4, 0.1, 0.9], "kl": [0.0, 1.0, 2.0]},
        index=["full", "both renormalised", "both renormalised"],
    )
    _, axes = figures.mass_under_truncation(ends, teacher_mass=0.4)
    dots = [line for line in axes[0].lines if line.get_marker() == "o"]
    assert [float(dot.get_ydata()[0]) for dot in dots] == [0, 2, 2]
    assert to_hex(dots[1].get_color()) == TRUNCATION_COLOURS["both renormalised"]
    right = [float(line.get_xdata()[0]) for line in axes[1].lines]
    assert right == [1e-3, 1.0, 2.0], "nothing at all is drawn at a thousandth"
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == list(TRUNCATION_COLOURS)


def test_prices_of_cuts_are_drawn_with_what_is_said_of_them(drawn):
    curves = pd.DataFrame(
        {"tail bucket": [1.0, 0.1], "teacher renormalised, with labels": [2.0, 0.2]}, index=[1, 8]
    )
    _, axes = figures.truncation_by_kept(curves, pd.Series([0.3, 0.9], index=[1, 8]))
    lines = drawn(axes[1]).lines
    assert list(lines["teacher renormalised, with labels"][1]) == [2.0, 0.2]
    assert to_hex(axes[1].lines[1].get_color()) == TRUNCATION_COLOURS["teacher renormalised"]


def test_a_log_and_what_is_left_have_the_same_colour(drawn):
    log = pd.DataFrame({"cross_entropy": [3.0, 2.5], "teacher_entropy": [2.0, 2.0], "kl": [1.0, 0.5]})
    _, axes = figures.reading_a_log({"one": log, "two": log + 1})
    assert list(drawn(axes[0]).lines["two"][1]) == [4.0, 3.5]
    assert list(drawn(axes[1]).lines["two"][1]) == [2.0, 1.5]
    assert axes[0].lines[2].get_color() == axes[0].lines[3].get_color() == axes[1].lines[1].get_color()
    assert axes[0].lines[3].get_linestyle() == ":"


def test_crosses_stand_where_a_check_failed():
    found = pd.DataFrame({"zero": [True, False], "mean": [True, True]}, index=["library", "mine"])
    _, ax = figures.bugs_and_checks(found)
    crosses = [tuple(np.ravel(line.get_xydata())) for line in ax.lines if line.get_marker() == "X"]
    assert crosses == [(0.0, 1.0)]
    assert len(ax.lines) == 4
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["library", "mine"]


def test_memory_is_drawn_in_megabytes(drawn):
    _, ax = figures.memory_by_tokens(
        pd.DataFrame({"plain": [1e6, 4e6], "fused": [1e6, 1e6]}, index=[256, 1024])
    )
    assert list(drawn(ax).lines["plain"][1]) == [1.0, 4.0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["256", "1,024"]


def test_an_objective_without_a_row_is_refused():
    with pytest.raises(ValueError, match="is not in list"):
        figures.mass_under_truncation(
            pd.DataFrame({"mass": [1.0], "kl": [1.0]}, index=["other"]), teacher_mass=0.5
        )
