"""Optimal quantities against total compute, the four scenarios side by side: Figs 17, 18 and 30 to 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.panels import (
    COMPARE_STYLE,
    PAPER_BUDGETS,
    PAPER_SIZES,
    QUANTITY_LABELS,
    PanelOptions,
    compute_axis,
    legend_above,
    outside_fit,
    power_axis,
    shade_outside,
    size_panels,
)
from distill_lib.figures.style import PAGE_WIDTH, SCENARIO_COLOURS, SCENARIO_LABELS, styled
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import SCENARIOS, PlanMap, plan_map
from distill_lib.scaling.wording import count

SUPERVISED_COUNTERPART = {"L_S": "L_supervised", "D_S": "D_supervised"}
"""What a plan's quantity is compared with when no teacher is used."""

Plans = dict[str, PlanMap]
"""The plans of each scenario."""


def scenario_lines(ax: Axes, plans: Plans, row: int, quantity: str) -> None:
    """Draw one quantity against compute for one student, a line for each scenario and one for supervised.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    plans : dict of str to PlanMap
        The plans of each scenario.
    row : int
        Which student of the plans.
    quantity : str
        A field of PlanMap: L_S, L_T, D_S, D_T or N_T.
    """
    first = next(iter(plans.values()))
    if quantity in SUPERVISED_COUNTERPART:
        ax.plot(
            first.C,
            getattr(first, SUPERVISED_COUNTERPART[quantity])[row],
            color=SCENARIO_COLOURS["supervised"],
            lw=2.6,
            label=SCENARIO_LABELS["supervised"],
        )
    for scenario, found in plans.items():
        ax.plot(
            found.C,
            getattr(found, quantity)[row],
            label=SCENARIO_LABELS[scenario],
            **scenario_style(scenario),
        )


def scenario_style(scenario: str) -> dict[str, Any]:
    """Return the line of a scenario: its colour, dashed where the teacher is trained for this student.

    Parameters
    ----------
    scenario : str
        One of the four.

    Returns
    -------
    dict
        Keywords for ``plot``.
    """
    return {"color": SCENARIO_COLOURS[scenario], "ls": (0, (4, 1.5)) if "pretraining" in scenario else "-"}


def panels_by_scenario(
    quantity: str,
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = PAPER_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: int = 73,
    columns: int = 4,
    height: float = 6.0,
) -> tuple[Figure, np.ndarray]:
    """Draw a quantity of the optimal plans: a panel for each size, a line for each scenario.

    Parameters
    ----------
    quantity : str
        A field of PlanMap: L_S, L_T, D_T or N_T.
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
    columns : int
        Panels in a row.
    height : float
        Height of the figure in inches.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].
    """
    fig, axes = size_panels(N_S, columns=columns, height=height, sharey=quantity != "L_S")
    plans, others = _plans(law, N_S, C, points), _plans(compare, N_S, C, points)
    panels = [(ax,) for ax in axes.flat[: len(N_S)]]
    for row, (ax,) in enumerate(panels):
        _fill_panel(ax, plans, others, row, quantity)
    _finish(fig, axes, panels, quantity, plans, compare)
    return fig, axes


