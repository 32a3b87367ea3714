"""Figures of the student's loss as the law predicts it for a given teacher."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.panels import COMPARE_STYLE, reading_label
from distill_lib.figures.style import PAGE_WIDTH, ordered_colours, styled
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.wording import count

FIG1_SIZES = (143e6, 198e6, 546e6, 975e6, 1.82e9, 4.82e9, 7.75e9)
"""Student sizes that Figure 1 of the paper shows."""

FIG1_TOKENS = tuple(4e9 * 2**k for k in range(8))
"""Distillation tokens that Figure 1 of the paper tells apart by colour: 4B to 512B."""


@styled
def fig01_student_against_teacher(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = FIG1_SIZES,
    D_S: Sequence[float] = FIG1_TOKENS,
    L_T: tuple[float, float] = (1.8, 2.8),
) -> tuple[Figure, np.ndarray]:
    """Draw student against teacher cross-entropy, one panel per student size (Figure 1).

    Parameters
    ----------
    law : DistillationLaw
        The law to draw.
    compare : DistillationLaw, optional
        A second law, in thin dashed lines, for the fewest and the most tokens alone: the others lie between.
    N_S : sequence of float
        Student sizes in parameters, at most seven; the eighth panel is the legend.
    D_S : sequence of float
        Distillation tokens, told apart by colour.
    L_T : tuple of float
        Range of the teacher's cross-entropy in nats per token.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, 4].
    """
    fig, axes = plt.subplots(2, 4, figsize=(PAGE_WIDTH, 5.2), sharex=True, sharey=True)
    colours = ordered_colours(D_S)
    teacher = np.linspace(*L_T, 241)
    for ax, size in zip(axes.flat, N_S, strict=False):
        for tokens in D_S:
            student = np.asarray(law.loss(size, tokens, teacher))
            ax.plot(teacher, student, color=colours[tokens], lw=1.5)
            best = int(np.argmin(student))
            if 0 < best < len(teacher) - 1:
                ax.plot(teacher[best], student[best], "o", ms=3.6, color=colours[tokens])
        if compare is not None:
            for tokens in (min(D_S), max(D_S)):
                style = {"color": colours[tokens]} | COMPARE_STYLE
                ax.plot(teacher, compare.loss(size, tokens, teacher), **style)
        _diagonal(ax, L_T)
        ax.set_title(f"student {count(size)}")
    legend_panel = axes.flat[-1]
    legend_panel.axis("off")
    for tokens in D_S:
        legend_panel.plot([], [], color=colours[tokens], label=count(tokens))
    if compare is not None:
        words = f"{reading_label(compare)},\n{count(min(D_S))} and {count(max(D_S))}"
        legend_panel.plot([], [], label=words, **({"color": "#555555"} | COMPARE_STYLE))
    legend_panel.plot([], [], "o", ms=3.6, color="#555555", label="best teacher")
    legend_panel.plot([], [], ":", color="#555555", lw=1.2, label="$L_S = L_T$")
    legend_panel.legend(title="$D_S$ (tokens)", loc="center", ncols=2, handlelength=1.2, columnspacing=1)
    axes.flat[0].set_xlim(*L_T)
    axes.flat[0].set_ylim(1.95, 3.05)
    # The lower right panel is the legend: its column's x labels belong to the panel above it.
    axes[0, -1].tick_params(labelbottom=True)
    fig.supxlabel("Teacher cross-entropy $L_T$ (nats/token)", fontsize=10)
    fig.supylabel("Student cross-entropy $L_S$ (nats/token)", fontsize=10)
    return fig, axes


def _diagonal(ax: Axes, limits: tuple[float, float]) -> None:
    """Mark where the student equals its teacher."""
    ax.plot(limits, limits, ":", color="#555555", lw=1.2, zorder=0)
