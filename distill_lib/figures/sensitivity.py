"""What distillation is sensitive to, in our own runs: lambda, tau, direction, truncation, when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.run_marks import draw_runs, draw_without_teacher
from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, log_axis, ordered_colours, styled
from distill_lib.scaling.selections import truncated, without_teacher
from distill_lib.scaling.wording import count

_LOSS = "Student cross-entropy $L_S$ (nats/token)"
_FULL: dict[str, Any] = {"color": ROLE_COLOURS["distilled"], "ls": "-", "lw": 1.0, "alpha": 0.7}


@styled
def fig51a_mixing(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw the loss of students against the share of the distillation loss, one colour per teacher (Fig 51a).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "mixing", as ``selections.select`` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per student size.
    """
    fig, axes = _by_student(table, "lam", "Share of the distillation loss $\\lambda$")
    return fig, axes


@styled
def fig51b_best_mixing(best: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw the best lambda against the size of the teacher, one colour per student (Fig 51b).

    Parameters
    ----------
    best : pandas.DataFrame
        What ``best_settings.best_settings(table, "lam")`` returned.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.

    Notes
    -----
    Bars reach over all values of lambda whose loss is not worse than the best by more than seeds explain.
    """
    fig, ax = plt.subplots(figsize=(0.6 * PAGE_WIDTH, 4.0))
    colours = ordered_colours(best["N"].astype(float))
    groups: Any = best.groupby("N")
    for place, (N, rows) in enumerate(groups):
        at = rows["N_T"].to_numpy(dtype=float) * 1.06 ** (place - 0.5)
        value = rows["best"].to_numpy(dtype=float)
        reach = np.abs(rows[["low", "high"]].to_numpy(dtype=float).T - value)
        ax.errorbar(at, value, yerr=reach, marker="o", lw=0.9, elinewidth=1.4, capsize=3, color=colours[float(N)],
                    label=count(N))  # fmt: skip
    log_axis(ax.xaxis, counts=True)
    ax.set_xticks(sorted(best["N_T"].astype(float).unique()))
    ax.set(xlabel="Teacher size $N_T$ (parameters)", ylabel="Best share $\\lambda^*$", ylim=(-0.05, 1.05))
    ax.legend(title="student $N_S$")
    return fig, ax


@styled
def fig52_temperature(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw the loss of students against the temperature, one colour per teacher (Fig 52).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "temperature", as ``selections.select`` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per student size.
    """
    fig, axes = _by_student(table, "tau", "Distillation temperature $\\tau$")
    for ax in axes:
        ax.set_xscale("log")
        ticks = sorted(table["tau"].dropna().unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    return fig, axes


@styled
def fig54_truncation(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw what students lose when they see only their teacher's likeliest tokens (Fig 54).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "truncation", as ``selections.select`` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, student sizes]: top-k above top-p.

    Notes
    -----
    The thin line is the student that sees everything. Renormalised as in the paper, with the missing
    probability in one more token ("tail"), and renormalised beside the data (lambda 0.7).
    """
    taught = truncated(table[table["objective"] == "distilled"])
    sizes = sorted(taught["N"].unique())
    fig, axes = plt.subplots(2, len(sizes), figsize=(PAGE_WIDTH, 7.0), squeeze=False)
    kinds = (
        ("renormalise", 1.0, "#cc3311", "renormalised"),
        ("tail", 1.0, "#009e73", "with a tail"),
        ("renormalise", 0.7, "#e69f00", "renormalised, $\\lambda$ = 0.7"),
    )
    for column, N in enumerate(sizes):
        rows = taught[taught["N"] == N]
        everything = rows[rows["truncation"].isna()]["L"].mean()
        for ax, keep in zip(axes[:, column], ("top_k", "top_p"), strict=True):
            ax.axhline(everything, **_FULL, label="sees everything")
            for missing, lam, colour, label in kinds:
                some = rows[(rows["keep"] == keep) & (rows["missing"] == missing) & (rows["lam"] == lam)]
                if len(some):
                    draw_runs(ax, some, "number", colour=colour, label=label)
        axes[0, column].set_xscale("log", base=2)
        ticks = sorted(rows.loc[rows["keep"] == "top_k", "number"].unique())
        axes[0, column].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes[0, column].minorticks_off()
        axes[0, column].set(xlabel="Tokens that are kept $k$", title=f"student of {count(N)} parameters")
        axes[1, column].set_xlabel("Probability that is kept $p$")
    for ax in axes[:, 0]:
        ax.set_ylabel(_LOSS)
    axes[0, -1].legend()
    return fig, axes


@styled
def table07_directions(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw the loss of students under forward, mixed and reverse divergence (Table 7), seeds joined by lines.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "direction", as ``selections.select`` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per student size.
    """
    taught = table[table["objective"] == "distilled"]
    order = {"forward": 0, "jensen_shannon": 1, "reverse": 2}
    sizes = sorted(taught["N"].unique())
    fig, axes = plt.subplots(1, len(sizes), figsize=(PAGE_WIDTH, 4.0), squeeze=False)
    colours = ordered_colours(taught["N_T"].astype(float))
    for ax, N in zip(axes[0], sizes, strict=True):
        for (N_T, _), pair in taught[taught["N"] == N].groupby(["N_T", "seed"]):
            pair = pair.assign(place=pair["direction"].map(order)).sort_values("place")
            ax.plot(pair["place"], pair["L"], "o-", ms=4, lw=0.8, alpha=0.8, color=colours[float(N_T)])
        ax.set_xticks(list(order.values()), ["forward", "Jensen–\nShannon", "reverse"])
        ax.set(xlabel="Divergence", title=f"student of {count(N)} parameters")
    for N_T, colour in colours.items():
        axes[0, -1].plot([], [], "o-", color=colour, label=count(N_T))
    axes[0, -1].legend(title="teacher $N_T$")
    axes[0, 0].set_ylabel(_LOSS)
    return fig, axes[0]


@styled
def distil_first_then_switch(table: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw the loss of a student against how much of its training is distilled, the rest being supervised.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "switching", as ``selections.select`` returns them.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    taught = table[table["objective"] == "distilled"]
    alone = without_teacher(table).assign(distilled_share=0.0)
    fig, ax = plt.subplots(figsize=(0.62 * PAGE_WIDTH, 4.2))
    for N_T, colour in ordered_colours(taught["N_T"].astype(float)).items():
        rows = taught[taught["N_T"] == N_T].assign(
            distilled_share=lambda found: found["distilled_share"].fillna(1.0)
        )
        both = pd.concat([alone, rows])
        draw_runs(ax, both, "distilled_share", colour=colour, label=count(N_T))
    ax.set(xlabel="Share of the steps that is distilled", ylabel=_LOSS)
    ax.legend(title="teacher $N_T$")
    return fig, ax


@styled
def fig41_long_students(table: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw students under a larger and under a smaller teacher for ever more tokens (Fig 41).

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of "long_students", as ``selections.select`` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, 2]: loss above divergence from the teacher.
    """
    students = table[table["split"] == "student"]
    sizes = sorted(students["N"].unique())
    fig, axes = plt.subplots(2, len(sizes), figsize=(PAGE_WIDTH, 6.4), sharex=True, squeeze=False)
    for column, N in enumerate(sizes):
        rows = students[students["N"] == N]
        taught = rows[rows["objective"] == "distilled"]
        for role, some in (("supervised", rows[rows["objective"] == "supervised"]), ("distilled", taught)):
            draw_runs(axes[0, column], some, "D", colour=ROLE_COLOURS[role], label=role)
        draw_runs(axes[1, column], taught, "D", value="kl_teacher", colour=ROLE_COLOURS["distilled"])
        teacher = taught.iloc[0]
        axes[0, column].axhline(
            float(teacher["L_T"]), color=ROLE_COLOURS["teacher"], ls=":", lw=1.4, label="the teacher"
        )
        axes[0, column].set_title(f"student of {count(N)}, teacher of {count(teacher['N_T'])} parameters")
        log_axis(axes[1, column].xaxis, counts=True)
        axes[1, column].set_xticks(sorted(rows["D"].astype(float).unique()))
        axes[1, column].tick_params(axis="x", labelrotation=35)
        axes[1, column].set_xlabel("Student tokens $D_S$")
        axes[1, column].set_ylim(bottom=0.0)
    axes[0, 0].set_ylabel("Student cross-entropy $L_S$\n(nats/token)")
    axes[1, 0].set_ylabel("KL(teacher ‖ student)\n(nats/token)")
    axes[0, -1].legend()
    return fig, axes


def _by_student(table: pd.DataFrame, x: str, label: str) -> tuple[Figure, np.ndarray]:
    """One panel per student, one colour per teacher."""
    taught = table[table["objective"] == "distilled"]
    sizes: Sequence[int] = sorted(taught["N"].unique())
    fig, axes = plt.subplots(1, len(sizes), figsize=(PAGE_WIDTH, 4.2), squeeze=False)
    colours = ordered_colours(taught["N_T"].astype(float))
    for ax, N in zip(axes[0], sizes, strict=True):
        for N_T, colour in colours.items():
            rows = taught[(taught["N"] == N) & (taught["N_T"] == N_T)]
            draw_runs(ax, rows, x, colour=colour, label=count(N_T))
        draw_without_teacher(ax, table, N=N)
        ax.set(xlabel=label, title=f"student of {count(N)} parameters")
    axes[0, 0].set_ylabel(_LOSS)
    axes[0, -1].legend(title="teacher $N_T$")
    return fig, axes[0]
