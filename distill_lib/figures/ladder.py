"""Figures of a ladder of small models: their shapes, and how they learn from two corpora."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.style import PAGE_WIDTH, log_axis, ordered_colours, plain_log_axis, styled
from distill_lib.scaling.selections import without_teacher
from distill_lib.scaling.wording import count


@styled
def depth_and_width(runs: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw the loss of models in several shapes against their size, one mark per depth.

    Parameters
    ----------
    runs : pandas.DataFrame
        The runs table of ``depths``: seeds are drawn as mean and standard deviation.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes; shapes of two layers are joined by a line.
    """
    fig, ax = plt.subplots(figsize=(0.72 * PAGE_WIDTH, 3.8))
    markers = dict(zip(sorted(runs["n_layers"].unique()), "svD^oP", strict=False))
    colours = ordered_colours(runs["n_layers"].astype(float))
    for layers in sorted(int(depth) for depth in runs["n_layers"].unique()):
        rows = runs[runs["n_layers"] == layers]
        points = rows.groupby("N")["L"].agg(["mean", "std"])
        ax.errorbar(
            points.index, points["mean"], yerr=points["std"].fillna(0.0), color=colours[float(layers)], capsize=3,
            fmt=markers[layers] + ("-" if layers == 2 else ""), ms=6, lw=1.2,
            label=f"{layers} layer{'s' if layers > 1 else ''}",
        )  # fmt: skip
        widths = rows.groupby("N")["d_model"].first()
        for size, width, mean in zip(widths.index, widths, points["mean"], strict=True):
            above = 9 if layers > 2 else -15
            ax.annotate(
                f"width {width}", (size, mean), xytext=(0, above), textcoords="offset points",
                ha="center", fontsize=8, color=colours[float(layers)],
            )  # fmt: skip
    log_axis(ax.xaxis)
    sizes = sorted(runs.loc[runs["n_layers"] == 2, "N"].unique())
    ax.set_xticks(sizes, [count(float(size)) for size in sizes])
    ax.set(xlabel="Parameters $N$", ylabel="Cross-entropy $L$ (nats/token)")
    ax.margins(x=0.1, y=0.2)
    ax.legend()
    return fig, ax


@styled
def learning_curves(text: pd.DataFrame, language: pd.DataFrame, *, E: float) -> tuple[Figure, np.ndarray]:
    """Draw how small models learn from real text and from the language of known entropy.

    Parameters
    ----------
    text, language : pandas.DataFrame
        Runs tables; their supervised rows of split "student" are drawn, seeds as mean and standard deviation.
    E : float
        Entropy rate of the language, nats/token.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes, shape [3]: loss on text, loss on the language with its floor E, and what
        the loss on the language has above that floor, on logarithmic axes.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.9))
    for ax, runs, floor in ((axes[0], text, 0.0), (axes[1], language, 0.0), (axes[2], language, E)):
        rows = without_teacher(runs)
        colours = ordered_colours(rows["N"].astype(float))
        for size in sorted(int(N) for N in rows["N"].unique()):
            points = rows[rows["N"] == size].groupby("D")["L"].agg(["mean", "std"])
            ax.errorbar(
                points.index, points["mean"] - floor, yerr=points["std"].fillna(0.0), fmt="o-", lw=1.2, ms=4.5,
                capsize=2, color=colours[float(size)], label=count(float(size)),
            )  # fmt: skip
        log_axis(ax.xaxis, counts=True)
        ax.set_xlabel("Training tokens $D$")
    axes[1].axhline(E, color="#222222", lw=1.2, ls=":")
    axes[1].annotate(
        "entropy rate $E$", (0.02, E), xycoords=("axes fraction", "data"), va="bottom", fontsize=9
    )
    axes[0].set(ylabel="Cross-entropy $L$ (nats/token)", title="real text")
    axes[1].set(ylabel="$L$ (nats/token)", title="known entropy")
    low, high = axes[2].dataLim.intervaly
    plain_log_axis(axes[2].yaxis, float(low), float(high))
    axes[2].set(ylabel="Excess $L - E$ (nats/token)", title="above the floor")
    axes[0].legend(title="$N$")
    return fig, axes
