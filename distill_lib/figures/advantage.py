"""Distilled minus supervised loss for given teachers and tokens: Figs 6, 13 and 14.

Blue is where distilling is better, red where supervised training is. Here nobody pays for the teacher:
both students see the same tokens, or spend the same compute on themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distill_lib.figures.contours import label_contours
from distill_lib.figures.panels import (
    COMPARE_STYLE,
    EDGE_STYLE,
    SECOND_LAW,
    legend_above,
    outline_outside,
    outside_fit,
    power_axis,
)
from distill_lib.figures.style import PAGE_WIDTH, panel_letter, styled
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.wording import count

TEACHER_SIZES = (546e6, 975e6, 1.82e9, 2.72e9, 4.82e9, 7.75e9)
"""Teachers of the paper's panels, trained on 20 tokens per parameter (Figs 6 and 14)."""

FIG13_SIZES = (198e6, 546e6, 975e6, 1.82e9)
"""Students of Figure 13, trained on 20 tokens per parameter."""

MODEL_SIZES = (100e6, 7e9)
"""Range of sizes in parameters on the paper's axes."""

TOKENS_PER_PARAMETER = 20.0
"""Tokens per parameter of the models called fixed-M."""

BREAK_EVEN: dict[str, Any] = {"color": "black", "lw": 2.0}
EQUAL_SIZE: dict[str, Any] = {"color": "black", "ls": (0, (5, 2)), "lw": 1.2}


def gain_mesh(ax: Axes, x: np.ndarray, y: np.ndarray, gain: np.ndarray, *, limit: float = 0.15) -> Any:
    """Colour a map of distilled minus supervised loss: blue where distilling is better.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    x, y : numpy.ndarray
        The grid.
    gain : numpy.ndarray
        Nats per token, shape [y, x].
    limit : float
        Loss difference of the fullest colours.

    Returns
    -------
    matplotlib.collections.QuadMesh
        For a colour bar.
    """
    norm = TwoSlopeNorm(0, vmin=-limit, vmax=limit)
    return ax.pcolormesh(x, y, gain, cmap="RdBu_r", norm=norm, shading="gouraud", rasterized=True)


def gain_map(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    gain: np.ndarray,
    *,
    limit: float = 0.15,
    levels: Sequence[float] = (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4),
    compare: np.ndarray | None = None,
    tokens: bool = False,
    few: bool = False,
) -> Any:
    """Draw such a map with labelled contours and a black line where the two break even.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel; both its axes become logarithmic.
    x, y : numpy.ndarray
        The grid: tokens or compute, and parameters.
    gain : numpy.ndarray
        Nats per token, shape [y, x].
    limit : float
        Loss difference of the fullest colours.
    levels : sequence of float
        Contours to draw beside that of zero.
    compare : numpy.ndarray, optional
        The same by a second law: its contours and its break-even line are drawn dashed.
    tokens : bool
        Whether x counts tokens; else compute.
    few : bool
        A narrow panel: label every second power of x.

    Returns
    -------
    matplotlib.collections.QuadMesh
        For a colour bar.
    """
    ax.set(xlim=x[[0, -1]], ylim=y[[0, -1]])
    power_axis(ax.xaxis, counts=tokens, few=few)
    power_axis(ax.yaxis, counts=True)
    mesh = gain_mesh(ax, x, y, gain, limit=limit)
    reached = [level for level in levels if gain.min() < level < gain.max()]
    also = [] if compare is None else [level for level in reached if compare.min() < level < compare.max()]
    if also:
        second = ax.contour(
            x, y, compare, levels=also, colors="#333333", linewidths=0.8, linestyles=[COMPARE_STYLE["ls"]]
        )
        second.set_gid(SECOND_LAW)
    if reached:
        lines = ax.contour(x, y, gain, levels=reached, colors="#333333", linewidths=0.7, linestyles="solid")
        label_contours(ax, lines, fmt="%+.2f", fontsize=8)
    for values, width, style, gid in (
        (gain, BREAK_EVEN["lw"], "solid", None),
        (compare, 1.2, COMPARE_STYLE["ls"], SECOND_LAW),
    ):
        if values is not None and values.min() < 0.0 < values.max():
            line = ax.contour(
                x, y, values, levels=[0.0], colors=[BREAK_EVEN["color"]], linewidths=width, linestyles=[style]
            )
            line.set_gid(gid)
    ax.grid(visible=False)
    return mesh


