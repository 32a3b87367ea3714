"""The capacity gap in small networks: students of the mapping problem under many teachers (Figs 11 and 12)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, panel_letter, styled
from distill_lib.scaling.comparison import mean_interval
from distill_lib.scaling.mapping_record import STUDIES, student_runs

STUDENT_COLOURS = ("#e69f00", "#0072b2", "#009e73", "#cc3311", "#222222")
"""Colours of students, the narrowest first."""

_AXES = {"width": "Teacher width (units)", "steps": "Training of the teacher (steps)"}


@styled
def fig11_mapping_by_teacher_width(
    runs: pd.DataFrame, *, students: Sequence[int] | None = None, paired: int = 256
) -> tuple[Figure, np.ndarray]:
    """Draw students of the mapping problem over the width of their teacher (Figure 11).

    Parameters
    ----------
    runs : pandas.DataFrame
        The record, as ``read_mapping_runs`` returns it.
    students : sequence of int, optional
        Widths of the students; all that the record has by default.
    paired : int
        Width of the students of the last panel.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes: cross-entropy, accuracy, and the paired difference to the widest teacher.

    Notes
    -----
    What to see: the teacher gets better with its width; the student of 256 units gets better with its teacher, and
    then worse. Marks are medians over trials, bars reach from the first to the third quartile, as in the paper.
    """
    return _draw(runs, "width", students, paired)


@styled
def fig12_mapping_by_teacher_steps(
    runs: pd.DataFrame, *, students: Sequence[int] | None = None, paired: int = 256
) -> tuple[Figure, np.ndarray]:
    """Draw students of the mapping problem over the training of a teacher of one width (Figure 12).

    Parameters
    ----------
    runs : pandas.DataFrame
        The record, as ``read_mapping_runs`` returns it.
    students : sequence of int, optional
        Widths of the students; all that the record has by default.
    paired : int
        Width of the students of the last panel.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes: cross-entropy, accuracy, and the paired difference to the longest training.

    Notes
    -----
    What to see: all teachers have the same size, so a student that gets worse with a better teacher suffers from
    what the teacher can do, not from how large it is.
    """
    return _draw(runs, "steps", students, paired)


@styled
def mapping_by_kind_of_case(
    runs: pd.DataFrame, *, study: str = "width", width: int = 256
) -> tuple[Figure, np.ndarray]:
    """Draw what one student makes of easy and of hard cases, and how far it is from its teacher.

    Parameters
    ----------
    runs : pandas.DataFrame
        The record, as ``read_mapping_runs`` returns it.
    study : {"width", "steps"}
        What differs between the teachers.
    width : int
        Width of the students.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes: cross-entropy of hard cases, of easy cases, and KL(teacher || student).

    Notes
    -----
    What to see: which cases the student pays with, and that it is ever further from its teacher.
    """
    chosen = _students(runs, study, [width])
    taught = _teachers(runs, chosen)
    x, colour = STUDIES[study], ROLE_COLOURS["distilled"]
    fig, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.4))
    for ax, column, label in zip(
        axes,
        ("L_hard", "L_easy", "kl_teacher"),
        (
            "Cross-entropy of hard cases (nats)",
            "Cross-entropy of easy cases (nats)",
            "KL(teacher || student) (nats)",
        ),
        strict=True,
    ):
        if column != "kl_teacher":
            _quartiles(ax, taught, x, column, ROLE_COLOURS["teacher"], "teacher", "s")
        _quartiles(ax, chosen, x, column, colour, f"student, {width}", "o")
        ax.set_ylabel(label)
        _teacher_axis(ax, chosen[x], study)
    axes[0].legend()
    for ax, letter in zip(axes, "abc", strict=True):
        panel_letter(ax, letter)
    return fig, axes


@styled
def mapping_by_teacher_loss(runs: pd.DataFrame, *, width: int = 256) -> tuple[Figure, Axes]:
    """Draw one student over the loss of its teacher, whatever made the teacher good.

    Parameters
    ----------
    runs : pandas.DataFrame
        The record, as ``read_mapping_runs`` returns it.
    width : int
        Width of the students.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.

    Notes
    -----
    What to see: whether students of wide and of long-trained teachers lie on one curve. The law of the paper supposes
    that a teacher matters through its loss alone.
    """
    fig, ax = plt.subplots(figsize=(0.62 * PAGE_WIDTH, 3.9))
    looks = {"width": ("o", "wider teachers (Fig. 11)"), "steps": ("s", "longer-trained teachers (Fig. 12)")}
    for (study, (marker, label)), colour in zip(looks.items(), STUDENT_COLOURS[1:], strict=False):
        chosen = _students(runs, study, [width])
        ax.plot(
            chosen["L_T"], chosen["L"], marker, color=colour, mfc="none" if marker == "s" else colour, ms=6,
            mew=1.4, label=label,
        )  # fmt: skip
    alone = _alone(runs, chosen)
    if len(alone):
        ax.axhline(alone["L"].median(), color="#222222", lw=1.0, ls=":", label="on labels alone")
    ends = [0.0, float(runs.loc[runs["role"] == "teacher", "L"].max())]
    ax.plot(ends, ends, color=ROLE_COLOURS["teacher"], lw=1.2, label="as good as the teacher", zorder=0)
    ax.set(
        xlabel="Cross-entropy of the teacher (nats)", ylabel="Cross-entropy of the student (nats)",
        title=f"student, {width}",
    )  # fmt: skip
    ax.legend(loc="lower right")
    return fig, ax


def _draw(
    runs: pd.DataFrame, study: str, students: Sequence[int] | None, paired: int
) -> tuple[Figure, np.ndarray]:
    chosen = _students(runs, study, students)
    taught = _teachers(runs, chosen)
    x = STUDIES[study]
    widths = sorted(chosen["width"].unique())
    colours = dict(zip(widths, itertools.cycle(STUDENT_COLOURS)))
    fig, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.9))
    for ax, column in zip(axes, ("L", "accuracy"), strict=False):
        _quartiles(ax, taught, x, column, ROLE_COLOURS["teacher"], "teacher", "s")
        for width in widths:
            of_it = chosen[chosen["width"] == width]
            _quartiles(ax, of_it, x, column, colours[width], f"student, {width}", "o")
            alone = _alone(runs, of_it)
            if len(alone):
                ax.axhline(alone[column].median(), color=colours[width], lw=1.0, ls=":")
    axes[0].set(ylabel="Cross-entropy (nats)")
    axes[1].set(ylabel="Accuracy (share)")
    _paired(axes[2], chosen[chosen["width"] == paired], x, colours[paired])
    axes[2].set(ylabel="Above the last teacher (nats)", title=f"student, {paired}, trial by trial")
    for ax, letter in zip(axes, "abc", strict=True):
        _teacher_axis(ax, chosen[x], study)
        panel_letter(ax, letter)
    handles, labels = axes[0].get_legend_handles_labels()
    handles.append(plt.Line2D([], [], color="#555555", lw=1.0, ls=":"))
    fig.legend(handles, [*labels, "on labels alone"], loc="outside lower center", ncols=5)
    return fig, axes


def _students(runs: pd.DataFrame, study: str, students: Sequence[int] | None) -> pd.DataFrame:
    chosen = student_runs(runs, study)
    if students is not None:
        chosen = chosen[chosen["width"].isin(students)]
    if chosen.empty:
        raise ValueError(f"students = {students!r}: the record has none of these widths")
    return chosen.assign(**{STUDIES[study]: chosen[STUDIES[study]].astype(int)})


def _teachers(runs: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the teachers, named as their students name them."""
    found = runs[runs["run"].isin(chosen["teacher_run"])]
    return found.assign(teacher_width=found["width"], teacher_steps=found["steps"])


