"""Figures of fits: predictions against runs, what the runs leave open, and forms and intervals put to the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.style import (
    PAGE_WIDTH,
    log_axis,
    ordered_colours,
    panel_letter,
    plain_log_axis,
    styled,
)
from distill_lib.scaling.fits import DistillationFit, Fit
from distill_lib.scaling.uncertainty import Bootstrap
from distill_lib.scaling.wording import count

SYMBOLS = {
    "E": "$E$", "A": "$A$", "B": "$B$", "alpha": r"$\alpha$", "beta": r"$\beta$", "gamma": r"$\gamma$",
    "c0": "$c_0$", "c1": "$c_1$", "f1": "$f_1$", "d1": "$d_1$", "a": "$a$", "b": "$b$", "k": "$k$",
}  # fmt: skip
"""How coefficients are written on axes; those of the distillation law carry no prime here."""

SOURCE_COLOURS = ("#222222", "#0072b2", "#e69f00", "#009e73", "#cc3311", "#7b4fa3")
"""Colours of sources that are compared, in order."""


@styled
def fig05_predicted_against_observed(
    panels: Mapping[str, Mapping[str, pd.DataFrame]], *, accuracy: float = 0.01
) -> tuple[Figure, np.ndarray]:
    """Draw predicted against observed losses, and their relative errors below (Figure 5).

    Parameters
    ----------
    panels : mapping of str to mapping of str to pandas.DataFrame
        By title of the panel and name of the fit, a table with columns ``observed``, ``error`` (relative) and
        ``fitted``, as :func:`distill_lib.scaling.criticism.extrapolate` returns it.
    accuracy : float
        Relative error drawn as a band; the paper states about one percent.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, panels].

    Notes
    -----
    What to see: whether runs that were predicted (filled) lie in the same band as runs that were fitted (open).
    """
    fig, axes = plt.subplots(
        2, len(panels), figsize=(PAGE_WIDTH, 5.6), height_ratios=[1.7, 1], sharex="col", sharey="row",
        squeeze=False,
    )  # fmt: skip
    for column, (title, fits) in enumerate(panels.items()):
        top, bottom = axes[:, column]
        for (name, table), colour in zip(fits.items(), SOURCE_COLOURS[1:], strict=False):
            fitted = table["fitted"].to_numpy(dtype=bool)
            predicted = table["observed"] * (1.0 + table["error"])
            for ax, y in ((top, predicted), (bottom, 100.0 * table["error"])):
                seen, new = table["observed"], ~fitted
                ax.plot(seen[fitted], y[fitted], "o", ms=3.5, mfc="none", color=colour, alpha=0.7)
                ax.plot(seen[new], y[new], "o", ms=4.5, color=colour, alpha=0.9)
            label = name if fitted.all() else f"{name} (filled: predicted)"
            top.plot([], [], "o", mfc="none" if fitted.all() else colour, color=colour, label=label)
        ends = np.array(
            [
                min(t["observed"].min() for t in fits.values()),
                max(t["observed"].max() for t in fits.values()),
            ]
        )
        top.plot(ends, ends, ":", color="#555555", lw=1.2, zorder=0)
        bottom.axhline(0.0, color="#555555", lw=1.0, ls=":")
        bottom.axhspan(-100 * accuracy, 100 * accuracy, color="#dddddd", alpha=0.5, lw=0, zorder=0)
        top.set(title=title, ylabel="Predicted loss (nats/token)" if column == 0 else "")
        bottom.set(xlabel="Observed loss (nats/token)", ylabel="Error (%)" if column == 0 else "")
        top.legend(loc="upper left", fontsize=8)
        panel_letter(top, "abcdef"[column])
    return fig, axes


@styled
def fit_report(fit: Fit) -> tuple[Figure, np.ndarray]:
    """Draw a fit: its runs with the law through them, its residuals, and the weakest direction.

    Parameters
    ----------
    fit : SupervisedFit or DistillationFit
        The fit.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its three axes.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.6), width_ratios=[1.5, 1.2, 1])
    _draw_profiles(axes[0], fit)
    observed = np.exp(fit.problem.log_L)
    axes[1].plot(observed, 100.0 * np.expm1(fit.residuals), "o", ms=3.5, color="#0072b2", alpha=0.7)
    axes[1].axhline(0.0, color="#555555", lw=1.0)
    axes[1].set(xlabel="Observed loss (nats/token)", ylabel="Predicted − observed (%)", title="residuals")
    errors = {n: e for n, e in fit.curvature.standard_errors.items() if e > 0.0}
    rows = np.arange(len(errors))
    sizes = np.array([100.0 * np.expm1(min(e, 20.0)) if np.isfinite(e) else np.nan for e in errors.values()])
    axes[2].plot(sizes, rows, "o", color="#222222")
    for row in rows[np.isnan(sizes)]:
        axes[2].annotate(
            "not fixed",
            (0.5, row),
            xycoords=("axes fraction", "data"),
            ha="center",
            va="center",
            fontsize=8.5,
        )
    axes[2].set_yticks(rows, [SYMBOLS[name] for name in errors])
    axes[2].set_ylim(len(errors) - 0.5, -0.5)
    plain_log_axis(axes[2].xaxis, np.nanmin(sizes), np.nanmax(sizes))
    axes[2].set(xlabel="standard error (%)", title="what is known")
    return fig, axes


