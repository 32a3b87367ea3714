"""Which teacher suits a student: its loss over teacher loss and size, tokens or teacher size (Figs 7, 15, 16).

In all of them the red line is the best teacher, L_T*: a better teacher than that one hurts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from distill_lib.figures.contours import labelled_contours
from distill_lib.figures.panels import (
    BEST_TEACHER_COLOUR,
    COMPARE_STYLE,
    legend_above,
    outside_fit,
    power_axis,
    shade_outside,
)
from distill_lib.figures.style import PAGE_WIDTH, styled
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.wording import count

TEACHER_LOSSES = (1.22, 2.5)
"""Range of teacher losses on the paper's axes, from the E of the supervised law."""

FIG7_TOKENS = (250e9, 1e12, 4e12, 16e12)
FIG15_SIZES = (1e9, 3e9, 10e9, 30e9)
FIG16_BUDGETS = (1e21, 1e22, 1e23, 1e24)

BEST_TEACHER: dict[str, Any] = {"color": BEST_TEACHER_COLOUR, "lw": 2.2}
OVERTAKES: dict[str, Any] = {"color": "black", "ls": (0, (5, 2)), "lw": 1.5}
NO_TEACHER: dict[str, Any] = {
    "facecolor": "white",
    "edgecolor": "#c4c4c4",
    "hatch": "////",
    "lw": 0.0,
    "zorder": 0.5,
}
LOSS_COLOURS = Normalize(1.6, 2.7)
"""One colour for a student loss in all panels; beyond the colours stay."""


def supervised_overtakes(
    law: DistillationLaw, N_S: float, D: tuple[float, float] = (1e6, 1e17), points: int = 401
) -> float | None:
    """Tokens from which supervised training beats distilling from the best teacher.

    Parameters
    ----------
    law : DistillationLaw
        The law.
    N_S : float
        Student size in parameters.
    D : tuple of float
        Tokens to search, the same for both.
    points : int
        Tokens looked at; between two of them the crossing is interpolated.

    Returns
    -------
    float or None
        Tokens, or None where distilling stays ahead.
    """
    tokens = np.geomspace(*D, points)
    lead = np.asarray(law.supervised.loss(N_S, tokens)) - law.best_teacher(N_S, tokens)[1]
    behind = np.flatnonzero(lead > 0.0)
    if len(behind) == 0 or behind[-1] == points - 1:
        return None
    i = int(behind[-1])
    return float(np.exp(np.interp(0.0, -lead[i : i + 2], np.log(tokens[i : i + 2]))))


def _teacher_panel(
    ax: Axes,
    law: DistillationLaw,
    compare: DistillationLaw | None,
    x: np.ndarray,
    L_T: np.ndarray,
    N_S: np.ndarray | float,
    D_S: np.ndarray | float,
    levels: np.ndarray,
    *,
    floor: np.ndarray | None = None,
    label_every: int = 2,
    fontsize: float = 8.5,
) -> None:
    """Draw student loss over ``x`` and teacher loss, and the best teacher; N_S or D_S runs along x.

    Below ``floor``, shape [x], no teacher can be: there the drawing is faint and hatched.
    """
    values = np.asarray(law.loss(N_S, D_S, L_T[:, None]))
    other = None if compare is None else np.asarray(compare.loss(N_S, D_S, L_T[:, None]))
    best = np.broadcast_to(law.best_teacher(N_S, D_S)[0], x.shape)
    ax.set(xlim=x[[0, -1]], ylim=L_T[[0, -1]])
    power_axis(ax.xaxis, counts=True)
    shade_outside(ax, outside_fit(law, N_S=N_S, D_S=D_S, L_T=L_T[:, None]), x, L_T)
    reached = levels[(levels > values.min()) & (levels < values.max())]
    if floor is not None:
        ax.fill_between(x, L_T[0], np.maximum(floor, L_T[0]), **NO_TEACHER)
        ax.contour(x, L_T, values, levels=reached, colors="#888888", linewidths=0.8, alpha=0.5)
        ax.plot(x, best, **(BEST_TEACHER | {"alpha": 0.3}))
        possible = L_T[:, None] >= floor
        values, best = np.where(possible, values, np.nan), np.where(best >= floor, best, np.nan)
        other = None if other is None else np.where(possible, other, np.nan)
    labelled_contours(
        ax,
        x,
        L_T,
        values,
        reached,
        norm=LOSS_COLOURS,
        label_every=label_every,
        fontsize=fontsize,
        compare=other,
    )
    ax.plot(x, best, **BEST_TEACHER)
    if compare is not None:
        best = np.broadcast_to(compare.best_teacher(N_S, D_S)[0], x.shape)
        ax.plot(x, best, **(BEST_TEACHER | COMPARE_STYLE | {"lw": 1.4}))
    ax.grid(visible=False)


