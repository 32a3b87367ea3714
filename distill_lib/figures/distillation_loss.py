"""Figures of the distillation loss: gradients, temperature, mixing, directions, truncation, logs and memory."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from distill_lib.figures.style import (
    PAGE_WIDTH,
    ROLE_COLOURS,
    log_axis,
    ordered_colours,
    plain_log_axis,
    styled,
)

DIRECTION_COLOURS = {"forward": "#0072b2", "reverse": "#cc3311", "jensen_shannon": "#009e73"}
"""One colour for each direction of the divergence."""

WITH_AND_WITHOUT = {"with tau^2": "#0072b2", "without": "#cc3311", "next token": ROLE_COLOURS["supervised"]}
"""One colour for each term whose gradient is compared."""

TRUNCATION_COLOURS = {
    "full": "#222222",
    "tail bucket": "#009e73",
    "both renormalised": "#e69f00",
    "teacher renormalised": "#cc3311",
    "unnormalised": "#7b4fa3",
}
"""One colour for each objective on a truncated teacher."""


@styled
def gradient_on_tokens(probabilities: pd.DataFrame, gradients: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw teacher and student token by token, and below what the loss asks of each logit.

    Parameters
    ----------
    probabilities : pandas.DataFrame
        One row per token, columns ``teacher`` and ``student``: probabilities.
    gradients : pandas.DataFrame
        One row per token, one column per way to compute the gradient with respect to the student's logits; the
        first is drawn as bars, the others as markers.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(2, 1, figsize=(0.8 * PAGE_WIDTH, 4.6), sharex=True)
    tokens = np.arange(len(probabilities))
    for shift, (name, colour) in zip(
        (-0.2, 0.2),
        (("teacher", ROLE_COLOURS["teacher"]), ("student", ROLE_COLOURS["distilled"])),
        strict=True,
    ):
        axes[0].bar(tokens + shift, probabilities[name], 0.4, color=colour, label=name)
    axes[0].set(ylabel="probability", title="where they differ")
    axes[0].legend()
    first, *others = gradients.columns
    axes[1].bar(tokens, gradients[first], 0.6, color="#bbbbbb", label=first)
    for name, marker, size in zip(others, "ox+", (9, 6, 9), strict=False):
        axes[1].plot(
            tokens, gradients[name], marker, ms=size, mfc="none", color="#222222", ls="none", label=name
        )
    axes[1].axhline(0.0, color="#222222", lw=1)
    axes[1].set(
        xlabel="token", ylabel="gradient (nats)", title="what the loss asks: below zero, more", xticks=tokens
    )
    axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig, axes


@styled
def temperature_and_balance(norms: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw how strong each term pulls on the student's logits as the temperature rises.

    Parameters
    ----------
    norms : pandas.DataFrame
        Indexed by tau, with columns ``with tau^2``, ``without`` and ``next token``: norms of the gradient.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(0.72 * PAGE_WIDTH, 3.8))
    labels = {
        "with tau^2": r"distillation, with $\tau^2$",
        "without": "distillation, without",
        "next token": "next token",
    }
    for name, colour in WITH_AND_WITHOUT.items():
        ax.plot(
            norms.index,
            norms[name],
            color=colour,
            ls=":" if name == "next token" else "-",
            label=labels[name],
        )
    plain_log_axis(ax.xaxis, norms.index.min(), norms.index.max())
    log_axis(ax.yaxis)
    ax.set(xlabel=r"temperature $\tau$", ylabel="norm of the gradient (nats)")
    ax.legend()
    return fig, ax


@styled
def mixing_and_excess(excess: Mapping[str, pd.DataFrame]) -> tuple[Figure, np.ndarray]:
    """Draw by how much a mixture of labels and teacher misses the truth, against the share of the teacher.

    Parameters
    ----------
    excess : mapping of str to pandas.DataFrame
        Panel by title: indexed by lam, one column per number of labels seen, excess loss in nats per token.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [number of panels].
    """
    fig, axes = plt.subplots(1, len(excess), figsize=(PAGE_WIDTH, 3.7), sharey=True, squeeze=False)
    for ax, (title, table) in zip(axes[0], excess.items(), strict=True):
        for labels, colour in ordered_colours(table.columns.to_numpy(dtype=int)).items():
            curve = table[labels]
            ax.plot(curve.index, curve, color=colour, label=f"{labels:,}")
            ax.plot(curve.idxmin(), curve.min(), "o", color=colour, ms=6)
        log_axis(ax.yaxis)
        ax.set(xlabel=r"share of the teacher $\lambda$", title=title)
    axes[0, 0].set_ylabel("loss above the truth's entropy\n(nats/token)")
    axes[0, -1].legend(title="labels seen", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig, axes[0]


@styled
def students_side_by_side(models: Mapping[str, np.ndarray]) -> tuple[Figure, np.ndarray]:
    """Draw the probabilities of several models, one map each: a row per context, a column per token.

    Parameters
    ----------
    models : mapping of str to numpy.ndarray
        Probabilities [contexts, V] by title, all of one shape.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [number of models].
    """
    fig, axes = plt.subplots(1, len(models), figsize=(PAGE_WIDTH, 3.7), sharey=True, squeeze=False)
    for ax, (title, p) in zip(axes[0], models.items(), strict=True):
        drawn = ax.imshow(p, cmap="BuPu", vmin=0.0, vmax=1.0, aspect="auto")
        ax.grid(visible=False)
        ax.set(xlabel="token", title=title, xticks=range(0, p.shape[1], 2), yticks=range(0, p.shape[0], 2))
    axes[0, 0].set_ylabel("context")
    fig.colorbar(drawn, ax=axes[0], label="probability", pad=0.01, aspect=30)
    return fig, axes[0]


@styled
def scale_of_jensen_shannon(
    values: pd.Series, gradients: pd.Series, ends: Mapping[str, tuple[float, float]]
) -> tuple[Figure, np.ndarray]:
    """Draw how large the generalised Jensen-Shannon divergence and its gradient are, against its weight.

    Parameters
    ----------
    values, gradients : pandas.Series
        Indexed by beta, strictly between 0 and 1: the divergence (nats/token) and the norm of its gradient.
    ends : mapping of str to tuple of float
        ``forward`` and ``reverse``: value and norm of the gradient of the KL divergence that libraries put at the ends.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.6))
    rows = ((values, "value (nats/token)"), (gradients, "norm of the gradient (nats)"))
    for which, (ax, (curve, ylabel)) in enumerate(zip(axes, rows, strict=True)):
        ax.plot(curve.index, curve, color=DIRECTION_COLOURS["jensen_shannon"], label=r"JSD$_\beta$")
        for place, direction in ((0.0, "forward"), (1.0, "reverse")):
            ax.plot(
                place, ends[direction][which], "o", ms=8, color=DIRECTION_COLOURS[direction], clip_on=False,
                label=f"{direction} KL",
            )  # fmt: skip
        log_axis(ax.yaxis)
        ax.set(xlabel=r"weight $\beta$ of the teacher", ylabel=ylabel, xlim=(0, 1))
    axes[0].legend(loc="lower center")
    return fig, axes


