"""A plan as a picture: what more or less compute would buy, and why this teacher."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.panels import BEST_TEACHER_COLOUR, power_axis, reading_label
from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, styled
from distill_lib.scaling.laws import LOSS_OF_IGNORANCE, READINGS
from distill_lib.scaling.planning import Plan, replan
from distill_lib.scaling.wording import count

OUTCOME_GROUND = "#e3e3e3"
"""Ground where two losses are too close for the law to tell, as in the map of the advantage."""


@styled
def plan_charts(
    plan: Plan, *, decades: float = 2.0, points: int = 61, L_T: tuple[float, float] | None = None
) -> tuple[Figure, np.ndarray]:
    """Draw a plan: loss against compute with every crossover, and loss against the teacher's loss.

    On the left the plan's question is asked again with more and with less compute, all else the same; a band as
    wide as the law's accuracy lies around the supervised curve. On the right the student's size and tokens are
    those of the plan and only its teacher changes: the minimum is the best teacher, and to its left a better
    teacher makes a worse student (the capacity gap).

    Parameters
    ----------
    plan : Plan
        As ``dl.plan`` made it.
    decades : float
        Powers of ten to show on either side of the plan's compute.
    points : int
        Budgets, and teachers, per curve.
    L_T : tuple of float, optional
        Range of the teacher's loss in nats per token; by default about the plan's teacher and the best one.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2].

    Raises
    ------
    ValueError
        For a plan that does not say what was asked, fewer than 5 points, or decades that are not positive.
    """
    if points < 5 or not decades > 0.0:
        raise ValueError(
            f"points = {points!r}, decades = {decades!r}: give 5 points at least, and decades above 0"
        )
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.9))
    _loss_against_compute(axes[0], plan, decades, points)
    _loss_against_teacher(axes[1], plan, points, L_T)
    name = (
        f"published law, {reading_label(plan.law)}"
        if plan.law.name in READINGS
        else (plan.law.name or "own law")
    )
    fig.suptitle(
        f"Student of {count(plan.N_S)} parameters, {plan.scenario.replace('_', ' ')}, {name}", fontsize=10
    )
    return fig, axes


def _loss_against_compute(ax: Axes, plan: Plan, decades: float, points: int) -> None:
    """Draw both losses over the total compute, the plan, and where the two change places."""
    budgets = plan.C * np.geomspace(10.0**-decades, 10.0**decades, points)

    def losses(C: float) -> tuple[float, float]:
        try:  # tokens and targets that were fixed are free here: they follow from the compute
            found = replan(plan, C=C, target_loss=None, D_S=None)
        except ValueError:
            return math.nan, math.nan
        return found.L_S, found.L_supervised

    distilled, supervised = np.array([losses(C) for C in budgets]).T
    ax.fill_between(
        budgets, supervised * (1.0 - plan.accuracy), supervised * (1.0 + plan.accuracy),
        color=OUTCOME_GROUND, lw=0, zorder=0, label=f"within {100 * plan.accuracy:.2g} %: too close to call",
    )  # fmt: skip
    ax.plot(budgets, supervised, color=ROLE_COLOURS["supervised"], label="supervised")
    ax.plot(budgets, distilled, color=ROLE_COLOURS["distilled"], label="distilled")
    for C, L in crossings(losses, budgets, supervised - distilled):
        ax.plot(C, L, "X", ms=8, color=BEST_TEACHER_COLOUR, zorder=5, label=f"crossover at {C:.2g} FLOPs")
        ax.axvline(C, color=BEST_TEACHER_COLOUR, lw=0.9, ls=":", zorder=1)
    ax.plot(
        plan.C, plan.L_S, "o", ms=7, color=ROLE_COLOURS["distilled"], mec="white", zorder=6, label="this plan"
    )
    ax.set_xlim(budgets[0], budgets[-1])
    power_axis(ax.xaxis)
    ax.set(xlabel="Total compute $C$ (FLOPs)", ylabel="Student cross-entropy $L_S$ (nats/token)")
    ax.legend(loc="upper right")


def crossings(
    losses: Callable[[float], tuple[float, float]], budgets: np.ndarray, ahead: np.ndarray
) -> list[tuple[float, float]]:
    """Return where two curves of loss over compute cross, by bisection between the points of a scan.

    Parameters
    ----------
    losses : callable
        Takes a budget, returns both losses.
    budgets : numpy.ndarray
        The scan, rising, shape [points].
    ahead : numpy.ndarray
        Second less first loss at each, shape [points]; NaN where a budget buys nothing.

    Returns
    -------
    list of tuple of float
        Compute and loss of each crossing, by rising compute.
    """
    found = []
    for i in np.flatnonzero(ahead[:-1] * ahead[1:] < 0.0):
        low, high = float(budgets[i]), float(budgets[i + 1])
        for _ in range(30):
            middle = math.sqrt(low * high)
            first, second = losses(middle)
            if (second - first) * ahead[i] > 0.0:
                low = middle
            else:
                high = middle
        found.append((math.sqrt(low * high), losses(math.sqrt(low * high))[1]))
    return found


def _loss_against_teacher(ax: Axes, plan: Plan, points: int, limits: tuple[float, float] | None) -> None:
    """Draw the loss of the plan's student over that of its teacher, with the best teacher."""
    L_best, L_S_best = (float(part) for part in plan.law.best_teacher(plan.N_S, plan.D_S))
    L_own = float(plan.law.supervised.loss(plan.N_S, plan.D_S))
    if limits is None:
        low, high = min(plan.L_T, L_best), max(plan.L_T, L_best, L_own)
        low, high = low - 0.5 * (high - low) - 0.02, high + 0.3 * (high - low) + 0.05
        limits = max(low, plan.law.supervised.E * 1.0001, 1e-3), min(high, LOSS_OF_IGNORANCE)
    teacher = np.linspace(*limits, 4 * points)
    student = np.asarray(plan.law.loss(plan.N_S, plan.D_S, teacher))
    if teacher[0] < L_best:
        ax.axvspan(
            teacher[0],
            L_best,
            color="#f1f1f1",
            ec="#cccccc",
            zorder=0,
            label="capacity gap: better teachers hurt",
        )
    ax.plot(teacher, student, color=ROLE_COLOURS["distilled"], label=f"distilled, {count(plan.D_S)} tokens")
    ax.axhline(
        L_own, color=ROLE_COLOURS["supervised"], lw=1.2, ls=(0, (1, 1)), label="supervised, as many tokens"
    )
    ax.plot(
        L_best, L_S_best, "v", ms=8, color=BEST_TEACHER_COLOUR, zorder=5, label=f"best teacher, {L_best:.3f}"
    )
    ax.plot(
        plan.L_T,
        plan.L_S,
        "o",
        ms=7,
        color=ROLE_COLOURS["distilled"],
        mec="white",
        zorder=6,
        label="this plan",
    )
    ax.set(
        xlim=limits,
        xlabel="Teacher cross-entropy $L_T$ (nats/token)",
        ylabel="Student cross-entropy $L_S$ (nats/token)",
    )
    ax.margins(y=0.25)
    ax.legend(loc="upper center")
