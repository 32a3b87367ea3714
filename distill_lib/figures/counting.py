"""Figures of counting: parameters from depth, FLOPs per token, and what 6ND leaves out."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter

from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, log_axis, ordered_colours, styled
from distill_lib.scaling.architecture import relative_error_of_6ND
from distill_lib.scaling.laws import SupervisedLaw

PART_COLOURS = {"weights": "#0072b2", "attention": "#009e73", "output head": "#e69f00"}
"""One colour for each part of a forward pass."""

BILL_COLOURS = {
    "student training": ROLE_COLOURS["distilled"],
    "teacher logits": "#c8a9de",
    "teacher training": ROLE_COLOURS["teacher"],
}
"""One colour for each item of the bill."""

COUNT_COLOURS = {"3 F(N) D": "#0072b2", "6 N D": "#cc3311"}
"""One colour for each way to count training compute."""


@styled
def ladder_against_table(counted: pd.DataFrame, printed: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw counted sizes and FLOPs beside those printed in Table 13.

    Parameters
    ----------
    counted : pandas.DataFrame
        One row per depth with columns ``n_layers``, ``N`` (parameters) and ``flops_forward`` (FLOPs per token).
    printed : pandas.DataFrame
        The same columns as printed, rows in the same order, and ``name``.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.8))
    depth = counted["n_layers"].to_numpy()
    ax = axes[0]
    ax.plot(depth, counted["N"], color="#0072b2", label="counted from the depth")
    ax.plot(depth, printed["N"], "kD", ms=3.5, label="printed (Table 13)")
    log_axis(ax.yaxis, counts=True)
    ax.set(xlabel="Depth $n_{layers}$", ylabel="Non-embedding parameters $N$", title="one dial makes a size")
    ax.legend()

    ax = axes[1]
    for column, marker, colour, label in (
        ("N", "o", "#0072b2", "parameters $N$"),
        ("flops_forward", "^", "#e69f00", "forward FLOPs per token"),
    ):
        off = printed[column].to_numpy() / counted[column].to_numpy() - 1.0
        ax.plot(depth, 100.0 * off, marker, ms=4.5, color=colour, ls="none", label=label)
    worst = int(np.argmax(np.abs(printed["N"].to_numpy() / counted["N"].to_numpy() - 1.0)))
    value = 100.0 * float(printed["N"].iloc[worst] / counted["N"].iloc[worst] - 1.0)
    ax.annotate(
        f"row {printed['name'].iloc[worst]}", (float(depth[worst]), value), xytext=(-8, 0),
        textcoords="offset points", ha="right", va="center", fontsize=9,
    )  # fmt: skip
    ax.axhline(0.0, color="#222222", lw=1)
    ax.set(xlabel="Depth $n_{layers}$", ylabel="printed over counted, minus one (%)", title="what is left")
    ax.legend(loc="upper left")
    return fig, axes


@styled
def where_forward_flops_go(parts: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw the parts of a forward pass against model size.

    Parameters
    ----------
    parts : pandas.DataFrame
        Indexed by N (parameters), with columns ``weights``, ``attention`` and ``output head``: FLOPs per token.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(0.72 * PAGE_WIDTH, 3.8))
    shares = parts.div(parts.sum(axis=1), axis=0)[list(PART_COLOURS)]
    ax.stackplot(
        shares.index,
        shares.to_numpy().T,
        colors=list(PART_COLOURS.values()),
        labels=shares.columns,
        alpha=0.85,
    )
    log_axis(ax.xaxis, counts=True)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(
        xlim=(shares.index.min(), shares.index.max()), ylim=(0, 1),
        xlabel="Non-embedding parameters $N$", ylabel="share of the forward FLOPs",
    )  # fmt: skip
    # In the order of the stack, top to bottom.
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig, ax


@styled
def error_of_6ND(
    printed: pd.DataFrame, *, contexts: Sequence[int] = (1024, 4096, 32768)
) -> tuple[Figure, Axes]:
    """Draw by how much 6 N D falls short of 3 F(N) D, against model size.

    Parameters
    ----------
    printed : pandas.DataFrame
        Rows of Table 13: ``N`` (parameters) and ``error_2N_percent``.
    contexts : sequence of int
        Context lengths in tokens, one curve each.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(0.72 * PAGE_WIDTH, 3.9))
    N = np.geomspace(1e7, 1e12, 200)
    low, high = printed["N"].min(), printed["N"].max()
    inside = (low <= N) & (high >= N)
    for context, colour in ordered_colours(contexts).items():
        error = 100.0 * np.asarray(relative_error_of_6ND(N, context=int(context)))
        ax.plot(N, error, "--", lw=1.2, color=colour)
        ax.plot(N[inside], error[inside], color=colour, label=f"{int(context):,} tokens")
    ax.plot(printed["N"], printed["error_2N_percent"], "kD", ms=3.5, label="printed (Table 13)")
    ax.axhline(0.0, color="#222222", lw=1)
    log_axis(ax.xaxis, counts=True)
    ax.set(xlabel="Non-embedding parameters $N$", ylabel="6ND over 3F(N)D, minus one (%)")
    ax.legend(title="context", loc="lower right")
    return fig, ax