def _draw_profiles(ax: Axes, fit: Fit) -> None:
    """Draw losses along the axis that the law is about, one colour a size, with the law as lines."""
    form = fit.problem.form
    L = np.exp(fit.problem.log_L)
    N = np.exp(form.x + form.centre[0])
    if isinstance(fit, DistillationFit):
        D, along = np.exp(form.y + form.centre[1]), fit.problem.form.L_T  # type: ignore[union-attr]
        label = "Teacher loss $L_T$ (nats/token)"
    else:
        D, along = None, np.exp(form.y + form.centre[1])
        label = "Tokens $D$"
    sizes = [float(size) for size in np.unique(np.round(N, 3))]
    # A size seen at one place only has no line to show.
    lines = [size for size in sizes if np.ptp(along[np.round(N, 3) == size]) > 0.0] or sizes
    picked = np.linspace(0, len(lines) - 1, 6).round().astype(int)
    shown = sizes if len(sizes) <= 6 else sorted({lines[i] for i in picked})
    colours = ordered_colours(shown) if len(shown) > 1 else {shown[0]: "#0072b2"}
    rest = ~np.isin(np.round(N, 3), shown)
    ax.plot(along[rest], L[rest], "o", ms=2.5, color="#cccccc", zorder=0)
    for size in shown:
        here = np.round(N, 3) == size
        ax.plot(along[here], L[here], "o", ms=4, color=colours[size], label=count(size))
        tokens = [None] if D is None else sorted(set(np.round(D[here], 0)))[:4]
        for D_S in tokens:
            at = along[here] if D is None else along[here & (np.round(D, 0) == D_S)]
            if np.ptp(at) == 0.0:
                continue
            line = np.geomspace(at.min(), at.max(), 80)
            law = fit.law.loss(size, line) if D is None else fit.law.loss(size, D_S, line)
            ax.plot(line, law, color=colours[size], lw=1.1)
    if D is None:
        log_axis(ax.xaxis, counts=True)
    ax.set(xlabel=label, ylabel="Cross-entropy (nats/token)", title="runs and law")
    ax.legend(title="parameters", fontsize=7.5, title_fontsize=8)


