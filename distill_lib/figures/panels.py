"""Parts that many figures share: rows of panels, the fitted range, a second law, axes and legends.

Grey ground means the same everywhere: there the law is asked outside what it was fitted on. A second law,
given as ``compare=``, is drawn in thin dashed lines over the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from distill_lib import paper
from distill_lib.figures.style import PAGE_WIDTH, log_axis
from distill_lib.scaling.laws import READINGS, DistillationLaw, SupervisedLaw
from distill_lib.scaling.wording import count

PAPER_SIZES = (300e6, 500e6, 1e9, 3e9, 5e9, 10e9, 30e9, 50e9)
"""Student sizes of the paper's panels on compute-optimal distillation (Figs 17-34)."""

PAPER_BUDGETS = (1e20, 1e26)
"""Range of total compute of those panels, FLOPs."""

SECOND_LAW = "second law"
"""Mark (gid) of everything that a second law draws."""

COMPARE_STYLE: dict[str, Any] = {"ls": (0, (3, 2)), "lw": 1.0, "alpha": 0.75, "gid": SECOND_LAW}
"""Lines of a second law."""

OUTSIDE_COLOUR = "#f1f1f1"
"""Ground where the law is asked outside what it was fitted on."""

EDGE_STYLE: dict[str, Any] = {"color": "#444444", "ls": ":", "lw": 1.4}
"""Edge of what the law was fitted on, on coloured ground."""

BEST_TEACHER_COLOUR = "#d7191c"
"""The best teacher, L_T*, as in the paper."""

QUANTITY_LABELS = {
    "L_S": "Student cross-entropy $L_S^*$ (nats/token)",
    "L_T": "Teacher cross-entropy $L_T^*$ (nats/token)",
    "D_S": "Student tokens $D_S^*$",
    "D_T": "Teacher tokens $D_T^*$",
    "N_T": "Teacher size $N_T^*$ (parameters)",
}
"""Axis labels of the quantities that a plan chooses."""


class PanelOptions(TypedDict, total=False):
    """What every figure with one panel for each student size takes.

    ``compare`` is a second law, drawn in thin dashed lines; ``N_S`` are student sizes in parameters; ``C`` is
    the range of the total compute in FLOPs; ``points`` are budgets per curve.
    """

    compare: DistillationLaw | None
    N_S: Sequence[float]
    C: tuple[float, float]
    points: int


class MapOptions(TypedDict, total=False):
    """What every figure over student size and compute takes.

    ``compare`` is a second law, in thin dashed contours; ``N_S`` and ``C`` are the ranges of student sizes in
    parameters and of the total compute in FLOPs; ``points`` are sizes and budgets of the map.
    """

    compare: DistillationLaw | None
    N_S: tuple[float, float]
    C: tuple[float, float]
    points: tuple[int, int]


def size_panels(
    N_S: Sequence[float] | np.ndarray,
    *,
    columns: int,
    height: float,
    sharey: bool = True,
    sharex: bool = True,
) -> tuple[Figure, np.ndarray]:
    """Make one panel for each student size.

    Parameters
    ----------
    N_S : sequence of float
        Student sizes in parameters.
    columns : int
        Panels in a row.
    height : float
        Height of the figure in inches.
    sharey, sharex : bool
        Whether all panels have the same axis.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].
    """
    rows = -(-len(N_S) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(PAGE_WIDTH, height), sharex=sharex, sharey=sharey, squeeze=False
    )
    for ax, size in zip(axes.flat, N_S, strict=False):
        ax.set_title(f"student {count(size)}")
    for ax in axes.flat[len(N_S) :]:
        ax.axis("off")
    return fig, axes


def outside_fit(law: SupervisedLaw | DistillationLaw, **quantities: Any) -> np.ndarray:
    """Return how far quantities lie outside what the law was fitted on, in e-folds; negative inside.

    Parameters
    ----------
    law : SupervisedLaw or DistillationLaw
        The law. Only of the published ones is the fitted range known; any other is never outside.
    **quantities : array_like
        Values of N_S, N_T, D_S, D_T or L_T; they broadcast.

    Returns
    -------
    numpy.ndarray
        The largest of the distances.
    """
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in quantities.values()))
    if law.name not in (*READINGS, "published"):
        return np.full(arrays[0].shape, -1.0)
    ranges = paper.fitted_ranges()
    return np.max(
        [
            np.log(np.maximum(ranges[name][0] / value, value / ranges[name][1]))
            for name, value in zip(quantities, arrays, strict=True)
        ],
        axis=0,
    )


