"""Figures of laws put to the test: forms held against each other, intervals against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.fitting import SOURCE_COLOURS, SYMBOLS
from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, log_axis, styled


@styled
def forms_compared(table: pd.DataFrame, *, reference: str) -> tuple[Figure, Axes]:
    """Draw how well forms of a law describe runs they were fitted to, and runs held out.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`distill_lib.scaling.criticism.compare` returns it.
    reference : str
        The form to mark.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(0.85 * PAGE_WIDTH, 1.3 + 0.38 * len(table)))
    rows = np.arange(len(table))
    ax.hlines(rows, table["fitted"], table["held_out"], color="#cccccc", lw=2, zorder=1)
    ax.plot(table["fitted"], rows, "o", color="#0072b2", mfc="white", label="runs fitted to")
    ax.plot(table["held_out"], rows, "o", color="#0072b2", label="runs held out")
    labels = [f"{name} ({n})" for name, n in zip(table.index, table["coefficients"], strict=True)]
    ax.set_yticks(rows, labels)
    ax.get_yticklabels()[list(table.index).index(reference)].set_fontweight("bold")
    ax.set_ylim(len(table) - 0.5, -0.5)
    log_axis(ax.xaxis)
    ticks = [
        t
        for t in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
        if 0.7 * table["fitted"].min() <= t <= 1.5 * table["held_out"].max()
    ]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set(xlabel="mean error (%)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    return fig, ax


@styled
def coverage_of_intervals(tables: Mapping[str, pd.DataFrame], *, level: float = 0.9) -> tuple[Figure, Axes]:
    """Draw how often intervals held the truth in simulated runs.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        By name, a table as :func:`distill_lib.scaling.coverage.coverage` returns it.
    level : float
        What the intervals promise.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    names = list(dict.fromkeys(name for table in tables.values() for name in table.index))
    fig, ax = plt.subplots(figsize=(0.85 * PAGE_WIDTH, 1.2 + 0.3 * len(names)))
    offsets = np.linspace(-0.18, 0.18, len(tables)) if len(tables) > 1 else [0.0]
    for (source, table), colour, shift in zip(tables.items(), SOURCE_COLOURS[1:], offsets, strict=False):
        rows = np.array([names.index(name) for name in table.index]) + shift
        ax.errorbar(
            100.0 * table["coverage"], rows, xerr=200.0 * table["se"], fmt="o", ms=4.5, color=colour,
            capsize=2, lw=1.2, label=source,
        )  # fmt: skip
    ax.axvline(100.0 * level, color="#555555", ls=":", lw=1.4)
    ax.set_yticks(range(len(names)), [SYMBOLS.get(str(name), str(name)) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set(xlabel=f"simulations whose {100 * level:.0f} % interval holds the truth (%)", xlim=(50, 101))
    ax.legend(loc="lower left")
    return fig, ax


@styled
def losses_with_bands(
    bands: Mapping[str, pd.DataFrame],
    *,
    x: str,
    xlabel: str,
    seen: tuple[float, float] | None = None,
    truth: pd.DataFrame | None = None,
) -> tuple[Figure, np.ndarray]:
    """Draw predicted losses with the intervals of the laws of a bootstrap.

    Parameters
    ----------
    bands : mapping of str to pandas.DataFrame
        By name, a table with the column ``x`` and ``value``, ``low``, ``high``.
    x : str
        Column along the horizontal axis, on a log scale.
    xlabel : str
        Label of that axis.
    seen : tuple of float, optional
        Range of the runs; beyond it lines are dashed.
    truth : pandas.DataFrame, optional
        Columns ``x`` and ``value`` at the places of the bands: what is to be predicted. Bands are narrow beside
        a loss, so a second panel then shows them relative to the truth.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes: losses, and errors where the truth is given.
    """
    fig, axes = plt.subplots(
        1, 1 if truth is None else 2, figsize=(PAGE_WIDTH if truth is not None else 0.8 * PAGE_WIDTH, 3.9),
        squeeze=False,
    )  # fmt: skip
    for (name, table), colour in zip(bands.items(), SOURCE_COLOURS[1:], strict=False):
        inside = np.ones(len(table), dtype=bool) if seen is None else table[x].between(*seen).to_numpy()
        for ax, scale in zip(axes[0], (None, truth), strict=False):
            value, low, high = (_relative(table[end], scale) for end in ("value", "low", "high"))
            ax.fill_between(table[x], low, high, color=colour, alpha=0.2, lw=0)
            ax.plot(table[x], value, "--", color=colour, lw=1.2)
            ax.plot(table[x][inside], value[inside], color=colour, label=name)
    if truth is not None:
        for ax, scale in zip(axes[0], (None, truth), strict=True):
            line = _relative(truth["value"], scale)
            ax.plot(truth[x], line, ":", color=ROLE_COLOURS["supervised"], lw=1.4, label="the truth")
        axes[0, 1].set(ylabel="Predicted − true (%)")
    for ax in axes[0]:
        log_axis(ax.xaxis, counts=True)
        ax.set(xlabel=xlabel)
    axes[0, 0].set(ylabel="Cross-entropy (nats/token)")
    axes[0, 0].legend()
    return fig, axes[0]


def _relative(losses: pd.Series, truth: pd.DataFrame | None) -> np.ndarray:
    """Return losses as they are, or by how many percent they are off the truth."""
    values = losses.to_numpy(dtype=float)
    return values if truth is None else 100.0 * (values / truth["value"].to_numpy(dtype=float) - 1.0)


@styled
def students_against_teachers(
    students: pd.DataFrame | None, laws: Mapping[str, Any], *, supervised: Any
) -> tuple[Figure, np.ndarray]:
    """Draw by how much students end above or below their teachers, and the errors of forms of the law there.

    Parameters
    ----------
    students : pandas.DataFrame or None
        Columns N_S, D_S, L_T, L_S; without them the figure says that they are missing.
    laws : mapping of str to law
        Forms by name; each has a method ``loss(N_S, D_S, L_T)``.
    supervised : SupervisedLaw
        The law of supervised training, for the ratio on the horizontal axis.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes.
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.9))
    for ax in axes:
        ax.set(xlabel="teacher's loss over the student's own, $L_T / L(N_S, D_S)$")
    axes[0].set(ylabel="student − teacher (% of $L_T$)", title="students and their teachers")
    axes[1].set(ylabel="predicted − observed (%)", title="errors, and their mean")
    if students is None:
        for ax in axes:
            ax.text(0.5, 0.5, "no copy of the points at hand", transform=ax.transAxes, ha="center")
            ax.set(xticks=[], yticks=[])
        return fig, axes
    columns = [students[name].to_numpy(dtype=float) for name in ("N_S", "D_S", "L_T")]
    L_S, L_T = students["L_S"].to_numpy(dtype=float), columns[2]
    ratio = L_T / np.asarray(supervised.loss(*columns[:2]))
    below = L_S < L_T
    for part, colour, label in (
        (~below, "#888888", "above its teacher"),
        (below, "#cc3311", "below its teacher"),
    ):
        axes[0].plot(
            ratio[part], 100.0 * (L_S / L_T - 1.0)[part], "o", ms=3.5, color=colour, alpha=0.8, label=label
        )
    axes[0].axhline(0.0, color="#555555", lw=1.0)
    axes[0].set_ylim(-1.2, 6.0)
    axes[0].legend()
    edges = np.linspace(ratio.min(), ratio.max(), 13)
    bins = np.clip(np.digitize(ratio, edges) - 1, 0, 11)
    for (name, law), colour in zip(laws.items(), SOURCE_COLOURS[1:], strict=False):
        error = 100.0 * (np.asarray(law.loss(*columns)) / L_S - 1.0)
        axes[1].plot(ratio, error, "o", ms=2.5, color=colour, alpha=0.3)
        middle = pd.Series(error).groupby(bins).mean()
        centres = 0.5 * (edges[1:] + edges[:-1])[middle.index.to_numpy()]
        axes[1].plot(centres, middle, "-", color=colour, label=name)
    axes[1].axhline(0.0, color="#555555", lw=1.0)
    axes[1].legend()
    for ax in axes:
        ax.axvline(1.0, color="#bbbbbb", lw=1.0, zorder=0)
    return fig, axes
