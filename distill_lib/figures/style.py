"""One look for every figure: the same mark and colour mean the same thing throughout the book.

Measured values are markers, laws are solid lines, extrapolations are dashed, the paper's own value is a
black diamond. Colours are chosen for readers with any colour vision; ordered quantities get ordered maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from distill_lib.scaling.wording import count

P = ParamSpec("P")
R = TypeVar("R")

PAGE_WIDTH = 9.0
"""Width of a figure that fills the text column, in inches; type is set for this width."""

SCENARIO_COLOURS = {
    "supervised": "#222222",
    "best_case": "#0072b2",
    "teacher_inference": "#009e73",
    "teacher_pretraining": "#e69f00",
    "teacher_pretraining_inference": "#cc3311",
}
"""One colour for each of the four scenarios of Table 2, and black for supervised learning."""

SCENARIO_LABELS = {
    "supervised": "supervised",
    "best_case": "best case: the teacher is free",
    "teacher_inference": "teacher inference",
    "teacher_pretraining": "teacher pretraining",
    "teacher_pretraining_inference": "pretraining + inference",
}
"""How the scenarios are called in legends."""

LIGHTEST = 0.75
"""Where ordered colour maps end: beyond, a line is too weak on white and, inverted, below 3 to 1 on dark pages."""

ROLE_COLOURS = {"teacher": "#7b4fa3", "supervised": "#222222", "distilled": "#0072b2"}
"""One colour for each part a run can play."""

_RC = {
    **sns.axes_style("ticks"),
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.constrained_layout.use": True,
}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw a figure in the book's style and leave the caller's settings alone.

    Parameters
    ----------
    draw : callable
        A function that makes and returns a figure.

    Returns
    -------
    callable
        The same function, drawing in the book's style.
    """

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(_RC):
            drawn = draw(*args, **kwargs)
            interactive = mpl.is_interactive()
        # The first figure of a notebook starts its backend, which turns interactive drawing on: keep that.
        mpl.interactive(interactive)
        return drawn

    return wrapper


def ordered_colours(values: Iterable[float], palette: str = "viridis") -> dict[float, Any]:
    """Give an ordered quantity (D, C, M) ordered colours, even on a log scale.

    Parameters
    ----------
    values : iterable of float
        The positive values to be told apart.
    palette : str
        Name of a matplotlib colour map that runs from dark to light; its lightest quarter is left out.

    Returns
    -------
    dict
        Colour of each value.
    """
    ordered = sorted(set(values))
    norm = LogNorm(ordered[0], ordered[-1]) if len(ordered) > 1 else None
    cmap = mpl.colormaps[palette]
    return {value: cmap(LIGHTEST * float(norm(value)) if norm else 0.4) for value in ordered}


def log_axis(axis: Any, *, counts: bool = False) -> None:
    """Label a logarithmic axis by powers of ten, or by counts.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        The x or y axis of a plot; its scale is set to log.
    counts : bool
        Write 1B and 1T rather than powers of ten.
    """
    axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")
    axis.set_major_locator(LogLocator(base=10, numticks=8))
    axis.set_minor_formatter(NullFormatter())
    if counts:
        axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))


def plain_log_axis(axis: Any, low: float, high: float) -> None:
    """Label a logarithmic axis by plain numbers, for ranges of a few decades such as percentages.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        The x or y axis of a plot; its scale is set to log.
    low, high : float
        The range to label.
    """
    log_axis(axis)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = (1, 2, 5) if len(decades) <= 3 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    if len(ticks) <= 14:
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.axes.set(**{f"{axis.axis_name}lim": (low / 1.4, high * 1.4)})


def panel_letter(ax: Axes, letter: str) -> None:
    """Put a panel's letter at its upper left corner.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    letter : str
        Its letter.
    """
    ax.text(-0.02, 1.02, letter, transform=ax.transAxes, ha="right", va="bottom", fontweight="bold")