def gain_bar(fig: Figure, axes: np.ndarray, mesh: Any, *, aspect: float = 38.0, gap: float = 0.045) -> None:
    """Add the colour bar of such maps, its ends named by what to do there.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        The figure.
    axes : numpy.ndarray
        The panels that it serves.
    mesh : matplotlib.collections.QuadMesh
        What `gain_mesh` returned.
    aspect : float
        Length of the bar over its width.
    gap : float
        Distance of the names from the bar, in parts of its length.
    """
    bar = fig.colorbar(mesh, ax=axes, pad=0.015, extend="both", aspect=aspect)
    bar.set_label("distilled − supervised loss (nats/token)")
    for y, side, words, color in (
        (1.0 + gap, "bottom", "train", "#b2182b"),
        (-gap, "top", "distil", "#2166ac"),
    ):
        bar.ax.text(
            0.5, y, words, transform=bar.ax.transAxes, ha="center", va=side, color=color, weight="bold"
        )


def _explain(
    fig: Figure, axes: np.ndarray, mesh: Any, compare: DistillationLaw | None, *, equal_size: str
) -> None:
    """Add the colour bar and the legend."""
    gain_bar(fig, axes, mesh)
    handles = [
        Line2D([], [], label="break-even", **BREAK_EVEN),
        Line2D([], [], label=equal_size, **EQUAL_SIZE),
        Line2D([], [], label="edge of what the law was fitted on", **EDGE_STYLE),
    ]
    legend_above(fig, handles, compare=compare, outside=False)


def _by_teacher(
    law: DistillationLaw,
    compare: DistillationLaw | None,
    N_T: Sequence[float],
    x: np.ndarray,
    N_S: np.ndarray,
    D_S: np.ndarray,
    limit: float,
    *,
    tokens: bool,
) -> tuple[Figure, np.ndarray]:
    """Draw one map for each teacher, over ``x`` and student size; D_S has shape [sizes, x]."""
    columns = 3
    rows = -(-len(N_T) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(PAGE_WIDTH, 3.1 * rows + 0.5), sharex=True, sharey=True, squeeze=False
    )
    for ax, size in zip(axes.flat, N_T, strict=False):
        maps = [
            np.asarray(
                drawn.loss(N_S[:, None], D_S, drawn.supervised.loss(size, TOKENS_PER_PARAMETER * size))
            )
            - drawn.supervised.loss(N_S[:, None], D_S)
            for drawn in (law, compare)
            if drawn is not None
        ]
        other = maps[1] if len(maps) > 1 else None
        mesh = gain_map(ax, x, N_S, maps[0], limit=limit, compare=other, tokens=tokens)
        outline_outside(ax, outside_fit(law, N_S=N_S[:, None], D_S=D_S), x, N_S)
        ax.axhline(size, **EQUAL_SIZE)
        L_T = law.supervised.loss(size, TOKENS_PER_PARAMETER * size)
        ax.set_title(f"teacher {count(size)}, $L_T$ = {L_T:.2f}")
    for ax in axes.flat[len(N_T) :]:
        ax.axis("off")
    fig.supylabel("Student size $N_S$ (parameters)", fontsize=10)
    _explain(fig, axes, mesh, compare, equal_size="$N_S = N_T$")
    return fig, axes


@styled
def fig06_advantage_over_tokens(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_T: Sequence[float] = TEACHER_SIZES,
    D_S: tuple[float, float] = (1e9, 1e13),
    N_S: tuple[float, float] = MODEL_SIZES,
    points: tuple[int, int] = (64, 64),
    limit: float = 0.18,
) -> tuple[Figure, np.ndarray]:
    """Map distilled minus supervised loss over student tokens and size, for six teachers (Figure 6).

    Both students see the same tokens. Each teacher was trained on 20 tokens per parameter.

    Parameters
    ----------
    law : DistillationLaw
        The law to draw.
    compare : DistillationLaw, optional
        A second law, whose contours and break-even line are drawn dashed.
    N_T : sequence of float
        Teacher sizes in parameters, one panel each.
    D_S, N_S : tuple of float
        Ranges of student tokens and sizes.
    points : tuple of int
        Sizes and tokens of the map.
    limit : float
        Loss difference of the fullest colours, as in the paper; beyond it the colour stays.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 3].

    Notes
    -----
    What to see: every student gains from a teacher at first and loses by it after enough tokens, once the
    data teach more than the teacher knows; the larger the student, the sooner. Under strong teachers small
    students turn early too: the capacity gap. The paper's colours end at 0.18 on both sides; the reconciled law goes from -0.22 to +0.66, so
    the paper's must be clipped on the red side. The printed reading goes down to -0.56.
    """
    tokens, size = np.geomspace(*D_S, points[1]), np.geomspace(*N_S, points[0])
    everywhere = np.broadcast_to(tokens, (len(size), len(tokens)))
    fig, axes = _by_teacher(law, compare, N_T, tokens, size, everywhere, limit, tokens=True)
    fig.supxlabel("Student tokens $D_S$", fontsize=10)
    return fig, axes