def _four_panels(
    titles: Sequence[str], draw: Callable[[Axes, int], None], xlabel: str, height: float = 7.2
) -> tuple[Figure, np.ndarray]:
    """Make panels, two in a row, over teacher loss."""
    rows = -(-len(titles) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(PAGE_WIDTH, height), sharex=True, sharey=True, squeeze=False)
    for i, (ax, title) in enumerate(zip(axes.flat, titles, strict=False)):
        draw(ax, i)
        ax.set_title(title)
    for ax in axes.flat[len(titles) :]:
        ax.axis("off")
    fig.supxlabel(xlabel, fontsize=10)
    fig.supylabel("Teacher cross-entropy $L_T$ (nats/token)", fontsize=10)
    return fig, axes


@styled
def fig07_student_loss_by_teacher(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    D_S: Sequence[float] = FIG7_TOKENS,
    N_S: tuple[float, float] = (1e9, 100e9),
    L_T: tuple[float, float] = TEACHER_LOSSES,
    points: tuple[int, int] = (121, 121),
) -> tuple[Figure, np.ndarray]:
    """Draw contours of student loss over student size and teacher loss, for fixed tokens (Figure 7).

    Parameters
    ----------
    law : DistillationLaw
        The law to draw.
    compare : DistillationLaw, optional
        A second law, in thin dashed lines.
    D_S : sequence of float
        Student tokens, one panel each.
    N_S : tuple of float
        Range of student sizes in parameters.
    L_T : tuple of float
        Range of teacher losses in nats per token.
    points : tuple of int
        Teacher losses and student sizes of the grid.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 2].

    Notes
    -----
    What to see: below the red line contours turn to the right: there a better teacher asks for a larger
    student to reach the same loss, the capacity gap. L_T* falls as N_S^-0.065, then three times as steeply.
    The paper puts this kink where L_S meets L_T*; by the law L_S stays 0.12 to 0.43 above it, and the kink is
    where L_T* falls below about 0.87 of the supervised loss. The paper labels contours from 1.75 (250B), 1.70,
    1.65 and 1.65 (16T) up to 2.50; the reconciled law goes down to 1.70, 1.66, 1.63 and 1.61.
    """
    size, teacher = np.geomspace(*N_S, points[1]), np.linspace(*L_T, points[0])
    levels = np.round(np.arange(1.6, 2.8, 0.05), 2)
    fig, axes = _four_panels(
        [f"{count(tokens)} student tokens" for tokens in D_S],
        lambda ax, i: _teacher_panel(ax, law, compare, size, teacher, size, D_S[i], levels),
        "Student size $N_S$ (parameters)",
    )
    handles = [Line2D([], [], label="best teacher $L_T^*$", **BEST_TEACHER), _contour_handle()]
    legend_above(fig, handles, compare=compare)
    return fig, axes


def _contour_handle() -> Line2D:
    return Line2D([], [], color="#2a788e", lw=1.4, label="student loss $L_S$ (nats/token)")


@styled
def fig15_student_loss_by_tokens(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = FIG15_SIZES,
    D_S: tuple[float, float] = (250e9, 16e12),
    L_T: tuple[float, float] = TEACHER_LOSSES,
    points: tuple[int, int] = (121, 121),
) -> tuple[Figure, np.ndarray]:
    """Draw contours of student loss over student tokens and teacher loss, for fixed sizes (Figure 15).

    A dashed vertical line marks the tokens from which supervised training beats the best teacher.

    Parameters
    ----------
    law : DistillationLaw
        The law to draw.
    compare : DistillationLaw, optional
        A second law, in thin dashed lines.
    N_S : sequence of float
        Student sizes in parameters, one panel each.
    D_S : tuple of float
        Range of student tokens.
    L_T : tuple of float
        Range of teacher losses in nats per token.
    points : tuple of int
        Teacher losses and tokens of the grid.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 2].

    Notes
    -----
    What to see: L_T* declines slowly with tokens, as the paper says, for students up to 10B; for 30B it rises
    first, from 1.43 to 1.58, past the kink of Fig 7. Supervised training overtakes at 2.4T tokens for 1B
    and 3.6T for 3B; for 10B it does at 24T, right of the panel, and for 30B never, for the law's distilled
    floor is then below the supervised one (Fig 40).
    """
    tokens, teacher = np.geomspace(*D_S, points[1]), np.linspace(*L_T, points[0])
    levels = np.round(np.arange(1.6, 2.8, 0.05), 2)

    def draw(ax: Axes, i: int) -> None:
        _teacher_panel(ax, law, compare, tokens, teacher, N_S[i], tokens, levels)
        overtakes = supervised_overtakes(law, N_S[i])
        if overtakes is not None and D_S[0] < overtakes < D_S[1]:
            ax.axvline(overtakes, **OVERTAKES)
            other = None if compare is None else supervised_overtakes(compare, N_S[i])
            if other is not None:
                ax.axvline(other, **(COMPARE_STYLE | {"color": "black"}))
            return
        words = "nowhere" if overtakes is None else f"at {count(overtakes)}"
        ax.text(
            0.97, 0.03, f"supervised overtakes {words}", transform=ax.transAxes, ha="right", va="bottom", fontsize=9,
            zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 2},
        )  # fmt: skip

    titles = [f"student {count(size)}" for size in N_S]
    fig, axes = _four_panels(titles, draw, "Student tokens $D_S$")
    handles = [
        Line2D([], [], label="best teacher $L_T^*$", **BEST_TEACHER),
        Line2D([], [], label="supervised overtakes", **OVERTAKES),
        _contour_handle(),
    ]
    legend_above(fig, handles, compare=compare, ncols=3)
    return fig, axes


