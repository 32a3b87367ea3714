"""The capacity gap in our own runs: a better teacher is not always a better teacher (Figs 4 and 37)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from distill_lib.figures.run_marks import ALONE, draw_runs, draw_without_teacher
from distill_lib.figures.style import PAGE_WIDTH, log_axis, ordered_colours, styled
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.wording import count


@styled
def fig04_capacity_gap(
    table: pd.DataFrame, *, law: DistillationLaw | None = None
) -> tuple[Figure, np.ndarray]:
    """Draw the loss of students against the size of their teacher, one panel per student size (Fig 4).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of the protocol "capacity_gap", as ``selections.select`` returns them.
    law : DistillationLaw, optional
        A law to draw as solid lines, at the mean loss of the teachers of each size.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per student size.

    Notes
    -----
    Marks are means over seeds and teachers, bars one standard deviation over seeds of the mean over teachers;
    crosses are the single teachers. Dashed: the same student without a teacher.
    """
    taught = table[table["objective"] == "distilled"]
    sizes = sorted(taught["N"].unique())
    fig, axes = plt.subplots(1, len(sizes), figsize=(PAGE_WIDTH, 4.2), squeeze=False)
    colours = ordered_colours(taught["D"].astype(float))
    for ax, N in zip(axes[0], sizes, strict=True):
        for D, students in taught[taught["N"] == N].groupby("D"):
            colour = colours[float(D)]
            draw_by_teacher(ax, students, colour=colour, label=f"{count(D)} tokens", joined=law is None)
            draw_without_teacher(ax, table, colour=colour, N=N, D=D)
            if law is not None:
                teachers = students.groupby("N_T")["L_T"].mean()
                ax.plot(
                    teachers.index.astype(float),
                    law.loss(float(N), float(D), teachers.to_numpy()),
                    color=colour,
                )
        log_axis(ax.xaxis, counts=True)
        ax.set_xticks(sorted(taught["N_T"].astype(float).unique()))
        ax.set(xlabel="Teacher size $N_T$ (parameters)", title=f"student of {count(N)} parameters")
    axes[0, 0].set_ylabel("Student cross-entropy $L_S$ (nats/token)")
    axes[0, -1].plot([], [], **ALONE, label="without a teacher")
    axes[0, -1].legend(title="student tokens $D_S$")
    return fig, axes[0]


@styled
def fig37_gap_and_divergence(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw students' loss above their divergence from the teacher, against the teacher's size (Fig 37).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of the protocol "capacity_gap", as ``selections.select`` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, student sizes].
    """
    taught = table[table["objective"] == "distilled"]
    sizes = sorted(taught["N"].unique())
    fig, axes = plt.subplots(2, len(sizes), figsize=(PAGE_WIDTH, 6.0), squeeze=False, sharex=True)
    colours = ordered_colours(taught["D"].astype(float))
    for column, N in enumerate(sizes):
        for D, students in taught[taught["N"] == N].groupby("D"):
            for ax, value in zip(axes[:, column], ("L", "kl_teacher"), strict=True):
                draw_by_teacher(
                    ax, students, value=value, colour=colours[float(D)], label=f"{count(D)} tokens"
                )
        axes[0, column].set_title(f"student of {count(N)} parameters")
        log_axis(axes[1, column].xaxis, counts=True)
        axes[1, column].set_xticks(sorted(taught["N_T"].astype(float).unique()))
        axes[1, column].set_xlabel("Teacher size $N_T$ (parameters)")
        axes[1, column].set_ylim(bottom=0.0)
    axes[0, 0].set_ylabel("Student cross-entropy $L_S$\n(nats/token)")
    axes[1, 0].set_ylabel("KL(teacher ‖ student)\n(nats/token)")
    axes[1, 0].legend(title="student tokens $D_S$", loc="upper left")
    return fig, axes


@styled
def differences_from_the_best_teacher(comparison: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw by how much each teacher size is worse than the best one, paired by seed.

    Parameters
    ----------
    comparison : pandas.DataFrame
        What ``teachers_compared.teachers_compared`` returned.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per student size.

    Notes
    -----
    Thick bars are intervals over students' seeds; the thin ones reach from the least to the largest difference
    that two single teachers show. The best size is a black ring at zero.
    """
    sizes = sorted(comparison["N"].unique())
    fig, axes = plt.subplots(1, len(sizes), figsize=(PAGE_WIDTH, 3.8), squeeze=False)
    colours = ordered_colours(comparison["D"].astype(float))
    for ax, N in zip(axes[0], sizes, strict=True):
        lengths = sorted(comparison.loc[comparison["N"] == N, "D"].unique())
        for place, D in enumerate(lengths):
            rows = comparison[(comparison["N"] == N) & (comparison["D"] == D)]
            # Lengths are set a little apart, so that bars do not cover each other.
            at = rows["N_T"].to_numpy(dtype=float) * 1.05 ** (place - (len(lengths) - 1) / 2)
            mean = rows["difference"].to_numpy(dtype=float)
            wide = np.abs(rows[["least", "most"]].to_numpy(dtype=float).T - mean)
            near = np.abs(rows[["low", "high"]].to_numpy(dtype=float).T - mean)
            colour = colours[float(D)]
            ax.errorbar(at, mean, yerr=wide, fmt="none", ecolor=colour, elinewidth=0.8)
            ax.errorbar(
                at, mean, yerr=near, fmt="o", ms=5, color=colour, elinewidth=2.6, label=f"{count(D)} tokens"
            )
            best = rows["best"].to_numpy(dtype=bool)
            ax.plot(at[best], mean[best], "o", ms=10, mfc="none", mec="black")
        ax.axhline(0.0, color="#222222", lw=1)
        log_axis(ax.xaxis, counts=True)
        ax.set_xticks(sorted(comparison["N_T"].astype(float).unique()))
        ax.set(xlabel="Teacher size $N_T$ (parameters)", title=f"student of {count(N)} parameters")
    axes[0, 0].set_ylabel("$L_S$ − $L_S$ of the best teacher size\n(nats/token, paired by seed)")
    axes[0, -1].legend(title="student tokens $D_S$")
    return fig, axes[0]


def draw_by_teacher(
    ax: plt.Axes,
    students: pd.DataFrame,
    *,
    value: str = "L",
    colour: object,
    label: str,
    joined: bool = True,
) -> None:
    """Draw students against their teacher's size: a mean over teachers in each seed, and single teachers.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    students : pandas.DataFrame
        Distilled rows of one student size and length.
    value : str
        Column to draw.
    colour : object
        Colour of the marks.
    label : str
        Entry of the legend.
    joined : bool
        Whether to join the marks.
    """
    seeds = students.groupby(["N_T", "seed"])[value].mean().reset_index()
    draw_runs(ax, seeds, "N_T", value=value, colour=colour, label=label, line=joined)
    single = students.groupby(["N_T", "teacher_run"])[value].mean().reset_index()
    ax.plot(single["N_T"].astype(float), single[value].astype(float), "x", ms=4, color=colour, alpha=0.6)