@styled
def fig14_advantage_over_compute(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_T: Sequence[float] = TEACHER_SIZES,
    C_S: tuple[float, float] = (1e19, 1e22),
    N_S: tuple[float, float] = MODEL_SIZES,
    points: tuple[int, int] = (64, 64),
    limit: float = 0.15,
) -> tuple[Figure, np.ndarray]:
    """Map distilled minus supervised loss over the student's compute and size, for six teachers (Figure 14).

    Both students spend the same compute, 3 F(N_S) D_S. Each teacher was trained on 20 tokens per parameter.

    Parameters
    ----------
    law : DistillationLaw
        The law to draw.
    compare : DistillationLaw, optional
        A second law, whose contours and break-even line are drawn dashed.
    N_T : sequence of float
        Teacher sizes in parameters, one panel each.
    C_S, N_S : tuple of float
        Ranges of the student's training compute (FLOPs) and size.
    points : tuple of int
        Sizes and budgets of the map.
    limit : float
        Loss difference of the fullest colours; beyond it the colour stays.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 3].

    Notes
    -----
    What to see: Fig 6 sheared. Beyond a budget that depends on the student's size supervised training wins,
    as the paper says. The paper's colours go from -0.15 to +0.06; the reconciled law from -0.26 to +0.53.
    """
    compute, size = np.geomspace(*C_S, points[1]), np.geomspace(*N_S, points[0])
    D_S = compute / (3.0 * np.asarray(forward_flops(size))[:, None])
    fig, axes = _by_teacher(law, compare, N_T, compute, size, D_S, limit, tokens=False)
    fig.supxlabel("Student training compute $C_S$ (FLOPs)", fontsize=10)
    return fig, axes


@styled
def fig13_advantage_over_teachers(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = FIG13_SIZES,
    D_T: tuple[float, float] = (1e9, 1e13),
    C_T: tuple[float, float] = (1e19, 1e22),
    N_T: tuple[float, float] = MODEL_SIZES,
    points: tuple[int, int] = (64, 64),
    limit: float = 0.15,
) -> tuple[Figure, np.ndarray]:
    """Map distilled minus supervised loss over teachers, for four students (Figure 13).

    Teachers are drawn over their tokens (upper row, a) and over their training compute 3 F(N_T) D_T (lower
    row, b). Each student has 20 tokens per parameter.

    Parameters
    ----------
    law : DistillationLaw
        The law to draw.
    compare : DistillationLaw, optional
        A second law, whose contours and break-even line are drawn dashed.
    N_S : sequence of float
        Student sizes in parameters, one column each.
    D_T, C_T : tuple of float
        Ranges of the teacher's tokens and of its training compute (FLOPs).
    N_T : tuple of float
        Range of teacher sizes in parameters.
    points : tuple of int
        Sizes and tokens of each map.
    limit : float
        Loss difference of the fullest colours; beyond it the colour stays.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, students].

    Notes
    -----
    What to see: more teacher tokens, or more teacher compute, turn the balance to distillation, as the paper
    says; a larger student asks for more of both. The colour bars of the paper span -0.08 to 0.64 and -0.075
    to 0.375; the reconciled law -0.12 to 0.89 and -0.12 to 1.03, so the paper's are probably clipped.
    """
    fig, axes = plt.subplots(2, len(N_S), figsize=(PAGE_WIDTH, 6.2), sharex="row", sharey=True, squeeze=False)
    size = np.geomspace(*N_T, points[0])
    tokens, compute = np.geomspace(*D_T, points[1]), np.geomspace(*C_T, points[1])
    bought = compute / (3.0 * np.asarray(forward_flops(size))[:, None])
    for row, (x, D) in enumerate(((tokens, np.broadcast_to(tokens, bought.shape)), (compute, bought))):
        for ax, student in zip(axes[row], N_S, strict=True):
            D_S = TOKENS_PER_PARAMETER * student
            maps = [
                np.asarray(drawn.loss(student, D_S, drawn.supervised.loss(size[:, None], D)))
                - drawn.supervised.loss(student, D_S)
                for drawn in (law, compare)
                if drawn is not None
            ]
            other = maps[1] if len(maps) > 1 else None
            mesh = gain_map(ax, x, size, maps[0], limit=limit, compare=other, tokens=row == 0, few=row == 0)
            L_T = law.supervised.loss(size[:, None], D)
            outline_outside(ax, outside_fit(law, N_T=size[:, None], D_T=D, L_T=L_T), x, size)
            ax.axhline(student, **EQUAL_SIZE)
            if row == 0:
                ax.set_title(f"student {count(student)}")
        panel_letter(axes[row, 0], "ab"[row])
    fig.supylabel("Teacher size $N_T$ (parameters)", fontsize=10)
    for ax in axes[0]:
        ax.set_xlabel("$D_T$ (tokens)")
    for ax in axes[1]:
        ax.set_xlabel("$C_T$ (FLOPs)")
    _explain(fig, axes, mesh, compare, equal_size="$N_T = N_S$")
    return fig, axes
