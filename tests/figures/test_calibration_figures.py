"""Reliability diagrams, loss by token frequency and scores: what is drawn is what the tables hold."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from run_rows import row, student

from distill_lib import runs as runs_module
from distill_lib.figures import calibration, where_loss_is
from distill_lib.figures.calibration import TARGETS
from distill_lib.measures import BINS_BY, Bin, append_measures, read_measures

DISTRIBUTION, TOP = (style[0] for style in TARGETS.values())
SIZES = (6224, 12448)


def bins(shift: float, teacher: bool = True) -> list[Bin]:
    """Make bins whose outcomes are off by a known amount; every second bin of confidence is empty."""
    found = []
    for by, n in BINS_BY.items():
        for number in range(n):
            if by == "confidence_teacher" and not teacher:
                continue
            if by.startswith("confidence") and number % 2:
                found.append(Bin(by, number, 0.0))
                continue
            sure = (number + 0.5) / n
            means = {"confidence": sure, "accuracy": sure * (1 - shift), "loss": 2.0 + number + shift}
            if teacher:
                means |= {"confidence_teacher": sure * 0.9, "agreement": sure * 0.8}
                means |= {"loss_teacher": 1.5 + number, "kl_teacher": 0.1}
            found.append(Bin(by, number, 100.0 * (number + 1), **means))
    return found


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write a table with one teacher and students of two sizes, at 20 and at 200 tokens per parameter."""
    table: Path = tmp_path_factory.mktemp("runs") / "t.csv"
    rows = [(row(ece=0.01), 0.0, False)]
    for N in SIZES:
        for D in (20 * N, 200 * N):
            for seed in (0, 1):
                same = {"N": N, "D": D, "seed": seed}
                name = f"-{N}-{D}-{seed}"
                plain = {**same, "ece": 0.02 + 0.02 * seed, "ece_teacher": 0.2, "agreement": 0.5}
                rows.append((student("whole" + name, **plain), 0.1, True))
                top = {**plain, "ece": 0.3, "truncation": "top_token, renormalise"}
                rows.append((student("top" + name, **top), 0.5, True))
                rows.append((student("half" + name, **plain | {"lam": 0.5}), 0.9, True))
                rows.append((row("supervised" + name, split="student", **same), 0.25, False))
    for number, (content, shift, teacher) in enumerate(rows):
        content["spec_hash"] = f"{number:012x}"
        append_measures(table, content["spec_hash"], bins(shift, teacher))
        runs_module.append(table, content)
    return runs_module.read(table), read_measures(table)


def dots(ax, colour: str) -> np.ndarray:
    """Return the middles of the dots of a colour [n, 2]."""
    wanted = mpl.colors.to_rgb(colour)
    return np.concatenate(
        [c.get_offsets() for c in ax.collections if tuple(c.get_facecolor()[0][:3]) == wanted]
    )


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("draw", "tokens", "whole", "top", "errors"),
    [
        ("fig43_student_calibration", "124k", 0.9, 0.5, ["ECE 3.0 %", "ECE 30.0 %"]),
        ("fig44_student_against_top_token", "124k", 0.8, 0.8, ["ECE 20.0 %"] * 2),
        ("fig45_teacher_within_student_bins", "124k", 0.9, 0.9, None),
        ("fig47_student_calibration_after_more", "1.24M", 0.9, 0.5, ["ECE 3.0 %", "ECE 30.0 %"]),
        ("fig48_student_against_top_token_after_more", "1.24M", 0.8, 0.8, ["ECE 20.0 %"] * 2),
        ("fig49_teacher_within_student_bins_after_more", "1.24M", 0.9, 0.9, None),
    ],
)
def test_students_are_drawn_as_their_bins_say(tables, draw, tokens, whole, top, errors):
    _, axes = getattr(calibration, draw)(*tables)
    assert axes.shape == (1, 2)
    assert axes[0, 0].get_title() == f"student 6.22k\n$D$ = {tokens}"
    sure = (np.arange(0, 21, 2) + 0.5) / 21
    for ax in axes.flat:
        for colour, slope in ((DISTRIBUTION, whole), (TOP, top)):
            np.testing.assert_allclose(dots(ax, colour), np.stack([sure, slope * sure], axis=1), rtol=1e-5)
        if errors is not None:
            assert words(ax) == errors
        else:  # ECE_dist: a tenth of the mean confidence
            mean = np.average(sure, weights=np.arange(1, 22, 2))
            assert words(ax) == [f"ECE {10 * mean:.1f} %"] * 2


