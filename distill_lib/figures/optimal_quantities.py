"""Sizes and tokens of the best plans, one scenario at a time: Figs 9, 20, 22, 25 and 28."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distill_lib.figures.panels import (
    COMPARE_STYLE,
    PAPER_BUDGETS,
    PAPER_SIZES,
    PanelOptions,
    compute_axis,
    legend_above,
    outside_fit,
    power_axis,
    shade_outside,
    size_panels,
)
from distill_lib.figures.style import ROLE_COLOURS, styled
from distill_lib.scaling.formulas import BOUNDS
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import PlanMap, plan_map

FIG9_SIZES = (300e6, 1e9, 3e9, 10e9)
"""Student sizes that Figure 9 of the paper shows."""

QUANTITY_STYLES: dict[str, dict[str, Any]] = {
    "D_S": {"color": ROLE_COLOURS["distilled"], "ls": "-"},
    "N_S": {"color": ROLE_COLOURS["distilled"], "ls": (0, (1, 1.3))},
    "D_T": {"color": ROLE_COLOURS["teacher"], "ls": "-"},
    "N_T": {"color": ROLE_COLOURS["teacher"], "ls": (0, (1, 1.3))},
}
"""Colour says whose, line says what: solid for tokens, dotted for parameters."""

STYLES: tuple[dict[str, Any], ...] = ({"lw": 2.0}, COMPARE_STYLE)
"""Lines of the law, and of a second one."""

QUANTITY_NAMES = {
    "D_S": "student tokens $D_S^*$",
    "N_S": "student size $N_S$",
    "D_T": "teacher tokens $D_T^*$",
    "N_T": "teacher size $N_T^*$",
}


def plan_twice(
    scenario: str,
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = PAPER_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: int = 97,
) -> list[PlanMap]:
    """Plan with the law, and with the second one if there is one.

    Parameters
    ----------
    scenario : str
        Who pays for the teacher.
    law : DistillationLaw
        The law to plan with.
    compare : DistillationLaw, optional
        The second law.
    N_S : sequence of float
        Student sizes in parameters.
    C : tuple of float
        Range of the total compute in FLOPs.
    points : int
        Budgets.

    Returns
    -------
    list of PlanMap
        One or two maps.
    """
    sizes, budget = np.asarray(N_S, dtype=float), np.geomspace(*C, points)
    return [plan_map(sizes, budget, scenario, law=drawn) for drawn in (law, compare) if drawn is not None]


def _quantity_panels(
    maps: Sequence[PlanMap], *, columns: int = 4, height: float = 6.2
) -> tuple[Figure, np.ndarray]:
    """Draw sizes and tokens of the best plans: a panel for each student."""
    first = maps[0]
    fig, axes = size_panels(first.N_S, columns=columns, height=height)
    for row, ax in enumerate(axes.flat[: len(first.N_S)]):
        for found, style in zip(maps, STYLES, strict=False):
            for name in ("D_S", "D_T", "N_T"):
                ax.plot(found.C, getattr(found, name)[row], **(QUANTITY_STYLES[name] | style))
        ax.plot(first.C, np.full_like(first.C, first.N_S[row]), lw=2.0, **QUANTITY_STYLES["N_S"])
        power_axis(ax.yaxis, counts=True)
    fig.supylabel("Parameters $N$ or tokens $D$", fontsize=10)
    compute_axis(axes, fig, (first.C[0], first.C[-1]), few=columns > 2)
    for row, ax in enumerate(axes.flat[: len(first.N_S)]):
        shade_outside(ax, outside_fit(first.law, N_S=first.N_S[row], D_S=first.D_S[row]), first.C)
    handles = [
        Line2D([], [], lw=2.0, label=QUANTITY_NAMES[name], **style) for name, style in QUANTITY_STYLES.items()
    ]
    legend_above(fig, handles, compare=maps[1].law if len(maps) > 1 else None, ncols=3)
    return fig, axes


@styled
def fig09_optimal_configuration(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = FIG9_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: int = 97,
) -> tuple[Figure, np.ndarray]:
    """Draw sizes and tokens of the best plans when the teacher's training and logits are paid (Figure 9).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    compare : DistillationLaw, optional
        A second law, drawn in thin dashed lines.
    N_S : sequence of float
        Student sizes in parameters, one panel each.
    C : tuple of float
        Range of the total compute in FLOPs.
    points : int
        Budgets per curve.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 2].

    Notes
    -----
    What to see: student tokens grow about as fast as compute, teacher tokens with its power of 0.6 to 0.7.
    The teacher grows until it is larger than the student and then stays there. The paper calls its plateau
    slightly above the student's size; by the law it is 3.5 to 4.5 times that size. Past it N_T falls again.
    """
    maps = plan_twice("teacher_pretraining_inference", law, compare=compare, N_S=N_S, C=C, points=points)
    return _quantity_panels(maps, columns=2, height=7.4)


@styled
def fig20_best_case_quantities(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw sizes and tokens of the best plans when the teacher is free (Figure 20).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig09_optimal_configuration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: student tokens are linear in compute, for all of it is spent on them. The teacher's cost
    does not count, so its size and tokens are those that reach the wanted loss for the least compute; they
    move together, as the paper says, and rise and fall with the teacher loss of Fig 18.
    """
    return _quantity_panels(plan_twice("best_case", law, **options))


@styled
def fig22_teacher_inference_quantities(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw sizes and tokens of the best plans when the teacher's logits are paid (Figure 22).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig09_optimal_configuration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: teacher tokens sit at the bound of 1e17 of every plan, as in the paper. Training the teacher
    is free here and size is not, so the best teacher is small and overtrained.
    """
    fig, axes = _quantity_panels(plan_twice("teacher_inference", law, **options))
    axes.flat[0].annotate(
        "$D_T^*$ at its bound $10^{17}$", (0.04, BOUNDS[1]), xycoords=("axes fraction", "data"), xytext=(0, -4),
        textcoords="offset points", va="top", fontsize=9, color=ROLE_COLOURS["teacher"],
    )  # fmt: skip
    return fig, axes


@styled
def fig25_teacher_pretraining_quantities(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw sizes and tokens of the best plans when the teacher's training is paid (Figure 25).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig09_optimal_configuration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: teacher size and tokens run parallel, 13 to 16 tokens per parameter throughout: the teacher
    is trained compute-optimally, as supervised models are. The paper says the same.
    """
    return _quantity_panels(plan_twice("teacher_pretraining", law, **options))


@styled
def fig28_pretraining_inference_quantities(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw sizes and tokens of the best plans when training and logits are paid, eight sizes (Figure 28).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig09_optimal_configuration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: at small budgets the teacher is that of Fig 25, at large ones it turns towards the small,
    overtrained one of Fig 22: its size falls at last while its tokens go on growing. The paper says the same;
    students of 30B and 50B have not yet come to the fall at 1e26 FLOPs.
    """
    return _quantity_panels(plan_twice("teacher_pretraining_inference", law, **options))
