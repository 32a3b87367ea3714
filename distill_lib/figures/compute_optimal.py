"""Figures of compute-optimal distillation: what a budget buys, and whether distilling is worth it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from distill_lib import paper
from distill_lib.figures.advantage import gain_bar, gain_mesh
from distill_lib.figures.by_scenario import panels_by_scenario
from distill_lib.figures.panels import PAPER_BUDGETS
from distill_lib.figures.style import PAGE_WIDTH, SCENARIO_LABELS, log_axis, styled
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import plan_map

FIG8_SIZES = (300e6, 1e9, 3e9, 10e9)
"""Student sizes that Figure 8 of the paper shows."""

LAW_ACCURACY = paper.law_accuracy()
"""Relative error that the paper states for both laws (Sec. 4.4, Fig. 5): smaller differences decide nothing."""


@styled
def fig08_compute_optimal_loss(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = FIG8_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: int = 49,
) -> tuple[Figure, np.ndarray]:
    """Draw the best student loss that a total compute buys, for each scenario (Figure 8).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    compare : DistillationLaw, optional
        A second law, drawn in thin dashed lines.
    N_S : sequence of float
        Student sizes in parameters, one panel each.
    C : tuple of float
        Range of the total compute in FLOPs.
    points : int
        Budgets per curve.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 2].
    """
    return panels_by_scenario("L_S", law, compare=compare, N_S=N_S, C=C, points=points, columns=2, height=6.4)


@styled
def distillation_advantage(
    law: DistillationLaw,
    *,
    scenarios: Sequence[str] = ("teacher_inference", "teacher_pretraining_inference"),
    N_S: tuple[float, float] = (100e6, 30e9),
    C: tuple[float, float] = (1e19, 1e25),
    points: tuple[int, int] = (61, 73),
    accuracy: float = LAW_ACCURACY,
) -> tuple[Figure, np.ndarray]:
    """Map where distilling beats supervised training with the same compute, and by how much.

    Where the two differ by less than the law's own accuracy the map is grey: too close to call. Budgets that
    give the student less than one token per parameter are left blank.

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    scenarios : sequence of str
        One panel each.
    N_S : tuple of float
        Range of student sizes in parameters.
    C : tuple of float
        Range of the total compute in FLOPs.
    points : tuple of int
        Sizes and budgets of the map.
    accuracy : float
        Relative error of the law's losses; the paper states about one percent (Sec. 4.4, Fig. 5).

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [number of scenarios].
    """
    fig, axes = plt.subplots(1, len(scenarios), figsize=(PAGE_WIDTH, 4.2), sharey=True, squeeze=False)
    size, budget = np.geomspace(*N_S, points[0]), np.geomspace(*C, points[1])
    one_token_per_parameter = 3 * forward_flops(size) * size
    for ax, scenario in zip(axes[0], scenarios, strict=True):
        plans = plan_map(size, budget, scenario, law=law)
        gain = plans.L_S - plans.L_supervised
        mesh = gain_mesh(ax, budget, size, gain)
        relative = gain / plans.L_supervised
        ax.contourf(budget, size, relative, levels=[-accuracy, accuracy], colors=["#e3e3e3"])
        shown = np.ma.masked_where(budget < one_token_per_parameter[:, None], gain)
        lines = ax.contour(
            budget, size, shown, levels=[-0.1, -0.05, 0.05, 0.1], colors="#333333", linewidths=0.7
        )
        ax.clabel(lines, fmt="%+.2f", fontsize=8)
        ax.fill_betweenx(size, C[0], one_token_per_parameter, color="white", zorder=3)
        ax.plot(one_token_per_parameter, size, color="#888888", lw=1, zorder=3)
        ax.set(xlim=C, ylim=N_S, xlabel="Total compute $C$ (FLOPs)", title=SCENARIO_LABELS[scenario])
        log_axis(ax.xaxis)
        log_axis(ax.yaxis, counts=True)
        ax.grid(visible=False)
        ax.text(
            0.03,
            0.96,
            "less than\none token\nper parameter",
            transform=ax.transAxes,
            va="top",
            fontsize=9,
            zorder=4,
        )
        ax.text(
            0.97,
            0.05,
            f"within {accuracy:.0%}:\ntoo close to call",
            transform=ax.transAxes,
            ha="right",
            fontsize=9,
        )
    axes[0, 0].set_ylabel("Student size $N_S$ (parameters)")
    gain_bar(fig, axes[0], mesh, aspect=30, gap=0.06)
    return fig, axes[0]