@styled
def mass_under_truncation(ends: pd.DataFrame, *, teacher_mass: float) -> tuple[Figure, np.ndarray]:
    """Draw where each objective on a truncated teacher leads a student.

    Parameters
    ----------
    ends : pandas.DataFrame
        Indexed by objective (the keys of ``TRUNCATION_COLOURS``), with columns ``mass`` (the student's probability of the
        kept tokens at the minimum) and ``kl`` (KL(whole teacher || student) there, nats per token); rows of one
        objective from several starts are several dots.
    teacher_mass : float
        The teacher's probability of the kept tokens.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.2), sharey=True)
    names = list(TRUNCATION_COLOURS)
    for name, row in ends.iterrows():
        y, colour = names.index(str(name)), TRUNCATION_COLOURS[str(name)]
        axes[0].plot(row["mass"], y, "o", ms=8, color=colour, clip_on=False)
        axes[1].plot(max(float(row["kl"]), 1e-3), y, "o", ms=8, color=colour, clip_on=False)
    axes[0].axvline(teacher_mass, color=ROLE_COLOURS["teacher"], ls=":")
    axes[0].annotate(
        "teacher", (teacher_mass, -0.6), xytext=(4, 0), textcoords="offset points", color=ROLE_COLOURS["teacher"],
    )  # fmt: skip
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set(xlabel="student's mass on the kept tokens", xlim=(0, 1.02), ylim=(len(names) - 0.5, -0.9))
    log_axis(axes[1].xaxis)
    axes[1].set(xlabel="KL(whole teacher || student) (nats/token)", xlim=(7e-4, 40))
    for ax in axes:
        ax.grid(visible=False, axis="y")
    return fig, axes


@styled
def truncation_by_kept(curves: pd.DataFrame, mass: pd.Series) -> tuple[Figure, np.ndarray]:
    """Draw how far a student ends from its whole teacher, against the tokens kept.

    Parameters
    ----------
    curves : pandas.DataFrame
        Indexed by k, one column per objective (a key of ``TRUNCATION_COLOURS``, and
        what else there is to say after a comma): KL(whole teacher || student) at the
        minimum, nats per token.
    mass : pandas.Series
        Indexed by k: the teacher's probability of the kept tokens.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.5), width_ratios=(1, 1.5))
    axes[0].plot(mass.index, mass, "o-", ms=5, color=ROLE_COLOURS["teacher"])
    axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[0].set(ylabel="teacher's mass on the kept tokens", ylim=(0, 1.03))
    for name in curves.columns:
        axes[1].plot(
            curves.index, curves[name], "o-", ms=5, color=TRUNCATION_COLOURS[name.split(",")[0]], label=name
        )
    log_axis(axes[1].yaxis)
    axes[1].set(ylabel="KL(whole teacher || student)\n(nats/token)")
    axes[1].legend()
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(curves.index, [str(k) for k in curves.index])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set(xlabel="tokens kept $k$")
    return fig, axes


