"""Figures of compute-optimal distillation: what a budget buys, and whether distilling is worth it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from distill_lib.figures.style import (
    PAGE_WIDTH,
    SCENARIO_COLOURS,
    SCENARIO_LABELS,
    count,
    log_axis,
    styled,
)
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import plan_map

FIG8_SIZES = (300e6, 1e9, 3e9, 10e9)
"""Student sizes that Figure 8 of the paper shows."""

LAW_ACCURACY = 0.01
"""Relative error that the paper states for both laws (Sec. 4.4, Fig. 5): smaller differences decide nothing."""

SCENARIOS = ("best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference")


@styled
def fig08_compute_optimal_loss(
    law: DistillationLaw,
    *,
    N_S: Sequence[float] = FIG8_SIZES,
    C: tuple[float, float] = (1e20, 1e26),
    points: int = 49,
) -> tuple[Figure, np.ndarray]:
    """Draw the best student loss that a total compute buys, for each scenario (Figure 8).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    N_S : sequence of float
        Student sizes in parameters, one panel each, four at most.
    C : tuple of float
        Range of the total compute in FLOPs.
    points : int
        Budgets per curve.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, 2].
    """
    fig, axes = plt.subplots(2, 2, figsize=(PAGE_WIDTH, 6.6), sharex=True)
    budget = np.geomspace(*C, points)
    maps = {scenario: plan_map(np.asarray(N_S), budget, scenario, law=law) for scenario in SCENARIOS}
    for row, (ax, size) in enumerate(zip(axes.flat, N_S, strict=False)):
        supervised = maps["best_case"].L_supervised[row]
        ax.plot(
            budget,
            supervised,
            color=SCENARIO_COLOURS["supervised"],
            lw=2.6,
            label=SCENARIO_LABELS["supervised"],
        )
        for scenario in SCENARIOS:
            ax.plot(
                budget,
                maps[scenario].L_S[row],
                color=SCENARIO_COLOURS[scenario],
                label=SCENARIO_LABELS[scenario],
                ls=(0, (4, 1.5)) if "pretraining" in scenario else "-",
            )
        log_axis(ax.xaxis)
        ax.set_title(f"student {count(size)}")
        ax.set_ylim(*_readable_range(supervised, [maps[s].L_S[row] for s in SCENARIOS]))
    axes.flat[0].legend(loc="upper right")
    fig.supxlabel("Total compute $C$ (FLOPs)", fontsize=10)
    fig.supylabel("Student cross-entropy $L_S$ (nats/token)", fontsize=10)
    return fig, axes


def _readable_range(supervised: np.ndarray, others: Sequence[np.ndarray]) -> tuple[float, float]:
    """Leave out the steep start, where every curve falls off the scale."""
    everything = np.concatenate([supervised, *others])
    low, high = float(np.nanmin(everything)), float(np.nanmin(np.stack(others)[:, 0]))
    margin = 0.05 * (high - low)
    return low - margin, high + 6 * margin


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
    norm = TwoSlopeNorm(0, vmin=-0.15, vmax=0.15)
    for ax, scenario in zip(axes[0], scenarios, strict=True):
        plans = plan_map(size, budget, scenario, law=law)
        gain = plans.L_S - plans.L_supervised
        mesh = ax.pcolormesh(budget, size, gain, cmap="RdBu_r", norm=norm, shading="gouraud", rasterized=True)
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
    bar = fig.colorbar(mesh, ax=axes[0], pad=0.015, extend="both", aspect=30)
    bar.set_label("distilled − supervised loss (nats/token)")
    bar.ax.text(
        0.5,
        1.06,
        "train",
        transform=bar.ax.transAxes,
        ha="center",
        va="bottom",
        color="#b2182b",
        weight="bold",
    )
    bar.ax.text(
        0.5,
        -0.06,
        "distil",
        transform=bar.ax.transAxes,
        ha="center",
        va="top",
        color="#2166ac",
        weight="bold",
    )
    return fig, axes[0]