def _panels_with_strips(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = PAPER_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: int = 73,
) -> tuple[Figure, np.ndarray]:
    """Draw student tokens, and under each panel their ratio to those of supervised training."""
    columns, rows = 4, -(-len(N_S) // 4)
    fig, axes = plt.subplots(
        2 * rows, columns, figsize=(PAGE_WIDTH, 8.6), sharex=True, sharey="row", height_ratios=[2, 1] * rows,
        squeeze=False,
    )  # fmt: skip
    plans, others = _plans(law, N_S, C, points), _plans(compare, N_S, C, points)
    panels = [tuple(axes[2 * (i // columns) :, i % columns][:2]) for i in range(len(N_S))]
    for row, (above, below) in enumerate(panels):
        above.set_title(f"student {count(N_S[row])}")
        _fill_panel(above, plans, others, row, "D_S")
        below.axhline(1.0, color=SCENARIO_COLOURS["supervised"], lw=2.6)
        for drawn, style in ((plans, {}), (others, COMPARE_STYLE)):
            for scenario, found in drawn.items():
                ratio = found.D_S[row] / found.D_supervised[row]
                below.plot(found.C, ratio, **(scenario_style(scenario) | style))
        below.set(ylim=(0.0, 1.1), ylabel="to supervised" if row % columns == 0 else "")
    for ax in set(axes.flat) - {ax for pair in panels for ax in pair}:
        ax.axis("off")
    _finish(fig, axes, panels, "D_S", plans, compare)
    return fig, axes


def _plans(law: DistillationLaw | None, N_S: Sequence[float], C: tuple[float, float], points: int) -> Plans:
    """Plan every scenario; nothing without a law."""
    if law is None:
        return {}
    return {
        s: plan_map(np.asarray(N_S, dtype=float), np.geomspace(*C, points), s, law=law) for s in SCENARIOS
    }


def _fill_panel(ax: Axes, plans: Plans, others: Plans, row: int, quantity: str) -> None:
    """Draw the lines of one panel, those of the second law above the others."""
    scenario_lines(ax, plans, row, quantity)
    for scenario, found in others.items():
        ax.plot(found.C, getattr(found, quantity)[row], **(scenario_style(scenario) | COMPARE_STYLE))
    if quantity == "L_S":
        ax.set_ylim(*readable_range(plans, row))
    elif not quantity.startswith("L"):
        power_axis(ax.yaxis, counts=True)
    if quantity == "N_T":
        ax.axhline(plans["best_case"].N_S[row], color="#222222", ls=":", lw=1.2, label="$N_T = N_S$")


def _finish(
    fig: Figure,
    axes: np.ndarray,
    panels: Sequence[tuple[Axes, ...]],
    quantity: str,
    plans: Plans,
    compare: DistillationLaw | None,
) -> None:
    """Give all panels their axes, those of a size its grey ground, and the figure its legend."""
    first = plans["best_case"]
    fig.supylabel(QUANTITY_LABELS[quantity], fontsize=10)
    compute_axis(axes, fig, (first.C[0], first.C[-1]), few=axes.shape[1] > 2)
    for row, of_one_size in enumerate(panels):
        outside = outside_fit(first.law, N_S=first.N_S[row], D_S=first.D_supervised[row])
        for ax in of_one_size:
            shade_outside(ax, outside, first.C)
    legend_above(fig, axes.flat[0].get_legend_handles_labels()[0], compare=compare)


def readable_range(plans: Plans, row: int) -> tuple[float, float]:
    """Return a range of losses that leaves out the steep start, where every curve falls off the scale.

    Parameters
    ----------
    plans : dict of str to PlanMap
        The plans of each scenario.
    row : int
        Which student of the plans.

    Returns
    -------
    tuple of float
        Lowest and highest loss to show.
    """
    starts = [found.L_S[row] for found in plans.values()]
    everything = np.concatenate([next(iter(plans.values())).L_supervised[row], *starts])
    low, high = float(np.nanmin(everything)), float(np.nanmin(np.stack(starts)[:, 0]))
    margin = 0.05 * (high - low)
    return low - margin, high + 6 * margin


@styled
def fig17_compute_optimal_loss(
    law: DistillationLaw,
    *,
    compare: DistillationLaw | None = None,
    N_S: Sequence[float] = PAPER_SIZES,
    C: tuple[float, float] = PAPER_BUDGETS,
    points: int = 73,
) -> tuple[Figure, np.ndarray]:
    """Draw the best student loss that a total compute buys, for eight sizes (Figure 17).

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
    What to see: where the teacher costs nothing, or only its logits, distilling is ahead at first and
    supervised training catches up, later for larger students, as the paper says: with logits paid at 1.3e21
    FLOPs for 500M and 1.2e23 for 10B. By the law 300M is an exception (3.0e21), and a free teacher of a
    student of 30B or 50B is never caught. Where the teacher must be trained too, supervised training is ahead
    until all curves meet near the floor. Most of each panel is beyond what the law was fitted on.
    """
    return panels_by_scenario(
        "L_S", law, compare=compare, N_S=N_S, C=C, points=points, columns=2, height=10.6
    )


@styled
def fig18_optimal_teacher_loss(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw the loss of the best teacher that a total compute allows, for eight students (Figure 18).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig17_compute_optimal_loss`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: where the teacher's training is on the bill, a larger budget asks for a better teacher, most
    steeply at first. A free teacher is chosen by its student alone; for large students at low compute its
    loss dips and rises again, the inflection that the paper describes.
    """
    return panels_by_scenario("L_T", law, **options)


@styled
def fig30_optimal_student_tokens(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw the student tokens of the best plans, all scenarios and supervised training (Figure 30).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig17_compute_optimal_loss`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2 rows, 4]: under each panel its ratio to supervised training.

    Notes
    -----
    What to see: every line is nearly parallel to the supervised one, with an offset, as the paper says; the
    narrow panels show how far. In the best case the offset is nothing: all compute buys student tokens. With
    logits on the bill the student gets about half of the tokens; with all costs, a third and more.
    """
    return _panels_with_strips(law, **options)


@styled
def fig31_optimal_teacher_tokens(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw the teacher tokens of the best plans, all scenarios (Figure 31).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig17_compute_optimal_loss`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: teacher training paid without its logits and with them begin alike and part as logits grow
    dear: then a smaller, longer trained teacher saves. Where only logits are paid, tokens sit at the bound
    of 1e17 at all budgets. The paper says the same.
    """
    return panels_by_scenario("D_T", law, **options)


@styled
def fig32_optimal_teacher_size(
    law: DistillationLaw, **options: Unpack[PanelOptions]
) -> tuple[Figure, np.ndarray]:
    """Draw the teacher size of the best plans, all scenarios (Figure 32).

    Parameters
    ----------
    law : DistillationLaw
        The law to plan with.
    **options
        ``compare``, ``N_S``, ``C`` and ``points`` as in `fig17_compute_optimal_loss`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, 4].

    Notes
    -----
    What to see: with both costs on the bill the teacher grows at first like one whose training alone is
    paid, and ends like one whose logits alone are paid, a few times the student. The best case gives the
    cheapest teacher of the wanted loss, which nobody pays for: for a student of 50B it reaches 141T.
    """
    return panels_by_scenario("N_T", law, **options)