@styled
def reading_a_log(logs: Mapping[str, pd.DataFrame]) -> tuple[Figure, np.ndarray]:
    """Draw what a log of cross-entropies shows, and what is left when the teacher's entropy is taken off.

    Parameters
    ----------
    logs : mapping of str to pandas.DataFrame
        Run by name: indexed by step, with columns ``cross_entropy``, ``teacher_entropy`` and ``kl``, nats per token.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its two axes, shape [2].
    """
    fig, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.6))
    for (name, log), colour in zip(logs.items(), ("#0072b2", "#e69f00", "#009e73"), strict=False):
        axes[0].plot(log.index, log["cross_entropy"], color=colour, label=name)
        axes[0].plot(log.index, log["teacher_entropy"], color=colour, ls=":")
        axes[1].plot(log.index, log["kl"], color=colour, label=name)
    axes[0].set(
        xlabel="step", ylabel="cross-entropy with the teacher\n(nats/token)", ylim=(0, None),
        title="what the log shows (dotted: teacher's entropy)",
    )  # fmt: skip
    log_axis(axes[1].yaxis)
    axes[1].set(xlabel="step", ylabel="KL(teacher || student) (nats/token)", title="what is left to learn")
    axes[0].legend()
    return fig, axes


@styled
def bugs_and_checks(found: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw which check sees which bug.

    Parameters
    ----------
    found : pandas.DataFrame
        Indexed by the loss, one column per check: whether the check passed.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(PAGE_WIDTH, 1.7 + 0.38 * len(found)))
    passed = found.to_numpy(dtype=bool)
    ax.grid(visible=False)
    for row, column in np.argwhere(passed):
        ax.plot(column, row, "o", ms=4, color="#bbbbbb")
    for row, column in np.argwhere(~passed):
        ax.plot(column, row, "X", ms=11, color="#cc3311")
    ax.set_xticks(range(found.shape[1]), list(found.columns), rotation=35, ha="right")
    ax.set_yticks(range(len(found)), list(found.index))
    ax.set(xlim=(-0.5, found.shape[1] - 0.5), ylim=(len(found) - 0.5, -0.5))
    return fig, ax


@styled
def memory_by_tokens(peaks: pd.DataFrame) -> tuple[Figure, Axes]:
    """Draw the most memory that each way to compute a loss holds at once, against the tokens in a batch.

    Parameters
    ----------
    peaks : pandas.DataFrame
        Indexed by tokens, one column per way: bytes.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(0.72 * PAGE_WIDTH, 3.7))
    for name, colour, marker in zip(peaks.columns, ("#cc3311", "#0072b2", "#009e73"), "os^", strict=False):
        ax.plot(peaks.index, peaks[name] / 1e6, color=colour, marker=marker, ms=6, label=name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(peaks.index, [f"{tokens:,}" for tokens in peaks.index])
    ax.xaxis.set_minor_formatter(NullFormatter())
    log_axis(ax.yaxis)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(xlabel="tokens in the batch", ylabel="most memory at once (MB)")
    ax.legend()
    return fig, ax
