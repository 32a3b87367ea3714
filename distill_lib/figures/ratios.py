"""What distilling costs to reach a loss, as a multiple of supervised training: Figs 33 and 34."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from distill_lib.figures.by_scenario import scenario_style
from distill_lib.figures.panels import (
    COMPARE_STYLE,
    PAPER_SIZES,
    legend_above,
    outside_fit,
    shade_outside,
    size_panels,
)
from distill_lib.figures.style import SCENARIO_LABELS, styled
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.formulas import BOUNDS
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import SCENARIOS, PlanMap, plan_map

RATIOS = (0.1, 20.0)
"""Range of ratios drawn; the paper's axis runs from 0.2 to 10."""

WORST_LOSS = 2.6
"""Highest student loss on the paper's axis, nats per token."""

STATED: Mapping[str, Mapping[float, tuple[float, float]]] = MappingProxyType(
    {
        "compute": MappingProxyType({500e6: (2.4, 3 / 4), 10e9: (2.2, 1 / 2)}),
        "tokens": MappingProxyType({500e6: (2.4, 2 / 3), 10e9: (2.2, 1 / 2)}),
    }
)
"""Loss and ratio that the text of App D.5 states for two students."""


def distillation_ratios(plans: PlanMap, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute and tokens of the best plans against supervised training to the same loss.

    Each budget gives a plan, its loss, and what supervised training needs for that loss: a curve along the
    budget, with nothing inverted or interpolated.

    Parameters
    ----------
    plans : PlanMap
        Plans of one scenario.
    row : int
        Which student of the plans.

    Returns
    -------
    tuple of numpy.ndarray
        Student loss (falling), ratio of compute, and ratio of tokens, where teacher tokens count if the
        scenario pays for them, D_S + delta_pre D_T. Losses out of supervised reach are left out.
    """
    size, base = plans.N_S[row], plans.law.supervised
    low, high = BOUNDS
    # At the bounds of D_S a plan no longer spends its budget.
    good = (plans.D_S[row] > 1.01 * low) & (plans.D_S[row] < 0.99 * high)
    L_S, budget, D_S, D_T = (a[good] for a in (plans.L_S[row], plans.C, plans.D_S[row], plans.D_T[row]))
    tokens = np.asarray(base.tokens_for_loss(size, L_S))
    reached = (tokens > low) & (tokens < high)
    spent = D_S + (D_T if "pretraining" in plans.scenario else 0.0)
    compute = 3.0 * np.asarray(forward_flops(size)) * tokens
    return L_S[reached], (budget / compute)[reached], (spent / tokens)[reached]


def _ratio_panels(
    kind: str,
    law: DistillationLaw,
    compare: DistillationLaw | None,
    N_S: Sequence[float],
    points: int,
    ylabel: str,
) -> tuple[Figure, np.ndarray]:
    """Draw one of the two ratios over student loss: a panel for each size, a line for each scenario."""
    fig, axes = size_panels(N_S, columns=4, height=6.4, sharex=False)
    per_token = 3.0 * np.asarray(forward_flops(N_S))
    budget = np.geomspace(per_token.min() * 30.0 * BOUNDS[0], per_token.max() * BOUNDS[1], points)
    for drawn in (law, compare):
        for scenario in SCENARIOS if drawn is not None else ():
            plans = plan_map(N_S, budget, scenario, law=drawn)
            style = scenario_style(scenario) | (COMPARE_STYLE if drawn is compare else {})
            for row, ax in enumerate(axes.flat[: len(N_S)]):
                loss, *ratios = distillation_ratios(plans, row)
                ax.plot(loss, ratios[kind == "tokens"], label=SCENARIO_LABELS[scenario], **style)
    for ax, size in zip(axes.flat, N_S, strict=False):
        _ratio_axes(ax, law, size)
        if size in STATED[kind]:
            ax.plot(*STATED[kind][size], "D", color="black", ms=5.5, zorder=5)
    fig.supxlabel("Student cross-entropy $L_S$ (nats/token)", fontsize=10)
    fig.supylabel(ylabel, fontsize=10)
    handles = axes.flat[0].get_legend_handles_labels()[0][: len(SCENARIOS)]
    handles += [
        Line2D([], [], color="#222222", ls=(0, (5, 2)), lw=1.2, label="break-even"),
        Line2D([], [], color="#222222", ls=":", lw=1.4, label=r"supervised floor $L(N_S, \infty)$"),
        Line2D([], [], color="black", marker="D", ls="", ms=5.5, label="stated in App D.5"),
    ]
    legend_above(fig, handles, compare=compare, ncols=3)
    return fig, axes


def _ratio_axes(ax: Axes, law: DistillationLaw, size: float) -> None:
    """Give a panel its axes, break-even, floor and grey ground."""
    floor = float(law.supervised.floor(size))
    span = WORST_LOSS - floor
    ax.set(xlim=(floor - 0.06 * span, WORST_LOSS), ylim=RATIOS, yscale="log")
    ax.yaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10, 20]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.axhline(1.0, color="#222222", ls=(0, (5, 2)), lw=1.2)
    ax.axvline(floor, color="#222222", ls=":", lw=1.4)
    loss = np.linspace(floor + 1e-3 * span, WORST_LOSS, 200)
    tokens = np.asarray(law.supervised.tokens_for_loss(size, loss))
    shade_outside(ax, outside_fit(law, N_S=size, D_S=tokens), loss)


@styled
def fig33_compute_ratio(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = PAPER_SIZES,
    points: int = 241,
) -> tuple[Figure, np.ndarray]:
    """Draw the compute that distilling needs, as a multiple of supervised training (Figure 33).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    compare : DistillationLaw, optional
        A second law, in thin dashed lines.
    N_S : sequence of float
        Student sizes in parameters, one panel each.
    points : int
        Budgets along all curves together.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4]. Each panel begins at the floor of its student; grey is where
        the supervised student's tokens, or its size, are outside what the law was fitted on.

    Notes
    -----
    What to see: below break-even distilling is cheaper. Free or already trained teachers save compute away
    from the floor and cost more near it, but for 30B and 50B, whose distilled floor the law puts below the
    supervised one (Fig 40); a teacher trained for one student rarely pays. Black diamonds are
    App D.5's words: 3/4 of the compute for 500M at 2.4 nats and 1/2 for 10B at 2.2. The paragraph names the
    scenario with pretraining, for which the reconciled law gives 3.03 and 2.05; teacher inference gives
    0.77 and 0.45, and must be meant. The printed reading gives 0.09 and 0.0007 there.
    """
    ylabel = "Compute, distilled / supervised, for the same loss"
    return _ratio_panels("compute", law, compare, N_S, points, ylabel)


@styled
def fig34_token_ratio(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = PAPER_SIZES,
    points: int = 241,
) -> tuple[Figure, np.ndarray]:
    """Draw the tokens that distilling needs, as a multiple of supervised training (Figure 34).

    Student tokens count, and teacher tokens where the teacher is trained for this student.

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    compare : DistillationLaw, optional
        A second law, in thin dashed lines.
    N_S : sequence of float
        Student sizes in parameters, one panel each.
    points : int
        Budgets along all curves together.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4]. Each panel begins at the floor of its student; grey is where
        the supervised student's tokens, or its size, are outside what the law was fitted on.

    Notes
    -----
    What to see: the pattern of Fig 33, further down, since logits cost compute but no tokens. App D.5 states
    2/3 for 500M at 2.4 nats and 1/2 for 10B at 2.2 (black diamonds); teacher inference gives 0.58 and 0.37
    by the reconciled law, 0.01 and 0.0005 by the printed reading.
    """
    return _ratio_panels(
        "tokens", law, compare, N_S, points, "Tokens, distilled / supervised, for the same loss"
    )
