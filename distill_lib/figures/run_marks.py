"""How our own runs are drawn: a mark at the mean over seeds, a bar of one standard deviation of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from distill_lib.scaling.selections import without_teacher
from distill_lib.scaling.teachers_compared import over_seeds

ALONE: dict[str, Any] = {"color": "#222222", "ls": (0, (4, 2)), "lw": 1.3}
"""Line of the supervised student that a distilled one is compared with."""


def draw_without_teacher(
    ax: Axes, table: pd.DataFrame, *, colour: Any = ALONE["color"], **same: float
) -> None:
    """Draw the mean loss of the supervised students across a panel, where the table holds any.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel; its vertical axis is the loss, nats per token.
    table : pandas.DataFrame
        Rows of a runs table.
    colour : object
        Colour of the line.
    **same : float
        What the students have in common, by column, such as ``N`` and ``D``.
    """
    alone = without_teacher(table, **same)
    if len(alone):
        ax.axhline(alone["L"].mean(), **ALONE | {"color": colour})


def draw_runs(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    *,
    value: str = "L",
    colour: Any = "#222222",
    label: str | None = None,
    line: bool = True,
    marker: str = "o",
    also: Sequence[str] = (),
) -> pd.DataFrame:
    """Draw runs against one of their columns, seeds as mean and standard deviation.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    table : pandas.DataFrame
        Rows of a runs table.
    x : str
        Column of the horizontal axis.
    value : str
        Column of the vertical axis.
    colour : object
        Colour of marks and line.
    label : str or None
        Entry of the legend.
    line : bool
        Whether to join the marks by a thin line: a guide to the eye, not a law.
    marker : str
        The mark.
    also : sequence of str
        Further columns that tell configurations apart.

    Returns
    -------
    pandas.DataFrame
        What was drawn, as ``over_seeds`` returns it, in ascending order of x.
    """
    found = over_seeds(table, [x, *also], value).sort_values(x)
    bars = np.nan_to_num(found["sd"].to_numpy(dtype=float))
    ax.errorbar(
        found[x].to_numpy(dtype=float), found["mean"].to_numpy(dtype=float), yerr=bars, color=colour,
        marker=marker, ms=4.5, lw=0.9 if line else 0.0, elinewidth=1.1, capsize=2, label=label,
    )  # fmt: skip
    return found