def shade_outside(ax: Axes, outside: np.ndarray, x: np.ndarray, y: np.ndarray | None = None) -> None:
    """Put grey ground where the law is extrapolated.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    outside : numpy.ndarray
        What `outside_fit` returned, shape [x], or [y, x] for a map.
    x, y : numpy.ndarray
        The panel's grid; without y the shading is in vertical bands.
    """
    if outside.max() <= 0.0:
        return
    if y is None:
        outside, y = np.stack([outside, outside]), np.array(ax.get_ylim())
        ax.set_ylim(*y)
    ax.contourf(
        x, y, outside, levels=[0.0, max(float(outside.max()), 1.0) + 1.0], colors=[OUTSIDE_COLOUR], zorder=0
    )


def outline_outside(ax: Axes, outside: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the edge of what the law was fitted on, where ground of another colour leaves no room for grey.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    outside : numpy.ndarray
        What `outside_fit` returned, shape [y, x].
    x, y : numpy.ndarray
        The panel's grid.
    """
    if outside.min() < 0.0 < outside.max():
        ax.contour(x, y, outside, levels=[0.0], colors=[EDGE_STYLE["color"]], linewidths=1.4, linestyles=":")


def reading_label(law: SupervisedLaw | DistillationLaw) -> str:
    """Return how a law is called in a legend.

    Parameters
    ----------
    law : SupervisedLaw or DistillationLaw
        The law.

    Returns
    -------
    str
        Such as "printed reading".
    """
    return f"{law.name} reading" if law.name in READINGS else (law.name or "second law")


def legend_above(
    fig: Figure,
    handles: Sequence[Artist],
    *,
    compare: SupervisedLaw | DistillationLaw | None = None,
    outside: bool = True,
    ncols: int = 4,
) -> None:
    """Put one legend for all panels above them, where it covers nothing.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        The figure.
    handles : sequence of Artist
        What to explain.
    compare : SupervisedLaw or DistillationLaw, optional
        The second law, if one is drawn.
    outside : bool
        Explain the grey ground.
    ncols : int
        Entries in a row.
    """
    entries = list(handles)
    if compare is not None:
        entries.append(Line2D([], [], color="#555555", label=reading_label(compare), **COMPARE_STYLE))
    if outside:
        entries.append(
            Patch(facecolor=OUTSIDE_COLOUR, edgecolor="#cccccc", label="outside what the law was fitted on")
        )
    fig.legend(handles=entries, loc="outside upper center", ncols=ncols, columnspacing=1.4, handlelength=1.9)


def power_axis(axis: XAxis | YAxis, *, counts: bool = False, few: bool = False) -> None:
    """Label a logarithmic axis by powers, one of few decades by 1 and 3 times powers; no ticks between.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        The x or y axis of a panel.
    counts : bool
        Write 1B and 1T rather than powers of ten.
    few : bool
        A narrow panel: label every second power, none at the ends, where the next panel's would touch.
    """
    log_axis(axis, counts=counts)
    axis.set_minor_locator(NullLocator())
    low, high = np.log10(axis.get_view_interval())
    if counts and not few and high - low < 2.6:
        ticks = np.outer(10.0 ** np.arange(np.floor(low), high + 1), (1.0, 3.0)).ravel()
        # The last tick of x would touch the first one of the next panel.
        last = 0.8 if axis.axis_name == "x" else 1.01
        axis.set_ticks(ticks[(ticks >= 0.99 * 10**low) & (ticks <= last * 10**high)])
    elif few:
        axis.set_ticks(10.0 ** np.arange(np.floor(low + 1e-9) + 1, high - 0.3, 2))


def compute_axis(axes: np.ndarray, fig: Figure, C: tuple[float, float], *, few: bool = False) -> None:
    """Give panels their common logarithmic axis of total compute.

    Parameters
    ----------
    axes : numpy.ndarray
        The panels.
    fig : matplotlib.figure.Figure
        Their figure, which gets the label.
    C : tuple of float
        Range of the axis in FLOPs.
    few : bool
        Narrow panels: label every second power.
    """
    for ax in axes.flat:
        if ax.axison:
            ax.set_xlim(*C)
            power_axis(ax.xaxis, few=few)
    fig.supxlabel("Total compute $C$ (FLOPs)", fontsize=10)


def power(value: float) -> str:
    """Write a budget as a power of ten.

    Parameters
    ----------
    value : float
        FLOPs.

    Returns
    -------
    str
        Mathematics for a label.
    """
    digits, exponent = f"{value:.2e}".split("e+")
    factor = f"{float(digits):g}"
    return f"$10^{{{int(exponent)}}}$" if factor == "1" else rf"${factor} \cdot 10^{{{int(exponent)}}}$"
