"""The capacity gap without a network: kernel regression in closed form (Fig 10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, ordered_colours, panel_letter, styled
from distill_lib.scaling.kernel_regression import KernelRegression, draw_rises, draw_target

FIG10_STUDENTS = (300, 400, 500, 600, 700, 800)
"""Basis functions of the students that Figure 10 of the paper shows."""


@styled
def fig10_kernel_regression(
    problem: KernelRegression | None = None, *, n: Sequence[int] = FIG10_STUDENTS
) -> tuple[Figure, Axes]:
    """Draw errors of students over the capacity of their teacher, kernel regression (Figure 10).

    Parameters
    ----------
    problem : KernelRegression, optional
        Target and norms; by default those of the paper, drawn with seed 0 since the paper states none.
    n : sequence of int
        Basis functions of the students.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.

    Notes
    -----
    What to see: the teacher only gets better with capacity; each student gets better, too, until the teacher
    has the student's own capacity (dot), stays so up to about (T/D)^2 n = 1.23 n, and then gets worse. The
    paper's axis runs from 14 to 19; here the teacher goes from 18.0 to 13.0 and students stay above 14.0.
    With seed 0 the student of 800 does not get worse inside the basis of 1000.
    """
    problem = problem or draw_target()
    m = np.arange(1, len(problem.coefficients) + 1)
    colours = ordered_colours(n)
    fig, ax = plt.subplots(figsize=(0.8 * PAGE_WIDTH, 4.6))
    ax.plot(m, problem.teacher_error(m), color=ROLE_COLOURS["teacher"], lw=2.4, label="teacher")
    for size in n:
        error = np.asarray(problem.student_error(m, size))
        ax.plot(m, error, color=colours[size], ls=(0, (4, 1.2)), label=f"student, $n$ = {size}")
        ax.plot(size, error[size - 1], "o", color=colours[size], ms=5)
    ax.set(
        xlim=(0, len(m)), xlabel="Teacher capacity $m$ (basis functions)", ylabel="Distance from the target"
    )
    ax.legend(loc="lower left")
    return fig, ax


@styled
def kernel_gap_by_norms(
    *,
    norms: Sequence[float] = (3.0, 4.0, 4.5, 5.0),
    T: float = 5.0,
    n: int = 300,
    draws: int = 50,
    seed: int = 0,
) -> tuple[Figure, np.ndarray]:
    """Draw what the capacity gap of kernel regression owes to the norms of teacher and student.

    Parameters
    ----------
    norms : sequence of float
        Largest norms D of the students, each at most T.
    T : float
        Largest norm of the teachers.
    n : int
        Basis functions of the student of the first and the last panel.
    draws : int
        Targets behind each median and band.
    seed : int
        Seed of the first target.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes.

    Notes
    -----
    What to see: with D = T the bottom is a point, at a teacher as large as the student; below, it is flat up to
    (T/D)^2 n, and a student so large that this end lies beyond the basis has no gap at all. Without a bound that
    teachers feel there is no gap either.
    """
    colours = ordered_colours(norms)
    fig, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.7))
    for D in norms:
        problem = draw_target(seed=seed, T=T, D=D)
        m = np.arange(1, len(problem.coefficients) + 1)
        error = np.asarray(problem.student_error(m, n))
        label = f"$D$ = {D:g}" + (" = $T$" if D == T else "")
        axes[0].plot(m / n, error - error.min(), color=colours[D], label=label)
        axes[0].plot(problem.best_teacher_ends, 0.0, "v", color=colours[D], ms=6, clip_on=False)
    axes[0].set(
        xlim=(0.0, len(m) / n), ylim=(-0.03, 1.05), xlabel="Teacher over student, $m / n$",
        ylabel="Distance above the best", title=f"one student, $n$ = {n}",
    )  # fmt: skip
    axes[0].legend(loc="upper center", fontsize=8)

    sizes = np.arange(200, 901, 50)
    for D in norms:
        _band(axes[1], sizes, draw_rises(sizes, T=T, D=D, draws=draws, seed=seed), colours[D])
    axes[1].set(
        xlabel="Student capacity $n$ (basis functions)",
        ylabel="Rise to the largest teacher",
        title="students of all sizes",
    )

    tops = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 20.0])
    for share in (0.8, 0.9, 1.0):
        rises = np.column_stack(
            [draw_rises([n], T=top, D=share * top, draws=draws, seed=seed) for top in tops]
        )
        _band(axes[2], tops, rises, "#555555", {0.8: ":", 0.9: "--", 1.0: "-"}[share], f"$D$ = {share:g} $T$")
    whole = np.median([np.linalg.norm(draw_target(seed=seed + k).coefficients) for k in range(draws)])
    axes[2].axvline(whole, color=ROLE_COLOURS["teacher"], lw=1.2, ls=":")
    axes[2].annotate(
        "norm of\nthe target", (whole, 0.97), xycoords=("data", "axes fraction"), xytext=(-3, 0),
        textcoords="offset points", ha="right", va="top", fontsize=8, color=ROLE_COLOURS["teacher"],
    )  # fmt: skip
    axes[2].set(
        xlabel="Largest norm of teachers $T$", ylabel="Rise to the largest teacher", title=f"norms, $n$ = {n}"
    )
    axes[2].legend(loc="upper left", fontsize=8)
    for ax, letter in zip(axes, "abc", strict=True):
        panel_letter(ax, letter)
    return fig, axes


def _band(
    ax: Axes, x: np.ndarray, draws: np.ndarray, colour: Any, style: str = "-", label: str | None = None
) -> None:
    """Draw medians over draws, shape [draws, x], with a band that holds nine in ten."""
    low, middle, high = np.percentile(draws, [5, 50, 95], axis=0)
    ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
    ax.plot(x, middle, color=colour, ls=style, label=label)
