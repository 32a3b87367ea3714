"""How far two readings of a law lie apart on the page: whether a figure should show both.

The measure is taken from what is drawn, so it means the same for curves, contours and shares: the greatest
distance of a line of the second law from the nearest line of its own colour of the first, at page width.
What lies on top of that line cannot be seen, whatever the numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from scipy.spatial import KDTree

from distill_lib.figures.panels import SECOND_LAW
from distill_lib.scaling.laws import DistillationLaw

VISIBLE = 0.05
"""Two readings differ visibly from this distance on, inches at page width: 1.3 mm, twice a line's width."""

STEP = 0.01
"""Distance of the places looked at along a line, inches."""


def distance_on_page(
    draw: Callable[..., Any], law: DistillationLaw, other: DistillationLaw, **options: Any
) -> float:
    """Return how far a second law's lines lie from those of the first.

    Parameters
    ----------
    draw : callable
        A function of `distill_lib.figures` that takes ``compare``.
    law, other : DistillationLaw
        The law, and the one to compare with.
    **options
        Passed on to ``draw``.

    Returns
    -------
    float
        The greatest distance in any panel, inches at page width; 0 if the second law draws nothing inside
        the panels, infinite if it draws where the first has no line at all.
    """
    shown = set(plt.get_fignums())
    fig, _ = draw(law, compare=other, **options)
    fig.draw_without_rendering()
    greatest = max((_distance_in_panel(ax) for ax in fig.axes), default=0.0)
    if fig.number not in shown:
        plt.close(fig)
    return greatest


def _distance_in_panel(ax: Axes) -> float:
    """Return the greatest distance of the second law's ink inside a panel from the first law's."""
    inches = np.asarray(ax.get_window_extent()).reshape(2, 2) / ax.figure.dpi
    first: dict[Any, list[np.ndarray]] = {}
    second: dict[Any, list[np.ndarray]] = {}
    for key, is_second, line in _lines(ax):
        (second if is_second else first).setdefault(key, []).append(_places(line))
    everything = [line for lines in first.values() for line in lines]
    greatest = 0.0
    for key, lines in second.items():
        places = np.concatenate(lines)
        places = places[np.all((places >= inches[0]) & (places <= inches[1]), axis=1)]
        if not len(places):
            continue
        # Edges between shares have a colour of their own under the second law: any line will do.
        counterparts = first.get(key) or everything
        if not counterparts:
            return float("inf")
        greatest = max(greatest, float(KDTree(np.concatenate(counterparts)).query(places)[0].max()))
    return greatest


def _lines(ax: Axes) -> Iterator[tuple[Any, bool, np.ndarray]]:
    """Yield lines and contours of a panel: what they show (colour or level), by which law, and where (inches)."""
    for line in ax.lines:
        xy = line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
        yield to_rgb(line.get_color()), line.get_gid() == SECOND_LAW, xy / ax.figure.dpi
    for drawn in ax.collections:
        if isinstance(drawn, QuadContourSet) and not drawn.filled:
            for level, path in zip(drawn.levels, drawn.get_paths(), strict=True):
                for part in path.to_polygons(closed_only=False):
                    xy = drawn.get_transform().transform(part)
                    yield float(level), drawn.get_gid() == SECOND_LAW, xy / ax.figure.dpi


def _places(line: np.ndarray) -> np.ndarray:
    """Return places along a line, at most `STEP` apart; gaps (NaN) stay gaps."""
    starts, ends = line[:-1], line[1:]
    good = np.all(np.isfinite(starts) & np.isfinite(ends), axis=1)
    starts, ends = starts[good], ends[good]
    # Far outside the panel a line may run for miles: a few hundred places are enough there.
    count = np.clip(np.ceil(np.hypot(*(ends - starts).T) / STEP), 1, 2000).astype(int)
    part = np.concatenate([np.arange(n) / n for n in count]) if len(count) else np.empty(0)
    which = np.repeat(np.arange(len(count)), count)
    inner = starts[which] + part[:, None] * (ends - starts)[which]
    return np.concatenate([inner, line[-1:]]) if np.all(np.isfinite(line[-1:])) else inner