@pytest.mark.parametrize(
    "draw", ["fig46_student_within_teacher_bins", "fig50_student_within_teacher_bins_after_more"]
)
def test_the_other_way_round_the_teachers_bins_are_taken(tables, draw):
    _, axes = getattr(calibration, draw)(*tables)
    sure = (np.arange(0, 21, 2) + 0.5) / 21
    for ax in axes.flat:
        np.testing.assert_allclose(dots(ax, TOP), np.stack([0.9 * sure, sure], axis=1), rtol=1e-5)


def test_a_student_that_was_not_trained_for_longer_is_left_to_the_earlier_figure(tables):
    runs, measures = tables
    shorter = runs[(runs["N"] == SIZES[0]) | (runs["D"] < 50 * runs["N"])]
    _, axes = calibration.fig47_student_calibration_after_more(shorter, measures)
    longer, same = axes.flat
    assert len(dots(longer, TOP)) > 0
    assert same.get_title().startswith("student 12.4k")
    assert words(same) == ["not trained\nfor longer:\nsee Figure 43"]
    assert not same.collections
    assert not same.lines
    with pytest.raises(ValueError, match="none of them trained for longer than those of Figure 45"):
        calibration.fig49_teacher_within_student_bins_after_more(runs[runs["D"] < 50 * runs["N"]], measures)


def test_teachers_have_a_panel_of_their_own(tables):
    _, axes = calibration.fig42_teacher_calibration(*tables)
    assert axes.shape == (1, 1)
    assert words(axes[0, 0]) == ["ECE 1.0 %"]
    _, axes = calibration.fig43_student_calibration(*tables, panels="N_T")
    assert [ax.get_title().split("\n")[0] for ax in axes.flat] == ["teacher 6.22k"]


def test_seeds_are_pooled_by_their_positions():
    frame = pd.DataFrame({"bin": [0, 0, 1], "count": [1.0, 3.0, 2.0], "accuracy": [0.0, 1.0, 0.5]})
    means = calibration.pooled(frame, "accuracy")
    assert means["accuracy"].tolist() == [0.75, 0.5]
    assert means["count"].tolist() == [4, 2]


def test_dots_grow_with_positions_and_lines_leave_out_chance(tables):
    runs, measures = tables
    measures = measures.copy()
    measures.loc[(measures["by"] == "confidence") & (measures["bin"] == 0), "count"] = 5.0
    _, axes = calibration.fig43_student_calibration(runs, measures)
    ax = axes[0, 0]
    (sizes,) = {tuple(np.diff(c.get_sizes()) > 0) for c in ax.collections}
    assert all(sizes)
    lines = [line for line in ax.lines if line.get_color() == TOP]
    assert len(lines[0].get_xdata()) == len(dots(ax, TOP)) - 1


def test_loss_by_frequency_compares_equal_sizes_and_tokens(tables):
    _, axes = where_loss_is.loss_by_token_frequency(*tables)
    assert axes.shape == (2, 2)
    above, below = axes[:, 0]
    drawn = {line.get_label(): line.get_ydata() for line in above.lines}
    np.testing.assert_allclose(drawn["supervised"], 2.25 + np.arange(8))
    np.testing.assert_allclose(drawn["teacher"], 1.5 + np.arange(8))
    # Whole, top and half students are pooled: their losses are off by 0.1, 0.5 and 0.9.
    np.testing.assert_allclose(below.lines[0].get_ydata(), 0.25)
    assert "1.24M" in above.get_title()


def test_scores_are_drawn_over_the_loss_of_each_run(tables):
    runs, measures = tables
    _, axes = where_loss_is.fig35_scores_against_loss(runs, measures)
    drawn = {line.get_label(): line for line in axes[0].lines}
    assert set(drawn) == {"teacher", "supervised", "distilled"}
    np.testing.assert_allclose(drawn["supervised"].get_ydata(), 0.5 * 0.75)
    np.testing.assert_allclose(drawn["supervised"].get_xdata(), 1 / 3 + 4)
    right = np.average((np.arange(3) + 0.5) / 3, weights=[1, 2, 3])
    np.testing.assert_allclose(axes[1].lines[-1].get_ydata(), right, rtol=1e-5)


def test_nothing_to_draw_is_said(tables):
    runs, measures = tables
    with pytest.raises(ValueError, match="none of them with measures by bin"):
        calibration.fig43_student_calibration(runs, measures.iloc[:0])
    with pytest.raises(ValueError, match="runs holds 0 teachers"):
        calibration.fig42_teacher_calibration(runs[runs["objective"] == "supervised"], measures)
    with pytest.raises(ValueError, match="panels='D'"):
        calibration.fig44_student_against_top_token(runs, measures, panels="D")
    with pytest.raises(ValueError, match="trained both ways"):
        where_loss_is.loss_by_token_frequency(runs[runs["objective"] == "supervised"], measures)
    with pytest.raises(ValueError, match="no runs by bracket"):
        where_loss_is.fig35_scores_against_loss(runs, measures[measures["by"] != "bracket"])
