"""Figures of learning rates: which is best for each size, and what scaling them by width buys."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib import paper
from distill_lib.figures.style import PAGE_WIDTH, log_axis, ordered_colours, plain_log_axis, styled
from distill_lib.scaling.learning_rates import DISTILLED, SCALED, UNSCALED, arms, best_rates
from distill_lib.scaling.wording import count

_RATE = "Peak base learning rate"


@styled
def fig53_learning_rates(runs: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw the student's loss against the base rate, one curve per size, distilled and supervised.

    Parameters
    ----------
    runs : pandas.DataFrame
        The runs table of ``learning_rates``: seeds are drawn as mean and standard deviation.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2]: distilled from one teacher, as in Fig 53, and supervised. Dashed
        ticks mark the best rate of each size, the black diamond the paper's rate of all sizes (App G.3); which
        width the paper's base rate holds at is not stated, so that only flatness and agreement compare.
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 4.2), sharey=True)
    _curves(axes[0], runs, DISTILLED, title="distilled from one teacher")
    _curves(axes[1], runs, SCALED, title="supervised")
    claims = paper.table("claims").set_index("claim")
    rate = float(str(claims.loc["c64", "value"]))
    for ax in axes:
        ax.plot(rate, 0.02, "D", color="black", ms=6, transform=ax.get_xaxis_transform(), label="the paper's")
    axes[0].set_ylabel("Student cross-entropy $L_S$ (nats/token)")
    axes[1].legend(title="parameters", loc="upper center", fontsize=8, ncols=2)
    return fig, axes


@styled
def learning_rate_transfer(runs: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw what scaling the rate by width buys: loss curves without and with it, and the best rate of each width.

    Parameters
    ----------
    runs : pandas.DataFrame
        The runs table of ``learning_rates``.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes, shape [3]. Right: mean over seeds of the best rate, bars from the smallest
        to the largest of them.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.8), width_ratios=[1, 1, 1])
    axes[1].sharey(axes[0])
    _curves(axes[0], runs, UNSCALED, title="one rate for all widths")
    _curves(axes[1], runs, SCALED, title="scaled by 32 / width")
    axes[0].set_ylabel("Cross-entropy $L$ (nats/token)")
    axes[1].tick_params(labelleft=False)
    handles, labels = axes[
        1
    ].get_legend_handles_labels()  # all sizes; the panel left of it has fewer, and room
    axes[0].legend(handles, labels, title="parameters", loc="upper right", fontsize=8, title_fontsize=8)
    ax, every = axes[2], best_rates(runs).query("arm in [@SCALED, @UNSCALED]")
    for arm, marker, colour in ((UNSCALED, "s", "#d55e00"), (SCALED, "o", "#0072b2")):
        best = every.query("arm == @arm")
        bars = np.abs(best[["lr_low", "lr_high"]].to_numpy().T - best["lr"].to_numpy())
        ax.errorbar(
            best["d_model"], best["lr"], yerr=bars, fmt=f"{marker}-", color=colour, capsize=3, label=arm
        )
    log_axis(ax.xaxis)
    plain_log_axis(ax.yaxis, float(every["lr_low"].min()), float(every["lr_high"].max()))
    widths = sorted(runs["d_model"].unique())
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.set(xlabel="Width $d_{model}$", ylabel="Best base learning rate", title="the best rate")
    ax.legend(fontsize=8)
    return fig, axes


def _curves(ax: Axes, runs: pd.DataFrame, arm: str, *, title: str) -> None:
    """Draw one arm: loss against rate, a colour per size, the best rate of each as a dashed tick."""
    every = arms(runs)
    rows = every[every["arm"] == arm]
    best = best_rates(runs).query("arm == @arm").set_index("N")[["lr", "L"]]
    colours = ordered_colours(every["N"].astype(float))  # the same in every panel
    for size in sorted(int(N) for N in rows["N"].unique()):
        points = rows[rows["N"] == size].groupby("lr")["L"].agg(["mean", "std"])
        colour = colours[float(size)]
        ax.errorbar(
            points.index, points["mean"], yerr=points["std"].fillna(0.0), fmt="o-", color=colour, lw=1.2, ms=4.5,
            capsize=2, label=f"$N$ = {count(float(size))}",
        )  # fmt: skip
        ax.plot(*best.loc[size].to_numpy(), "|", color=colour, ms=18, mew=2)
    log_axis(ax.xaxis)
    ax.set(xlabel=_RATE, title=title)
