"""Contours with their values written into them, in ordered colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from distill_lib.figures.panels import COMPARE_STYLE, SECOND_LAW
from distill_lib.figures.style import LIGHTEST

LABEL_SPACE = 0.3
"""Least distance between two values written into contours, inches."""

EDGE_SPACE = np.array([0.2, 0.12])
"""Least distance of such a value from the panel's edges, inches."""


def ordered_map(palette: str = "viridis") -> ListedColormap:
    """Return an ordered colour map without its lightest part, unreadable on white and, inverted, on dark pages.

    Parameters
    ----------
    palette : str
        Name of a matplotlib colour map.

    Returns
    -------
    matplotlib.colors.ListedColormap
        Its first part, up to `style.LIGHTEST`.
    """
    return ListedColormap(mpl.colormaps[palette](np.linspace(0.0, LIGHTEST, 256)))


def loss_levels(values: np.ndarray, most: int = 10) -> np.ndarray:
    """Return round losses inside the range of values.

    Parameters
    ----------
    values : numpy.ndarray
        Losses; NaN is ignored.
    most : int
        About the most levels wanted.

    Returns
    -------
    numpy.ndarray
        Levels, rising.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    levels = np.asarray(MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high))
    return levels[(levels > low) & (levels < high)]


def count_levels(values: np.ndarray, most: int = 10) -> np.ndarray:
    """Return round counts (1 and 3 times powers of ten, or powers alone) inside the range of values.

    Parameters
    ----------
    values : numpy.ndarray
        Counts; NaN is ignored.
    most : int
        The most levels wanted.

    Returns
    -------
    numpy.ndarray
        Levels, rising.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high) + 1)
    series = [np.sort(np.concatenate([powers, 3 * powers])), powers, powers[::2], powers[::3]]
    for levels in series:
        inside = levels[(levels > low) & (levels < high)]
        if len(inside) <= most:
            break
    return inside


def labelled_contours(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    levels: Sequence[float] | np.ndarray,
    *,
    fmt: Callable[[float], str] | str = "%.2f",
    norm: Normalize | None = None,
    label_every: int = 1,
    fontsize: float = 8.0,
    compare: np.ndarray | None = None,
) -> Any:
    """Draw contours in ordered colours with their values written into them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    x, y : numpy.ndarray
        The grid.
    values : numpy.ndarray
        Shape [y, x]; NaN stays blank.
    levels : sequence of float
        Contours to draw.
    fmt : callable or str
        How a value is written.
    norm : matplotlib.colors.Normalize, optional
        Value to colour; by default from the lowest to the highest level.
    label_every : int
        Write the value on every second, third, ... line only.
    fontsize : float
        Size of the values.
    compare : numpy.ndarray, optional
        The same quantity by a second law, in thin dashed lines of the same colours.

    Returns
    -------
    matplotlib.contour.QuadContourSet
        The contours of ``values``.
    """
    levels = np.asarray(levels)
    norm = norm or Normalize(levels[0], levels[-1])
    cmap = ordered_map()
    if compare is not None:
        second = ax.contour(
            x,
            y,
            compare,
            levels=levels,
            cmap=cmap,
            norm=norm,
            linewidths=0.9,
            linestyles=[COMPARE_STYLE["ls"]],
            alpha=0.75,
        )
        second.set_gid(SECOND_LAW)
    lines = ax.contour(x, y, values, levels=levels, cmap=cmap, norm=norm, linewidths=1.4)
    label_contours(ax, lines, levels[::label_every], fmt=fmt, fontsize=fontsize)
    return lines


def label_contours(
    ax: Axes,
    lines: Any,
    levels: Sequence[float] | np.ndarray | None = None,
    *,
    fmt: Callable[[float], str] | str = "%.2f",
    fontsize: float = 8.0,
) -> None:
    """Write values into contours, with a halo; none that would be cut by the edge or touch another.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel, its limits set.
    lines : matplotlib.contour.QuadContourSet
        The contours.
    levels : sequence of float, optional
        Which of them; all by default.
    fmt : callable or str
        How a value is written.
    fontsize : float
        Size of the values.
    """
    labels = ax.clabel(
        lines, levels=lines.levels if levels is None else levels, fmt=fmt, fontsize=fontsize, inline=False
    )
    # Before the layout is made a panel's size is only roughly known; that will do.
    extent = ax.get_window_extent()
    size = np.array([extent.width, extent.height]) / ax.figure.dpi
    to_panel = ax.transAxes.inverted()
    taken: list[np.ndarray] = []
    for text in labels:
        inches = np.asarray(to_panel.transform(ax.transData.transform(text.get_position()))) * size
        cut = np.any(np.minimum(inches, size - inches) < EDGE_SPACE)
        if cut or any(np.hypot(*(inches - other)) < LABEL_SPACE for other in taken):
            text.remove()
            continue
        taken.append(inches)
        text.set_path_effects([withStroke(linewidth=4.0, foreground="white")])
