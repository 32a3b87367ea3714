"""The laws fitted to our own runs: their break, what their teachers' losses leave unsaid, their irreducible loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from distill_lib.figures.fitting import SOURCE_COLOURS
from distill_lib.figures.style import PAGE_WIDTH, log_axis, ordered_colours, panel_letter, styled
from distill_lib.scaling.breaks import BreakEven, break_factor
from distill_lib.scaling.comparison import MeanInterval
from distill_lib.scaling.irreducible import DEVIANCE_95
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.wording import count


@styled
def break_of_runs(
    gaps: pd.DataFrame, pairs: pd.DataFrame, law: DistillationLaw, even: BreakEven
) -> tuple[Figure, np.ndarray]:
    """Draw where teachers stop helping: the gap that is left, and the gain over supervised twins.

    Parameters
    ----------
    gaps : pandas.DataFrame
        Students, as ``breaks.remaining_gap`` returns them.
    pairs : pandas.DataFrame
        Students and their supervised twins, as ``comparison.paired_students`` returns them.
    law : DistillationLaw
        The law whose break is drawn as a line (Eq 8).
    even : BreakEven
        Where distilling and supervised training come out even, as ``breaks.break_even`` finds it.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes.

    Notes
    -----
    Colours are student sizes. What to see: left, whether one curve holds all sizes; right, whether gains turn to
    losses where teachers are as bad as what the student reaches alone.
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 4.3))
    colours = ordered_colours(gaps["N_S"].astype(float))
    by_size: Any = gaps.groupby("N_S")
    for N, rows in by_size:
        axes[0].plot(rows["ratio"], rows["remaining"], "o", ms=3.5, alpha=0.6, color=colours[float(N)])
    ratio = np.linspace(min(0.65, gaps["ratio"].min()), gaps["ratio"].max() * 1.02, 200)
    axes[0].plot(ratio, break_factor(law, ratio), color="#222222", lw=1.8)
    axes[0].axhline(0.0, color="#888888", lw=0.8)
    axes[0].set(
        xlabel="teacher's loss / student alone by the law, $L_T / \\tilde{L}_S$",
        ylabel="share of the gap to the teacher that is left",
    )
    by_size = pairs.groupby("N")
    for N, rows in by_size:
        axes[1].plot(
            rows["L_T"] / rows["supervised"],
            100.0 * (rows["distilled"] / rows["supervised"] - 1.0),
            "o", ms=3.5, alpha=0.6, color=colours.get(float(N), "#222222"), label=count(float(N)),
        )  # fmt: skip
    axes[1].axhline(0.0, color="#888888", lw=0.8)
    axes[1].axvspan(even.low, even.high, color="#e69f00", alpha=0.25, lw=0)
    axes[1].axvline(even.ratio, color="#b36b00", lw=1.2)
    axes[1].axvline(even.by_law, color="#222222", lw=1.2, ls=(0, (4, 2)))
    axes[1].set(
        xlabel="teacher's loss / supervised twin's, $L_T / L$",
        ylabel="distilled − supervised (% of the loss)",
    )
    axes[1].legend(title="student size $N_S$", fontsize=8)
    for ax, letter in zip(axes, "ab", strict=True):
        panel_letter(ax, letter)
    return fig, axes


@styled
def errors_of_teachers(table: pd.DataFrame, trends: Mapping[str, MeanInterval]) -> tuple[Figure, np.ndarray]:
    """Draw a law's mean error for the students of each teacher, against what the teacher is beside its loss.

    Parameters
    ----------
    table : pandas.DataFrame
        As ``teachers_compared.errors_by_teacher`` returns it.
    trends : mapping of str to MeanInterval
        By column of the table, such as "N_T" or "M_T", its trend as ``trend_of_errors`` returns it: a panel each.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes.
    """
    labels = {
        "N_T": "teacher size $N_T$ (parameters)",
        "M_T": "teacher tokens per parameter $D_T / N_T$",
        "D_T": "teacher tokens $D_T$",
        "L_T": "teacher loss $L_T$ (nats/token)",
    }
    fig, axes = plt.subplots(
        1, len(trends), figsize=(PAGE_WIDTH, 3.9), sharey=True, squeeze=False, layout="constrained"
    )
    error = 100.0 * table["error"]
    for ax, (name, trend) in zip(axes[0], trends.items(), strict=True):
        x = table[name].to_numpy(dtype=float)
        ax.plot(x, error, "o", color="#0072b2", alpha=0.8)
        middle = np.log10(x).mean()
        ends = np.array([x.min(), x.max()])
        ax.plot(
            ends,
            error.mean() + 100.0 * trend.mean * (np.log10(ends) - middle),
            color="#b36b00",
            label=f"{100 * trend.mean:+.2f} [{100 * trend.low:+.2f}, {100 * trend.high:+.2f}] % per factor 10",
        )
        ax.axhline(0.0, color="#888888", lw=0.8)
        log_axis(ax.xaxis, counts=name in ("N_T", "D_T"))
        ax.set_xlabel(labels.get(name, name))
        ax.legend(fontsize=8)
    axes[0, 0].set_ylabel("predicted − observed (% of $L_S$)")
    return fig, axes[0]


@styled
def profiles_of_E(
    panels: Mapping[str, tuple[Mapping[str, pd.DataFrame], float | None]],
) -> tuple[Figure, np.ndarray]:
    """Draw how much worse a fit becomes with each irreducible loss held, beside the truth where it is known.

    Parameters
    ----------
    panels : mapping of str to tuple
        By title: profiles by name of the form, each as ``irreducible.profile_of_E`` returns it, and the true
        irreducible loss, or None where nobody knows it.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per panel.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(PAGE_WIDTH, 3.9), squeeze=False)
    for ax, (title, (profiles, truth)) in zip(axes[0], panels.items(), strict=True):
        for (name, table), colour in zip(profiles.items(), SOURCE_COLOURS[1:], strict=False):
            ax.plot(table["E"], table["deviance"], "o-", ms=3.5, color=colour, label=name)
        if truth is not None:
            ax.axvline(truth, color="#222222", lw=1.4, label=f"known: {truth:.3f}")
        ax.axhspan(0.0, DEVIANCE_95, color="#bbbbbb", alpha=0.35, lw=0)
        ax.set_yscale("symlog", linthresh=10.0)
        ax.set_ylim(0.0)
        ax.set(title=title, xlabel="irreducible loss $E$ that is held (nats/token)")
        ax.legend(fontsize=8)
    axes[0, 0].set_ylabel("loss of twice the log likelihood")
    return fig, axes[0]