@styled
def fig16_student_loss_by_teacher_size(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    C: Sequence[float] = FIG16_BUDGETS,
    N_S: Sequence[float] = FIG15_SIZES,
    N_T: tuple[float, float] = (1e9, 1e12),
    L_T: tuple[float, float] = TEACHER_LOSSES,
    points: tuple[int, int] = (61, 61),
) -> tuple[Figure, np.ndarray]:
    """Draw contours of student loss over teacher size and loss when logits are paid (Figure 16).

    The budget C pays for student training and teacher logits, D_S = C / (3 F(N_S) + F(N_T)) (Eq 27); the
    teacher's training is free, so its loss may be anything above the floor of its size.

    Parameters
    ----------
    law : DistillationLaw
        The law to draw.
    compare : DistillationLaw, optional
        A second law, in thin dashed lines.
    C : sequence of float
        Total compute in FLOPs, one row each.
    N_S : sequence of float
        Student sizes in parameters, one column each.
    N_T : tuple of float
        Range of teacher sizes in parameters.
    L_T : tuple of float
        Range of teacher losses in nats per token.
    points : tuple of int
        Teacher losses and sizes of the grid.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [budgets, sizes].

    Notes
    -----
    What to see: read along the red line, the best loss for a teacher of each size. At small budgets it
    rises to the right: a large teacher leaves the student few tokens, and then a weak one suits it better,
    as the paper says. At 1e21 FLOPs the paper labels losses up to 3.70, 3.55, 3.45 and 3.40; the reconciled
    law ends at 4.35, 4.11, 3.95 and 3.89, at 3.44, 3.29, 3.18 and 3.15 where teachers can exist, and the
    printed reading nowhere above 2.68.
    """
    fig, axes = plt.subplots(
        len(C), len(N_S), figsize=(PAGE_WIDTH, 2.35 * len(C) + 0.9), sharex=True, sharey=True, squeeze=False
    )
    teacher_size, teacher = np.geomspace(*N_T, points[1]), np.linspace(*L_T, points[0])
    levels = np.round(np.concatenate([np.arange(1.7, 2.8, 0.1), np.arange(3.0, 4.6, 0.5)]), 2)
    floor = np.asarray(law.supervised.floor(teacher_size))
    for row, budget in zip(axes, C, strict=True):
        for ax, size in zip(row, N_S, strict=True):
            D_S = budget / (3.0 * forward_flops(size) + np.asarray(forward_flops(teacher_size)))
            _teacher_panel(
                ax, law, compare, teacher_size, teacher, size, D_S, levels,
                floor=floor, label_every=1, fontsize=8,
            )  # fmt: skip
    for ax, size in zip(axes[0], N_S, strict=True):
        ax.set_title(f"student {count(size)}")
    for ax, budget in zip(axes[:, -1], C, strict=True):
        exponent = int(np.floor(np.log10(budget) + 1e-9))
        factor = "" if np.isclose(budget, 10.0**exponent) else f"{budget / 10.0**exponent:.3g}\\cdot "
        ax.annotate(
            f"$C = {factor}10^{{{exponent}}}$",
            (1.04, 0.5),
            xycoords="axes fraction",
            rotation=270,
            va="center",
        )
    fig.supxlabel("Teacher size $N_T$ (parameters)", fontsize=10)
    fig.supylabel("Teacher cross-entropy $L_T$ (nats/token)", fontsize=10)
    handles = [
        Line2D([], [], label="best teacher $L_T^*$", **BEST_TEACHER),
        _contour_handle(),
        Patch(label="no teacher of this size is so good", **NO_TEACHER),
    ]
    legend_above(fig, handles, compare=compare, ncols=3)
    return fig, axes