@styled
def compute_optimal_by_two_counts(
    law: SupervisedLaw, *, C: tuple[float, float] = (1e17, 1e25), points: int = 80
) -> tuple[Figure, np.ndarray]:
    """Draw the compute-optimal size and tokens when compute is 3 F(N) D, and when it is taken as 6 N D.

    Parameters
    ----------
    law : SupervisedLaw
        The law to plan with.
    C : tuple of float
        Range of training compute, FLOPs.
    points : int
        Points of each curve.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes, shape [3].
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.5))
    budgets = np.geomspace(*C, points)
    plans = {"3 F(N) D": law.compute_optimal(budgets)}
    plans["6 N D"] = law.compute_optimal(budgets, context=0, vocabulary=0)
    for label, (N, D) in plans.items():
        style = {
            "color": COUNT_COLOURS[label],
            "ls": "-" if label.startswith("3") else "--",
            "label": f"${label}$",
        }
        axes[0].plot(budgets, N, **style)
        axes[1].plot(budgets, np.asarray(D) / N, **style)
    N, D = plans["6 N D"]
    needed = 3.0 * D * (2.0 * N / (1.0 + np.asarray(relative_error_of_6ND(N))))
    axes[2].plot(budgets, needed / budgets, color=COUNT_COLOURS["6 N D"], ls="--")
    axes[2].axhline(1.0, color=COUNT_COLOURS["3 F(N) D"])
    for ax in axes:
        log_axis(ax.xaxis)
        ax.xaxis.get_major_locator().set_params(numticks=5)
        ax.set_xlabel("Training compute $C$ (FLOPs)")
    log_axis(axes[0].yaxis, counts=True)
    axes[0].set(ylabel="Optimal size $N$ (parameters)", title="size: the same")
    axes[1].set(ylabel="Tokens per parameter $M$", ylim=(0, None), title="tokens: promised too many")
    axes[2].set(ylabel="true cost over budget", ylim=(0.9, None), title="so the budget breaks")
    axes[0].legend(title="compute counted as")
    return fig, axes


@styled
def bill_of_a_distillation(bill: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw what a distillation costs, item by item, one bar per scenario.

    Parameters
    ----------
    bill : pandas.DataFrame
        Indexed by what the bar is called, with columns ``student training``, ``teacher logits`` and
        ``teacher training``: FLOPs.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(PAGE_WIDTH, 0.9 + 0.5 * len(bill)))
    left = np.zeros(len(bill))
    for item, colour in BILL_COLOURS.items():
        ax.barh(bill.index, bill[item], left=left, color=colour, label=item, height=0.62)
        left += bill[item].to_numpy()
    for row, total in enumerate(left):
        digits, power = f"{total:.1e}".split("e+")
        ax.annotate(
            rf"${digits} \times 10^{{{power}}}$", (total, row), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=9,
        )  # fmt: skip
    ax.xaxis.set_major_formatter(ScalarFormatter(useMathText=True))
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set(xlabel="Compute $C$ (FLOPs)", xlim=(0, 1.14 * left.max()))
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
    return fig, ax
