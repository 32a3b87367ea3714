"""Our own runs along IsoFLOP lines: supervised models, students of one teacher, teachers of one student."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.panels import power
from distill_lib.figures.run_marks import ALONE, draw_runs, draw_without_teacher
from distill_lib.figures.style import (
    PAGE_WIDTH,
    ROLE_COLOURS,
    log_axis,
    ordered_colours,
    panel_letter,
    styled,
)
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw
from distill_lib.scaling.valleys import valleys
from distill_lib.scaling.wording import count

_TEACHER: dict[str, Any] = {"color": ROLE_COLOURS["teacher"], "ls": ":", "lw": 1.4}


@styled
def fig36_supervised_runs(
    fixed: pd.DataFrame, isoflops: pd.DataFrame, *, law: SupervisedLaw | None = None
) -> tuple[Figure, dict[str, Axes]]:
    """Draw supervised runs at fixed tokens per parameter and along IsoFLOP lines, with the optima (Fig 36).

    Parameters
    ----------
    fixed : pandas.DataFrame
        Rows of "supervised_fixed_ratio", as ``selections.select`` returns them.
    isoflops : pandas.DataFrame
        Rows of "supervised_isoflops".
    law : SupervisedLaw, optional
        A law to draw as lines, and as the optimum that it expects.

    Returns
    -------
    tuple of Figure and dict of str to Axes
        The figure and its panels: ``fixed``, ``isoflops``, ``size`` and ``loss``.

    Notes
    -----
    Optima are minima of parabolas in ln N through the means of each line; a minimum at an end of its line is
    an open mark.
    """
    fig, axes = plt.subplot_mosaic([["fixed", "isoflops"], ["size", "loss"]], figsize=(PAGE_WIDTH, 7.4))
    ratio = (fixed["D"] / fixed["N"]).round().astype(float)
    fixed = fixed.assign(M=ratio.map(lambda M: float(f"{M:.2g}")))
    for M, colour in ordered_colours(fixed["M"]).items():
        rows = fixed[fixed["M"] == M]
        draw_runs(axes["fixed"], rows, "N", colour=colour, label=f"{M:g}", line=law is None)
        if law is not None:
            mean = rows.groupby("N")["D"].mean()
            axes["fixed"].plot(mean.index.astype(float), law.loss(mean.index.to_numpy(float), mean.to_numpy(float)),
                               color=colour)  # fmt: skip
    axes["fixed"].legend(title="tokens per\nparameter $M$")
    colours = ordered_colours(isoflops["budget"].dropna())
    for C, colour in colours.items():
        rows = isoflops[isoflops["budget"] == C]
        draw_runs(axes["isoflops"], rows, "N", colour=colour, label=power(C), line=law is None)
        if law is not None:
            mean = rows.groupby("N")["D"].mean()
            axes["isoflops"].plot(mean.index.astype(float), law.loss(mean.index.to_numpy(float), mean.to_numpy(float)),
                                  color=colour)  # fmt: skip
    axes["isoflops"].legend(title="$C$ (FLOPs)")
    found = valleys(isoflops, "budget")
    _draw_optima(axes["size"], axes["loss"], found, "budget", "N", colour="#222222", label=None)
    for name in ("fixed", "isoflops"):
        log_axis(axes[name].xaxis, counts=True)
        axes[name].set(xlabel="Size $N$ (parameters)", ylabel="Cross-entropy $L$ (nats/token)")
    for name in ("size", "loss"):
        log_axis(axes[name].xaxis)
        axes[name].set_xlabel("Training compute $C$ (FLOPs)")
    log_axis(axes["size"].yaxis, counts=True)
    axes["size"].set_ylabel("Best size $N^*$ (parameters)")
    axes["loss"].set_ylabel("Its cross-entropy $L^*$ (nats/token)")
    for letter, ax in zip("abcd", axes.values(), strict=True):
        panel_letter(ax, letter)
    return fig, axes


@styled
def fig02_student_isoflops(
    table: pd.DataFrame, *, supervised: pd.DataFrame | None = None, law: DistillationLaw | None = None
) -> tuple[Figure, np.ndarray]:
    """Draw students along IsoFLOP lines, one panel per teacher (Figs 2 and 38a).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "student_isoflops", as ``selections.select`` returns them.
    supervised : pandas.DataFrame, optional
        Rows of "supervised_isoflops": the same students without a teacher, drawn thin and dashed.
    law : DistillationLaw, optional
        A law to draw as solid lines.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per teacher, from the weakest to the strongest.

    Notes
    -----
    Dotted: the teacher's own loss and size. Below the horizontal one, students are better than their teacher.
    """
    taught = table[table["objective"] == "distilled"]
    teachers = taught.groupby("teacher_run")[["N_T", "L_T"]].first().sort_values("N_T")
    fig, axes = plt.subplots(1, len(teachers), figsize=(PAGE_WIDTH, 4.2), sharey=True, squeeze=False)
    colours = ordered_colours(taught["budget"].dropna())
    for ax, (run, teacher) in zip(axes[0], teachers.iterrows(), strict=True):
        for C, colour in colours.items():
            rows = taught[(taught["teacher_run"] == run) & (taught["budget"] == C)]
            draw_runs(ax, rows, "N", colour=colour, label=power(C), line=law is None)
            if supervised is not None:
                alone = supervised[supervised["budget"] == C].groupby("N")["L"].mean()
                ax.plot(
                    alone.index.astype(float), alone.to_numpy(float), **ALONE | {"color": colour, "lw": 0.9}
                )
            if law is not None:
                mean = rows.groupby("N")["D"].mean()
                loss = law.loss(mean.index.to_numpy(float), mean.to_numpy(float), float(teacher["L_T"]))
                ax.plot(mean.index.astype(float), loss, color=colour)
        ax.axhline(float(teacher["L_T"]), **_TEACHER)
        ax.axvline(float(teacher["N_T"]), **_TEACHER)
        log_axis(ax.xaxis, counts=True)
        ax.set(
            xlabel="Student size $N_S$ (parameters)", title=f"teacher of {count(teacher['N_T'])} parameters"
        )
    axes[0, 0].set_ylabel("Student cross-entropy $L_S$ (nats/token)")
    if supervised is not None:
        axes[0, -1].plot([], [], **ALONE, label="without a teacher")
    axes[0, -1].legend(title="$C_S$ (FLOPs)")
    return fig, axes[0]


@styled
def fig03a_teacher_isoflops(
    table: pd.DataFrame, *, law: DistillationLaw | None = None
) -> tuple[Figure, np.ndarray]:
    """Draw students of fixed size and tokens under teachers along IsoFLOP lines (Figs 3a and 38b).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "teacher_isoflops", as ``selections.select`` returns them.
    law : DistillationLaw, optional
        A law to draw as solid lines, at the teachers' measured losses.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per student size.
    """
    taught = table[table["objective"] == "distilled"]
    sizes = sorted(taught["N"].unique())
    fig, axes = plt.subplots(1, len(sizes), figsize=(PAGE_WIDTH, 4.2), squeeze=False)
    colours = ordered_colours(taught["budget_T"].dropna())
    for ax, N in zip(axes[0], sizes, strict=True):
        students = taught[taught["N"] == N]
        for C, colour in colours.items():
            rows = students[students["budget_T"] == C]
            draw_runs(ax, rows, "N_T", colour=colour, label=power(C), line=law is None)
            if law is not None:
                mean = rows.groupby("N_T")[["D", "L_T"]].mean().astype(float)
                ax.plot(mean.index.astype(float), law.loss(float(N), mean["D"].to_numpy(), mean["L_T"].to_numpy()),
                        color=colour)  # fmt: skip
        draw_without_teacher(ax, table, N=N)
        log_axis(ax.xaxis, counts=True)
        ax.set_xticks(sorted(taught["N_T"].astype(float).unique()))
        ax.set(xlabel="Teacher size $N_T$ (parameters)", title=f"student of {count(N)} parameters")
    axes[0, 0].set_ylabel("Student cross-entropy $L_S$ (nats/token)")
    axes[0, -1].plot([], [], **ALONE, label="without a teacher")
    axes[0, -1].legend(title="$C_T$ (FLOPs)")
    return fig, axes[0]


@styled
def fig03b_teacher_loss_alone(
    table: pd.DataFrame, *, law: DistillationLaw | None = None
) -> tuple[Figure, np.ndarray]:
    """Draw the same students against the teacher's loss: if it is all that matters, they fall on one curve.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "teacher_isoflops", as ``selections.select`` returns them; colours are teacher sizes.
    law : DistillationLaw, optional
        A law, which knows nothing of a teacher but its loss, to draw as a solid line.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per student size.
    """
    taught = table[table["objective"] == "distilled"].assign(L_T=lambda rows: rows["L_T"].astype(float))
    sizes = sorted(taught["N"].unique())
    fig, axes = plt.subplots(1, len(sizes), figsize=(PAGE_WIDTH, 4.2), squeeze=False)
    colours = ordered_colours(taught["N_T"].astype(float))
    for ax, N in zip(axes[0], sizes, strict=True):
        students = taught[taught["N"] == N]
        for N_T, colour in colours.items():
            rows = students[students["N_T"] == N_T]
            draw_runs(ax, rows, "L_T", colour=colour, label=count(N_T), line=False)
        if law is not None:
            L_T = np.linspace(students["L_T"].min(), students["L_T"].max(), 100)
            ax.plot(L_T, law.loss(float(N), float(students["D"].mean()), L_T), color="#777777")
        ends = np.array([students["L_T"].min(), students["L_T"].max()])
        ax.plot(ends, ends, color=ROLE_COLOURS["teacher"], ls=":", lw=1.2)
        draw_without_teacher(ax, table, N=N)
        ax.set(xlabel="Teacher cross-entropy $L_T$ (nats/token)", title=f"student of {count(N)} parameters")
    axes[0, 0].set_ylabel("Student cross-entropy $L_S$ (nats/token)")
    axes[0, -1].plot([], [], color=ROLE_COLOURS["teacher"], ls=":", lw=1.2, label="$L_S = L_T$")
    axes[0, -1].plot([], [], **ALONE, label="without a teacher")
    axes[0, -1].legend(title="$N_T$ (parameters)")
    return fig, axes[0]


@styled
def fig39_optima(students: pd.DataFrame, teachers: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw where the valleys lie: the best student of each teacher, and the best teacher of each student (Fig 39).

    Parameters
    ----------
    students : pandas.DataFrame
        Rows of "student_isoflops", as ``selections.select`` returns them.
    teachers : pandas.DataFrame
        Rows of "teacher_isoflops".

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, 2]: sizes above losses; students on the left.

    Notes
    -----
    A minimum at an end of its line is an open mark: the valley may lie beyond.
    """
    fig, axes = plt.subplots(2, 2, figsize=(PAGE_WIDTH, 7.0), sharex="col")
    taught = students[students["objective"] == "distilled"]
    for C, colour in ordered_colours(taught["budget"].dropna()).items():
        found = valleys(taught[taught["budget"] == C], "N_T")
        _draw_optima(axes[0, 0], axes[1, 0], found, "N_T", "N", colour=colour, label=power(C))
    axes[0, 0].legend(title="$C_S$ (FLOPs)")
    taught = teachers[teachers["objective"] == "distilled"]
    for C, colour in ordered_colours(taught["budget_T"].dropna()).items():
        found = valleys(taught[taught["budget_T"] == C], "N", x="N_T")
        _draw_optima(axes[0, 1], axes[1, 1], found, "N", "N_T", colour=colour, label=power(C))
    axes[0, 1].legend(title="$C_T$ (FLOPs)")
    axes[0, 0].set_ylabel("Best student size $N_S^*$ (parameters)")
    axes[0, 1].set_ylabel("Best teacher size $N_T^*$ (parameters)")
    for ax in axes[0]:
        log_axis(ax.yaxis, counts=True)
    for ax, name in zip(
        axes[1], ("Teacher size $N_T$ (parameters)", "Student size $N_S$ (parameters)"), strict=True
    ):
        log_axis(ax.xaxis, counts=True)
        ax.set(xlabel=name, ylabel="Its loss $L_S^*$ (nats/token)")
    for letter, ax in zip("abcd", axes.flat, strict=True):
        panel_letter(ax, letter)
    return fig, axes


def _draw_optima(
    sizes: Axes, losses: Axes, found: pd.DataFrame, along: str, x: str, *, colour: Any, label: str | None
) -> None:
    for ax, value in ((sizes, f"{x}_best"), (losses, "L_best")):
        at, best = found[along].to_numpy(dtype=float), found[value].to_numpy(dtype=float)
        ax.plot(at, best, lw=0.9, color=colour, label=label)
        inside = found["inside"].to_numpy(dtype=bool)
        for keep, face in ((inside, colour), (~inside, "white")):
            ax.plot(at[keep], best[keep], "o", ms=6, mfc=face, mec=colour)
        spread = found[f"{value}_sd"].to_numpy(dtype=float)
        ax.errorbar(
            at[inside],
            best[inside],
            yerr=spread[inside],
            fmt="none",
            ecolor=colour,
            elinewidth=1.1,
            capsize=2,
        )
