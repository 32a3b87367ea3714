"""The capacity gap without a network: kernel regression in closed form (Fig 10)."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, ordered_colours, styled
from distill_lib.scaling.kernel_regression import KernelRegression, draw_target

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