def _alone(runs: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Return the same students trained on labels."""
    same = ["width", "positions", "easy", "seed"]
    return runs[runs["role"] == "supervised"].merge(chosen[same].drop_duplicates(), on=same)


def _quartiles(
    ax: Axes, table: pd.DataFrame, x: str, y: str, colour: object, label: str, marker: str
) -> None:
    """Draw the median over trials with a bar from the first to the third quartile."""
    trials = table.groupby(x)[y]
    middle = trials.median()
    bars = [middle - trials.quantile(0.25), trials.quantile(0.75) - middle]
    ax.errorbar(
        middle.index.to_numpy(dtype=float), middle, yerr=bars, color=colour, label=label, marker=marker, ms=5,
        capsize=2.5, lw=1.4,
    )  # fmt: skip


def _paired(ax: Axes, of_width: pd.DataFrame, x: str, colour: object) -> None:
    """Draw each trial's loss above its own with the last teacher, and the mean with its 95 % interval."""
    table = of_width.pivot_table(index="seed", columns=x, values="L")
    above = table.sub(table[table.columns.max()], axis=0)
    for _, trial in above.iterrows():
        ax.plot(above.columns, trial, color="#bbbbbb", lw=1, marker=".", zorder=1)
    for place in sorted(of_width[x].unique())[:-1]:
        found = above[place].dropna()
        if len(found) > 1:
            mean = mean_interval(found)
            ax.errorbar(place, mean.mean, yerr=mean.half_width, fmt="D", color=colour, ms=5, capsize=4)
    ax.axhline(0.0, color="#222222", lw=1)
    # Weak teachers lie far above: what counts is where the line goes below zero.
    lowest = float(above.min().min())
    ax.set_ylim(min(1.8 * lowest, -0.02), max(-2.5 * lowest, 0.05))


def _teacher_axis(ax: Axes, values: pd.Series, study: str) -> None:
    ticks = sorted(values.unique())
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=7.5)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(_AXES[study])
