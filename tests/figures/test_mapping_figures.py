"""Figures 11 and 12 show the rows of a record, their spread and their pairs."""

import numpy as np
import pytest
from mapping_rows import RISE, table

from distill_lib.figures.mapping_problem import (
    fig11_mapping_by_teacher_width,
    fig12_mapping_by_teacher_steps,
    mapping_by_kind_of_case,
    mapping_by_teacher_loss,
)


def bars(ax):
    """Label -> (x, median, low, high) of what is drawn with error bars."""
    drawn = {}
    for container in ax.containers:
        line, _, (reach,) = container
        ends = np.array([segment[:, 1] for segment in reach.get_segments()])
        drawn[container.get_label()] = (*line.get_data(), ends[:, 0], ends[:, 1])
    return drawn


@pytest.mark.parametrize(
    ("draw", "x", "ticks"),
    [
        (fig11_mapping_by_teacher_width, "teacher_width", [128, 256, 512]),
        (fig12_mapping_by_teacher_steps, "teacher_steps", [64, 256, 1000]),
    ],
)
def test_marks_are_medians_and_bars_quartiles(draw, x, ticks):
    runs = table(luck=0.2)
    _, axes = draw(runs)
    rows = runs[(runs["role"] == "distilled") & (runs["width"] == 256)]
    rows = rows[rows["study"] == "width"] if x == "teacher_width" else rows[rows["teacher_width"] == 512]
    for ax, column in zip(axes, ("L", "accuracy"), strict=False):
        place, middle, low, high = bars(ax)["student, 256"]
        assert list(place) == ticks
        for k, tick in enumerate(ticks):
            values = rows.loc[rows[x] == tick, column]
            expected = np.percentile(values, [50, 25, 75])
            np.testing.assert_allclose([middle[k], low[k], high[k]], expected)
    assert set(bars(axes[0])) == {"teacher", "student, 128", "student, 256"}
    np.testing.assert_allclose(bars(axes[0])["teacher"][1][-1], 0.9)


def test_the_paired_panel_shows_the_gap_without_the_luck_of_the_trials():
    _, axes = fig11_mapping_by_teacher_width(table(luck=0.3))
    means = {float(c[0].get_xdata()[0]): float(c[0].get_ydata()[0]) for c in axes[2].containers}
    assert means[256.0] == pytest.approx(-RISE)
    assert means[128.0] == pytest.approx(0.4 - RISE)
    assert 512.0 not in means
    trials = [line for line in axes[2].lines if line.get_color() == "#bbbbbb"]
    assert len(trials) == 4
    assert axes[2].get_ylim()[0] < -RISE


def test_students_alone_are_drawn_as_lines():
    runs = table(luck=0.0)
    _, axes = fig11_mapping_by_teacher_width(runs, students=[256])
    level = [line.get_ydata()[0] for line in axes[0].lines if line.get_linestyle() == ":"]
    assert level == pytest.approx([1.3])
    assert set(bars(axes[0])) == {"teacher", "student, 256"}


def test_kinds_of_cases_and_the_distance_from_the_teacher():
    _, axes = mapping_by_kind_of_case(table(luck=0.0))
    assert bars(axes[0])["student, 256"][1][1] == pytest.approx(1.5 * 1.2)
    assert bars(axes[1])["teacher"][1][-1] == pytest.approx(0.45)
    assert set(bars(axes[2])) == {"student, 256"}


def test_students_of_both_studies_stand_over_the_loss_of_their_teachers():
    runs = table(luck=0.0)
    _, ax = mapping_by_teacher_loss(runs)
    drawn = {line.get_label(): line.get_data() for line in ax.lines}
    x, y = drawn["wider teachers (Fig. 11)"]
    assert sorted(set(x)) == [0.9, 1.1, 1.4]
    np.testing.assert_allclose(np.asarray(y)[np.asarray(x) == 0.9], 1.2 + RISE)
    # The widest teacher stands in both studies.
    assert sorted(set(drawn["longer-trained teachers (Fig. 12)"][0])) == [0.9, 1.0, 1.6]
    assert drawn["on labels alone"][1][0] == pytest.approx(1.3)


def test_a_width_that_was_not_trained_is_refused():
    with pytest.raises(ValueError, match="the record has none of these widths"):
        fig11_mapping_by_teacher_width(table(), students=[99])
