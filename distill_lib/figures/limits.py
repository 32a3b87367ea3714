"""The supervised law as the paper measured it, and what both laws say of unlimited data: Figs 36 and 40."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from distill_lib.figures.panels import (
    BEST_TEACHER_COLOUR,
    COMPARE_STYLE,
    legend_above,
    outside_fit,
    power_axis,
    reading_label,
    shade_outside,
)
from distill_lib.figures.style import (
    PAGE_WIDTH,
    ROLE_COLOURS,
    log_axis,
    ordered_colours,
    panel_letter,
    styled,
)
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw
from distill_lib.scaling.wording import count

FIG36_BUDGETS = (3e19, 1e20, 3e20, 1e21)
"""Budgets of the supervised IsoFLOP profiles, FLOPs."""


@styled
def fig36_supervised_curves(
    law: SupervisedLaw | DistillationLaw,
    *,
    N: tuple[float, float] = (100e6, 14e9),
    M: float = 20.0,
    D: float = 512e9,
    C: Sequence[float] = FIG36_BUDGETS,
    points: int = 141,
) -> tuple[Figure, np.ndarray]:
    """Draw the supervised law along the paper's supervised runs (curves of Figure 36).

    Parameters
    ----------
    law : SupervisedLaw or DistillationLaw
        The law; of a distillation law, the supervised one in it.
    N : tuple of float
        Range of sizes in parameters.
    M : float
        Tokens per parameter of the first curve in panel a.
    D : float
        Tokens of the second one.
    C : sequence of float
        Budgets of the IsoFLOP profiles, FLOPs.
    points : int
        Sizes per curve.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes: losses (a), profiles (b), and the best size and loss of a budget (c).

    Notes
    -----
    What to see: profiles are U-shaped in size, and their lowest points move along a power law. The published
    law puts them at 0.50B, 0.93B, 1.64B and 3.04B parameters with 2.572, 2.419, 2.296 and 2.177 nats, inside
    the axes of the paper; about 15 tokens per parameter.
    """
    base = law.supervised if isinstance(law, DistillationLaw) else law
    fig, axes = plt.subplots(2, 2, figsize=(PAGE_WIDTH, 7.2))
    size = np.geomspace(*N, points)
    ax = axes[0, 0]
    ax.plot(size, base.loss(size, M * size), color=ROLE_COLOURS["supervised"], label=f"$D$ = {M:g} $N$")
    ax.plot(size, base.loss(size, D), color=ROLE_COLOURS["distilled"], label=f"$D$ = {count(D)}")
    ax.set(xlim=N, ylim=(1.8, 2.8), xlabel="Size $N$ (parameters)", ylabel="Cross-entropy $L$ (nats/token)")
    ax.legend(loc="upper right")

    ax, colours = axes[0, 1], ordered_colours(C)
    best_N, best_D = (np.asarray(value) for value in base.compute_optimal(np.asarray(C, dtype=float)))
    best_L = np.asarray(base.loss(best_N, best_D))
    for i, budget in enumerate(C):
        tokens = budget / (3.0 * np.asarray(forward_flops(size)))
        ax.plot(size, base.loss(size, tokens), color=colours[budget], label=_power(budget))
        ax.plot(best_N[i], best_L[i], "o", color=colours[budget], ms=6)
    ax.set(xlim=N, ylim=(2.0, 2.8), xlabel="Size $N$ (parameters)")
    ax.legend(title="$C$ (FLOPs)", loc="lower left", ncols=2)

    line = np.geomspace(min(C) / 1.5, max(C) * 1.5, points)
    line_N, line_D = base.compute_optimal(line)
    for ax, along, at in ((axes[1, 0], line_N, best_N), (axes[1, 1], base.loss(line_N, line_D), best_L)):
        ax.plot(line, along, color=ROLE_COLOURS["supervised"])
        for i, budget in enumerate(C):
            ax.plot(budget, at[i], "o", color=colours[budget], ms=6)
        log_axis(ax.xaxis)
        ax.set(xlim=line[[0, -1]], xlabel="Training compute $C$ (FLOPs)")
    for ax in (*axes[0], axes[1, 0]):
        power_axis(ax.xaxis if ax is not axes[1, 0] else ax.yaxis, counts=True)
    axes[1, 0].set_yticks([500e6, 1e9, 2e9, 3e9])
    axes[1, 0].set_ylabel("Best size $N^*$ (parameters)")
    axes[1, 1].set_ylabel("Its loss $L^*$ (nats/token)")
    for ax, letter in zip(axes.flat, "abc", strict=False):
        panel_letter(ax, letter)
    return fig, axes


def _power(value: float) -> str:
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = value / 10.0**exponent
    return f"$10^{{{exponent}}}$" if np.isclose(factor, 1.0) else f"${factor:.3g}\\cdot 10^{{{exponent}}}$"


@styled
def fig40_infinite_data(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N: tuple[float, float] = (100e6, 1e12),
    points: int = 161,
) -> tuple[Figure, np.ndarray]:
    """Draw what each law says of unlimited data: supervised floor and best distilled floor (Figure 40).

    Parameters
    ----------
    law : DistillationLaw
        The law; with its supervised law it gives both floors.
    compare : DistillationLaw, optional
        A second law, in thin dashed lines. With unlimited tokens B' drops out, so the two readings of the
        published law agree.
    N : tuple of float
        Range of student sizes in parameters.
    points : int
        Sizes per curve.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes: the floors, and how far they are apart.

    Notes
    -----
    What to see: two laws fitted apart give nearly the same floor, within 0.8 percent from 100M to 100B, as
    the paper shows; nothing in their form makes them agree. Beyond 100B they part: at 1T, where the best
    teacher is as good as E lets one be, the distilled floor is 3.8 percent lower. All of that is extrapolated.
    """
    fig, axes = plt.subplots(2, 1, figsize=(0.75 * PAGE_WIDTH, 6.0), sharex=True, height_ratios=[2, 1])
    size = np.geomspace(*N, points)
    floor = np.asarray(law.supervised.floor(size))
    best_L_T, distilled = (np.asarray(value) for value in law.best_teacher(size, None))
    handles = axes[0].plot(
        size, floor, color=ROLE_COLOURS["supervised"], lw=2.6, label=r"supervised floor $L(N, \infty)$"
    )
    handles += axes[0].plot(
        size, distilled, color=ROLE_COLOURS["distilled"],
        label=r"best distilled floor $\min_{L_T} L_S(N, \infty, L_T)$",
    )  # fmt: skip
    handles += axes[0].plot(size, best_L_T, color=BEST_TEACHER_COLOUR, label="its teacher, $L_T^*$")
    axes[1].plot(size, 100.0 * (distilled / floor - 1.0), color=ROLE_COLOURS["distilled"])
    if compare is not None:
        other = np.asarray(compare.best_teacher(size, None)[1])
        style = COMPARE_STYLE | {"color": "black", "label": reading_label(compare)}
        axes[0].plot(size, other, **style)
        axes[1].plot(size, 100.0 * (other / compare.supervised.floor(size) - 1.0), **style)
    axes[1].axhline(0.0, color=ROLE_COLOURS["supervised"], lw=2.0)
    axes[0].set_ylabel("Cross-entropy (nats/token)")
    axes[1].set(ylabel="distilled above\nsupervised (%)", xlabel="Student size $N$ (parameters)", xlim=N)
    axes[1].yaxis.set_major_locator(MultipleLocator(1.0))
    power_axis(axes[1].xaxis, counts=True)
    for ax in axes:
        shade_outside(ax, outside_fit(law, N_S=size), size)
    legend_above(fig, handles, compare=compare, ncols=2)
    return fig, axes
