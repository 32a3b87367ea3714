"""Figures of the audit: what two readings of one printed coefficient say, and who contradicts whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.style import PAGE_WIDTH, log_axis, ordered_colours, styled
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.audit import Audit
from distill_lib.scaling.laws import DistillationLaw

READING_COLOURS = {"printed": "#cc3311", "reconciled": "#0072b2"}
"""One colour for each of the two readings; rivals are grey."""

OTHERS = ("#e69f00", "#7b4fa3", "#009e73", "#888888")


def _colours(names: Sequence[str]) -> dict[str, str]:
    """Give each reading its colour."""
    rest = iter(OTHERS * len(names))
    return {name: READING_COLOURS.get(name) or next(rest) for name in names}


@styled
def tokens_under_readings(
    laws: Mapping[str, DistillationLaw], *, N_S: float = 1e9, L_T: float = 2.1
) -> tuple[Figure, np.ndarray]:
    """Draw what tokens do to a student under each reading, and without a teacher.

    Parameters
    ----------
    laws : mapping of str to DistillationLaw
        The readings by name.
    N_S : float
        Parameters of the student.
    L_T : float
        Loss of its teacher, nats per token.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.7))
    tokens = np.geomspace(1e9, 1e13, 161)
    colours = _colours(list(laws))
    base = next(iter(laws.values())).supervised
    axes[0].plot(tokens, base.loss(N_S, tokens), color="#222222", lw=1.4, label="supervised law")
    terms = (base.A * N_S**-base.alpha, base.B * tokens**-base.beta)
    axes[1].plot(tokens, 100.0 * terms[1] / (terms[0] + terms[1]), color="#222222", lw=1.4)
    for name, law in laws.items():
        axes[0].plot(tokens, law.loss(N_S, tokens, L_T), color=colours[name], label=f"{name} reading")
        size, data = law.A * N_S**-law.alpha, law.B * tokens**-law.beta
        axes[1].plot(tokens, 100.0 * data / (size + data), color=colours[name])
    axes[0].axhline(L_T, color="#555555", ls=":", lw=1.2)
    axes[0].annotate("the teacher", (tokens[0], L_T), va="bottom", fontsize=9, color="#555555")
    for ax in axes:
        log_axis(ax.xaxis, counts=True)
    axes[0].set(xlabel="Tokens $D$", ylabel="Cross-entropy (nats/token)", title="loss of the student")
    axes[1].set(
        xlabel="Tokens $D$", ylabel="share of the token term (%)", ylim=(0, 100), title="what tokens weigh"
    )
    axes[0].legend()
    return fig, axes


@styled
def isoflops_under_readings(
    laws: Mapping[str, DistillationLaw],
    *,
    N_T: float = 7.75e9,
    C: Sequence[float] = (3e19, 1e20, 3e20, 1e21),
) -> tuple[Figure, np.ndarray]:
    """Draw the student's loss against its size at fixed compute, one panel per reading (as Figure 2).

    Parameters
    ----------
    laws : mapping of str to DistillationLaw
        The readings by name.
    N_T : float
        Parameters of the teacher, trained on twenty tokens each.
    C : sequence of float
        Compute of the student's training, FLOPs; one curve each.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per reading.
    """
    fig, axes = plt.subplots(1, len(laws), figsize=(PAGE_WIDTH, 3.8), sharey=True, squeeze=False)
    N_S = np.geomspace(1e8, 7e9, 161)
    colours = ordered_colours(C)
    for ax, (name, law) in zip(axes[0], laws.items(), strict=True):
        L_T = float(law.supervised.loss(N_T, 20.0 * N_T))
        for budget in C:
            L_S = np.asarray(law.loss(N_S, budget / (3.0 * forward_flops(N_S)), L_T))
            digits, power = f"{budget:.0e}".split("e+")
            label = rf"${digits} \times 10^{{{power}}}$" if digits != "1" else rf"$10^{{{power}}}$"
            ax.plot(N_S, L_S, color=colours[budget], label=label)
            lowest = int(np.argmin(L_S))
            if 0 < lowest < len(N_S) - 1:
                ax.plot(N_S[lowest], L_S[lowest], "o", ms=5, color=colours[budget])
        ax.axhline(L_T, color="#555555", ls=":", lw=1.2)
        log_axis(ax.xaxis, counts=True)
        ax.set(xlabel="Student size $N_S$ (parameters)", title=f"{name} reading")
    axes[0, 0].set_ylabel("Student cross-entropy $L_S$ (nats/token)")
    axes[0, 0].legend(title="compute (FLOPs)", fontsize=8.5, loc="upper right")
    return fig, axes[0]


