"""Where the compute of the best plans goes: Figs 23, 26 and 29."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from distill_lib.figures.optimal_quantities import plan_twice
from distill_lib.figures.panels import (
    COMPARE_STYLE,
    PanelOptions,
    compute_axis,
    legend_above,
    outside_fit,
    size_panels,
)
from distill_lib.figures.style import ROLE_COLOURS, styled
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import PlanMap

SHARE_COLOURS = {
    "student_training": ROLE_COLOURS["distilled"],
    "teacher_logits": "#c7b0dc",
    "teacher_pretraining": ROLE_COLOURS["teacher"],
}
"""One colour for each thing that compute is spent on."""

SHARE_LABELS = {
    "student_training": "student training",
    "teacher_logits": "teacher inference (logits)",
    "teacher_pretraining": "teacher pretraining",
}


def _share_panels(maps: Sequence[PlanMap], kinds: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Draw where the compute goes, in percent: a panel for each student."""
    first = maps[0]
    fig, axes = size_panels(first.N_S, columns=4, height=5.8)
    for row, ax in enumerate(axes.flat[: len(first.N_S)]):
        edges = _edges(first, row, kinds)
        for kind, low, high in zip(kinds, edges[:-1], edges[1:], strict=True):
            ax.fill_between(first.C, low, high, color=SHARE_COLOURS[kind], lw=0)
        for edge in edges[1:-1]:
            ax.plot(first.C, edge, color="white", lw=1.2)
        for found in maps[1:]:
            for edge in _edges(found, row, kinds)[1:-1]:
                ax.plot(found.C, edge, **(COMPARE_STYLE | {"color": "black", "alpha": 1.0}))
        ax.set_ylim(0, 1)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.grid(visible=False)
        outside = outside_fit(first.law, N_S=first.N_S[row], D_S=first.D_S[row]) > 0.0
        ax.fill_between(first.C, 0, 1, where=outside, color="white", alpha=0.4, lw=0)
    compute_axis(axes, fig, (first.C[0], first.C[-1]), few=True)
    fig.supylabel("Share of the compute", fontsize=10)
    handles: list[Line2D | Patch] = [
        Patch(color=SHARE_COLOURS[kind], label=SHARE_LABELS[kind]) for kind in kinds
    ]
    handles.append(
        Patch(color=SHARE_COLOURS[kinds[0]], alpha=0.6, label="faded: outside what the law was fitted on")
    )
    legend_above(fig, handles, compare=maps[1].law if len(maps) > 1 else None, outside=False, ncols=3)
    return fig, axes


def _edges(found: PlanMap, row: int, kinds: Sequence[str]) -> np.ndarray:
    """Return the edges of the stacked shares, shape [kinds + 1, budgets]."""
    shares = np.stack([np.zeros_like(found.C), *(found.shares[kind][row] for kind in kinds)])
    return np.cumsum(shares, axis=0)


@styled
def fig23_teacher_inference_shares(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw how the compute is shared between student and logits (Figure 23).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `~distill_lib.figures.fig09_optimal_configuration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: the more compute, the more of it goes to the teacher's logits, as the paper says: about 40
    percent at 1e24 FLOPs, up to 60 percent for a student of 50B at 1e26.
    """
    maps = plan_twice("teacher_inference", law, **options)
    return _share_panels(maps, ("student_training", "teacher_logits"))


@styled
def fig26_teacher_pretraining_shares(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw how the compute is shared between student and teacher training (Figure 26).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `~distill_lib.figures.fig09_optimal_configuration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: at large budgets nearly all compute trains the student. The paper says that the student's
    share rises with compute; by the law it first falls, to about 40 percent, and the more so the larger the
    student: from 88 percent at 1e20 FLOPs for 50B.
    """
    maps = plan_twice("teacher_pretraining", law, **options)
    return _share_panels(maps, ("student_training", "teacher_pretraining"))


@styled
def fig29_pretraining_inference_shares(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw how the compute is shared between student, logits and teacher training (Figure 29).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `~distill_lib.figures.fig09_optimal_configuration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: the four corners of Table 3. Small student and budget: half for the teacher's training (52
    percent for 1B at 1e20 FLOPs; Table 3 says most). Large student, small budget: most for the student (71
    percent for 10B; the printed reading gives 18 percent, against Table 3). Small student, large budget:
    53 percent student, 44 percent logits. Large student, large budget: 25, 32 and 43 percent for 30B at
    1e25 FLOPs, where Table 3 has thirds.
    """
    maps = plan_twice("teacher_pretraining_inference", law, **options)
    return _share_panels(maps, tuple(SHARE_COLOURS))
