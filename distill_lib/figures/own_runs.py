"""Figures of our own runs: what small models that anyone can train have to say."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, log_axis, ordered_colours, styled
from distill_lib.scaling.comparison import mean_interval
from distill_lib.scaling.laws import SupervisedLaw
from distill_lib.scaling.wording import count


@styled
def supervised_grid(runs: pd.DataFrame, *, law: SupervisedLaw | None = None) -> tuple[Figure, Axes]:
    """Draw measured losses of supervised runs against tokens, one colour per size, and a law through them.

    Parameters
    ----------
    runs : pandas.DataFrame
        A runs table; its supervised rows are drawn, seeds of one configuration as mean and standard deviation.
    law : SupervisedLaw, optional
        A law to draw as lines.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    supervised = runs[runs["objective"] == "supervised"]
    fig, ax = plt.subplots(figsize=(0.72 * PAGE_WIDTH, 4.2))
    colours = ordered_colours(supervised["N"].astype(float))
    sns.lineplot(
        supervised, x="D", y="L", hue="N", palette=colours, errorbar="sd", err_style="bars",
        marker="o", linestyle="none", markersize=6, legend=False, ax=ax,
    )  # fmt: skip
    tokens = np.geomspace(0.7 * supervised["D"].min(), 1.5 * supervised["D"].max(), 100)
    for size, colour in colours.items():
        label = f"$N$ = {count(size)}"
        if law is None:
            ax.plot([], [], "o", color=colour, label=label)
            continue
        seen = supervised.loc[supervised["N"] == size, "D"]
        inside = (tokens >= seen.min()) & (tokens <= seen.max())
        ax.plot(tokens, law.loss(size, tokens), "--", color=colour, lw=1, alpha=0.8)
        ax.plot(tokens[inside], law.loss(size, tokens[inside]), color=colour, label=label)
    log_axis(ax.xaxis, counts=True)
    ax.set_xticks(sorted(supervised["D"].unique()))
    ax.set(xlabel="Training tokens $D$", ylabel="Cross-entropy $L$ (nats/token)")
    ax.legend(title="parameters")
    return fig, ax


@styled
def paired_students(pairs: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw students trained on data beside students distilled from a teacher, seed by seed.

    Parameters
    ----------
    pairs : pandas.DataFrame
        One row per seed, as `distill_lib.scaling.comparison.paired_students` returns it: columns seed, L_T, supervised,
        distilled and difference, in nats per token.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.8), width_ratios=[1.5, 1])
    ax = axes[0]
    for row in pairs.itertuples():
        ax.plot([0, 1], [row.supervised, row.distilled], color="#bbbbbb", lw=1, zorder=1)
    long = pairs.melt(
        id_vars="seed", value_vars=["supervised", "distilled"], var_name="student", value_name="L"
    )
    sns.stripplot(
        long, x="student", y="L", hue="student", palette=ROLE_COLOURS, order=["supervised", "distilled"],
        size=7, jitter=False, legend=False, ax=ax, zorder=2,
    )  # fmt: skip
    for loss in pairs["L_T"].unique():
        ax.axhline(loss, color=ROLE_COLOURS["teacher"], ls=":", lw=1.5)
    ax.annotate(
        "the teacher",
        (1.45, pairs["L_T"].max()),
        color=ROLE_COLOURS["teacher"],
        ha="right",
        va="bottom",
        fontsize=9,
    )
    ax.set_xlim(-0.5, 1.5)
    ax.set(xlabel="", ylabel="Student cross-entropy $L_S$ (nats/token)", title="the same students, two ways")
    ax.grid(visible=False, axis="x")

    ax = axes[1]
    sns.stripplot(
        pairs, y="difference", color=ROLE_COLOURS["distilled"], size=7, jitter=0.08, alpha=0.8, ax=ax
    )
    difference = mean_interval(pairs["difference"])
    ax.errorbar(0.25, difference.mean, yerr=difference.half_width, fmt="D", color="black", ms=5, capsize=4)
    ax.annotate("mean, 95 % interval", (0.29, difference.mean), va="center", fontsize=9)
    ax.axhline(0, color="#222222", lw=1)
    ax.set_xlim(-0.25, 0.9)
    ax.set_xticks([])
    ax.set(ylabel="distilled − supervised (nats/token)", title="difference, seed by seed")
    return fig, axes
