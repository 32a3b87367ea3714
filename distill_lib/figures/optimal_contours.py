"""The best plan over all student sizes and budgets at once, one scenario each: Figs 19, 21, 24 and 27."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distill_lib.figures.advantage import gain_map
from distill_lib.figures.contours import count_levels, labelled_contours, loss_levels
from distill_lib.figures.panels import (
    PAPER_BUDGETS,
    MapOptions,
    legend_above,
    outline_outside,
    outside_fit,
    power_axis,
    shade_outside,
)
from distill_lib.figures.style import PAGE_WIDTH, styled
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import PlanMap, plan_map
from distill_lib.scaling.wording import count

CONTOUR_SIZES = (300e6, 50e9)
"""Range of student sizes in the paper's contour plots."""

TITLES = {
    "L_S": "student loss $L_S^*$ (nats/token)",
    "L_T": "teacher loss $L_T^*$ (nats/token)",
    "D_S": "student tokens $D_S^*$",
    "N_T": "teacher size $N_T^*$ (parameters)",
    "D_T": "teacher tokens $D_T^*$",
}


def _contour_grid(
    scenario: str,
    quantities: Sequence[str],
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: tuple[float, float] = CONTOUR_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: tuple[int, int] = (64, 73),
) -> tuple[Figure, np.ndarray]:
    """Draw contours of the chosen quantities, two panels in a row; a spare one shows the gain."""
    size, budget = np.geomspace(*N_S, points[0]), np.geomspace(*C, points[1])
    plans = plan_map(size, budget, scenario, law=law)
    other = None if compare is None else plan_map(size, budget, scenario, law=compare)
    rows = -(-len(quantities) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(PAGE_WIDTH, 3.4 * rows + 0.3), sharex=True, sharey=True)
    for ax, name in zip(axes.flat, quantities, strict=False):
        _contour_panel(ax, name, plans, other)
    for ax in axes.flat[len(quantities) :]:
        ax.set_title("distilled − supervised loss (nats/token)")
        gain_map(ax, budget, size, -plans.advantage, compare=None if other is None else -other.advantage)
        outline_outside(ax, outside_fit(law, N_S=size[:, None], D_S=plans.D_S), budget, size)
    legend_above(
        fig, [Line2D([], [], color="#2a788e", lw=1.4, label="contour, with its value")], compare=compare
    )
    fig.supxlabel("Total compute $C$ (FLOPs)", fontsize=10)
    fig.supylabel("Student size $N_S$ (parameters)", fontsize=10)
    return fig, axes


def _contour_panel(ax: Axes, name: str, plans: PlanMap, other: PlanMap | None) -> None:
    """Draw one quantity over compute and student size."""
    values = getattr(plans, name)
    is_loss = name.startswith("L")
    levels = loss_levels(values, 14) if is_loss else count_levels(values, 14)
    ax.set(xlim=plans.C[[0, -1]], ylim=plans.N_S[[0, -1]], title=TITLES[name])
    power_axis(ax.xaxis)
    power_axis(ax.yaxis, counts=True)
    shade_outside(ax, outside_fit(plans.law, N_S=plans.N_S[:, None], D_S=plans.D_S), plans.C, plans.N_S)
    labelled_contours(
        ax,
        plans.C,
        plans.N_S,
        values,
        levels,
        fmt="%.2f" if is_loss else count,
        norm=Normalize(levels[0], levels[-1]) if is_loss else LogNorm(levels[0], levels[-1]),
        fontsize=8.5,
        compare=None if other is None else getattr(other, name),
    )
    ax.grid(visible=False)


@styled
def fig19_best_case_contours(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: tuple[float, float] = CONTOUR_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: tuple[int, int] = (64, 73),
) -> tuple[Figure, np.ndarray]:
    """Draw contours of the best plans when the teacher is free (Figure 19).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    compare : DistillationLaw, optional
        A second law, in thin dashed contours.
    N_S : tuple of float
        Range of student sizes in parameters.
    C : tuple of float
        Range of the total compute in FLOPs.
    points : tuple of int
        Sizes and budgets of the map.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [3, 2]. The last panel, not in the paper, shows what
        distilling gains.

    Notes
    -----
    What to see: the wanted teacher loss has a valley along large students and middling compute, where the
    cheapest teacher that reaches it grows beyond all reason. The ranges agree with the paper's labels: it
    prints L_S* 1.65 to 2.75, L_T* 1.40 to 2.15, D_S* 1B to 10P, N_T* 3B to 30T and D_T* 100B to 300T; the
    reconciled law spans 1.64 to 2.84, 1.35 to 2.19, 0.3B to 40P, 3B to 141T and 46B to 1.4P.
    """
    return _contour_grid("best_case", tuple(TITLES), law, compare=compare, N_S=N_S, C=C, points=points)


@styled
def fig21_teacher_inference_contours(
    law: DistillationLaw, **options: Unpack[MapOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw contours of the best plans when the teacher's logits are paid (Figure 21).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig19_best_case_contours`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, 2].

    Notes
    -----
    What to see: at large compute the teacher's size follows the student's, contours lie flat. Teacher tokens
    are left out: they sit at their bound of 1e17. The paper labels L_S* 1.70 to 2.75, L_T* 1.55 to 2.20,
    D_S* 1B to 10P and N_T* 500M to 100B; the reconciled law spans 1.65 to 2.85, 1.54 to 2.26, 0.3B to 24P
    and 0.4B to 226B. The printed reading has teachers up to 20T.
    """
    return _contour_grid("teacher_inference", ("L_S", "L_T", "D_S", "N_T"), law, **options)


@styled
def fig24_teacher_pretraining_contours(
    law: DistillationLaw, **options: Unpack[MapOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw contours of the best plans when the teacher's training is paid (Figure 24).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig19_best_case_contours`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [3, 2]. The last panel, not in the paper, shows what
        distilling gains.

    Notes
    -----
    What to see: N_T* and D_T* have contours of the same shape, since the teacher is trained
    compute-optimally. The paper labels L_S* 1.65 to 2.85, L_T* 1.60 to 2.65, N_T* 500M to 500B and D_T* 10B
    to 3T; the reconciled law spans 1.65 to 2.99, 1.56 to 2.70, 0.3B to 779B and 5B to 10T. The printed
    reading ends at 2.57 and 2.48 nats, below the paper's own labels.
    """
    return _contour_grid("teacher_pretraining", tuple(TITLES), law, **options)


@styled
def fig27_pretraining_inference_contours(
    law: DistillationLaw, **options: Unpack[MapOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw contours of the best plans when the teacher's training and logits are paid (Figure 27).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig19_best_case_contours`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [3, 2]. The last panel, not in the paper, shows what
        distilling gains.

    Notes
    -----
    What to see: at small compute N_T* follows the budget (steep contours), at large compute the student
    (flat ones); D_T* follows the budget throughout. The paper labels L_S* 1.70 to 2.85, L_T* 1.60 to 2.65,
    N_T* 500M to 100B and D_T* 10B to 100T; the reconciled law spans 1.66 to 2.99, 1.58 to 2.70, 0.3B to
    297B and 5B to 135T.
    """
    return _contour_grid("teacher_pretraining_inference", tuple(TITLES), law, **options)