@styled
def coefficients_compared(
    sources: Mapping[str, pd.DataFrame], *, reference: str, primes: bool = False
) -> tuple[Figure, Axes]:
    """Draw coefficients of several sources with their intervals, each relative to a reference.

    Parameters
    ----------
    sources : mapping of str to pandas.DataFrame
        By name, a table indexed by coefficient with columns ``value``, ``low``, ``high``.
    reference : str
        The source whose values are 1.
    primes : bool
        Write the coefficients of the student's term with their primes.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes; intervals that leave the axis end in arrows, and values beyond it are arrows.
    """
    base = sources[reference]["value"]
    names = list(base.index)
    fig, ax = plt.subplots(figsize=(0.9 * PAGE_WIDTH, 1.2 + 0.46 * len(names)))
    reach = (0.2, 5.0)
    offsets = np.linspace(-0.24, 0.24, len(sources)) if len(sources) > 1 else [0.0]
    for (source, table), colour, shift in zip(sources.items(), SOURCE_COLOURS, offsets, strict=False):
        mark = "D" if source == reference else "o"
        for row, name in enumerate(names):
            if name not in table.index:
                continue
            value, low, high = (
                float(table.loc[name, c]) / float(base[name]) for c in ("value", "low", "high")
            )
            y = row + shift
            ax.plot(np.clip([low, high], *reach), [y, y], color=colour, lw=1.6)
            for end in {low, high}:
                if not reach[0] <= end <= reach[1]:
                    marker = "<" if end < reach[0] else ">"
                    ax.plot(np.clip(end, *reach), y, marker, ms=5, color=colour, clip_on=False)
            if reach[0] <= value <= reach[1]:
                ax.plot(value, y, mark, ms=4.5, color=colour)
        ax.plot([], [], mark, ms=4.5, color=colour, label=source)
    student = set(names) - {"E", "c0", "c1", "f1", "d1", "k"}
    labels = [SYMBOLS[n].rstrip("$") + ("'$" if primes and n in student else "$") for n in names]
    ax.set_yticks(range(len(names)), labels)
    ax.set_ylim(len(names) - 0.5, -0.5)
    log_axis(ax.xaxis)
    ax.set_xticks([0.2, 0.5, 1.0, 2.0, 5.0], ["1/5", "1/2", "1", "2", "5"])
    ax.axvline(1.0, color="#bbbbbb", lw=1.0, zorder=0)
    ax.set(xlim=reach, xlabel=f"value and interval, relative to {reference}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2 if len(sources) == 4 else 3)
    return fig, ax


@styled
def ridge_of_draws(bootstrap: Bootstrap, pairs: Sequence[tuple[str, str]]) -> tuple[Figure, np.ndarray]:
    """Draw the laws of a bootstrap as points in planes of two coefficients, and how well each is known.

    Parameters
    ----------
    bootstrap : Bootstrap
        The draws.
    pairs : sequence of (str, str)
        The planes: names of coefficients, for the horizontal and the vertical axis.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes: the planes, then the widths of the intervals.
    """
    fig, axes = plt.subplots(1, len(pairs) + 1, figsize=(PAGE_WIDTH, 3.6))
    table = bootstrap.coefficients
    for ax, (left, right) in zip(axes, pairs, strict=False):
        ax.plot(table[left], table[right], "o", ms=2.5, color="#0072b2", alpha=0.35, rasterized=True)
        ax.plot(getattr(bootstrap.law, left), getattr(bootstrap.law, right), "D", ms=6, color="#222222")
        for axis, name in ((ax.xaxis, left), (ax.yaxis, right)):
            if table[name].max() > 20.0 * table[name].min():
                log_axis(axis)
        ax.set(xlabel=SYMBOLS[left], ylabel=SYMBOLS[right], title="resamples")
    intervals = bootstrap.intervals()
    width = 50.0 * (intervals["high"] - intervals["low"]) / intervals["value"]
    names = [str(name) for name in width.index if width[name] > 0.0]
    ax = axes[-1]
    ax.plot(width[names], range(len(names)), "o", color="#222222")
    ax.set_yticks(range(len(names)), [SYMBOLS[name] for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    plain_log_axis(ax.xaxis, float(width[names].min()), float(width[names].max()))
    ax.set(xlabel="half-width of the interval (%)", title="what is known")
    return fig, axes


@styled
def spectra_of_curvature(spectra: Mapping[str, np.ndarray]) -> tuple[Figure, Axes]:
    """Draw the eigenvalues of the curvature of several fits, largest first.

    Parameters
    ----------
    spectra : mapping of str to numpy.ndarray
        Eigenvalues by name of the fit.

    Returns
    -------
    tuple of Figure and Axes
        The figure and its axes.
    """
    fig, ax = plt.subplots(figsize=(0.72 * PAGE_WIDTH, 3.6))
    for (name, values), colour in zip(spectra.items(), SOURCE_COLOURS, strict=False):
        ax.plot(np.arange(1, len(values) + 1), values / values[0], "o-", color=colour, label=name)
    ax.set_yscale("log")
    ax.set(xlabel="direction, from stiff to sloppy", ylabel="curvature, relative to the stiffest")
    ax.set_xticks(range(1, 1 + max(len(values) for values in spectra.values())))
    ax.legend()
    return fig, ax