@styled
def windows_of_B(windows: pd.DataFrame, candidates: Mapping[str, float]) -> tuple[Figure, Axes]:
    """Draw for which B' each statement holds.

    Parameters
    ----------
    windows : pandas.DataFrame
        One row per statement with columns ``statement``, ``low`` and ``high`` (B', NaN if it never holds);
        and ``kind``, whose values are drawn in different colours.
    candidates : mapping of str to float
        B' of the readings by name, drawn as vertical lines.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(PAGE_WIDTH, 1.3 + 0.27 * len(windows)))
    kinds = dict(zip(windows["kind"].unique(), ("#8c8c8c", "#e69f00", "#009e73"), strict=False))
    ends = windows[["low", "high"]].to_numpy(dtype=float)
    for row, (kind, (low, high)) in enumerate(zip(windows["kind"], ends, strict=True)):
        if np.isfinite(low):
            ax.plot([low, high], [row, row], lw=7, color=kinds[kind], solid_capstyle="butt")
        else:
            ax.annotate("never", (1e6, row), ha="center", va="center", fontsize=9)
    colours = _colours(list(candidates))
    for name, B in candidates.items():
        ax.axvline(B, color=colours[name], lw=1.6, label=name)
    ax.set_yticks(range(len(windows)), list(windows["statement"]))
    ax.set_ylim(len(windows) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    log_axis(ax.xaxis)
    ax.set(xlabel="$B'$ (tokens counted one by one)", xlim=(1e4, 1e8))
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(candidates))
    return fig, ax


@styled
def errors_at_points(audit: Audit, readings: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Draw readings against independent points.

    Parameters
    ----------
    audit : Audit
        What was computed from the points, see :func:`distill_lib.scaling.audit.current_audit`.
    readings : sequence of str
        The readings to draw, by name.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.9))
    colours, observed = _colours(readings), audit.changes["observed"].to_numpy()
    lowest = 1.1 * float(audit.changes[["observed", *readings]].to_numpy().min())
    axes[0].plot([lowest, 0.0], [lowest, 0.0], ":", color="#555555", lw=1.2)
    for name in readings:
        axes[0].plot(observed, audit.changes[name], "o", ms=5.5, color=colours[name], label=name, alpha=0.85)
        axes[1].plot(audit.quantiles[name], audit.quantiles.index, color=colours[name], label=name)
    log_axis(axes[1].xaxis)
    axes[0].set(
        xlabel="measured change of $L_S$ (nats/token)", ylabel="change by the law (nats/token)",
        title="more tokens, same teachers",
    )  # fmt: skip
    axes[1].set(
        xlabel="Relative error (%)", ylabel="share of the points below", title=f"all {audit.points} points",
        xlim=(0.02, 10.0), ylim=(0, 1),
    )  # fmt: skip
    axes[0].legend(fontsize=8.5, loc="lower right")
    return fig, axes


@styled
def what_a_fit_can_see(uncertainty: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw how well each coefficient can be told, alone and together, beside its printed interval.

    Parameters
    ----------
    uncertainty : pandas.DataFrame
        As :func:`distill_lib.scaling.identifiability.coefficient_uncertainty` returns it: half-widths in percent.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(0.8 * PAGE_WIDTH, 3.9))
    symbols = {
        "A": "$A'$", "B": "$B'$", "alpha": r"$\alpha'$", "beta": r"$\beta'$", "gamma": r"$\gamma'$",
        "c0": "$c_0$", "c1": "$c_1$", "f1": "$f_1$", "d1": "$d_1$",
    }  # fmt: skip
    rows = np.arange(len(uncertainty))
    ax.hlines(rows, uncertainty["alone"], uncertainty["together"], color="#cccccc", lw=2, zorder=1)
    ax.plot(uncertainty["alone"], rows, "o", color="#0072b2", label="fitted alone")
    ax.plot(uncertainty["together"], rows, "s", color="#cc3311", label="all nine fitted")
    shown = uncertainty["printed"].to_numpy() > 0.0
    ax.plot(uncertainty["printed"].to_numpy()[shown], rows[shown], "kD", ms=5, label="printed (Table 6)")
    ax.set_yticks(rows, [symbols.get(str(name), str(name)) for name in uncertainty.index])
    ax.invert_yaxis()
    log_axis(ax.xaxis)
    ax.set(xlabel="half-width of the 90 % interval (% of the value)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3)
    return fig, ax
