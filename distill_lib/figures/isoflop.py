"""Figures of IsoFLOP profiles: where the best size of each budget lies, and how far two ways to find it err."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distill_lib.figures.panels import power, power_axis
from distill_lib.figures.style import PAGE_WIDTH, log_axis, ordered_colours, panel_letter, styled
from distill_lib.scaling.isoflop import VARIANTS, IsoflopFit
from distill_lib.scaling.laws import SupervisedLaw

VARIANT_COLOURS = {"parabola": "#e69f00", "recentred": "#0072b2"}
"""One colour for each way to find the minimum of a profile."""

VARIANT_STYLES = {"parabola": ":", "recentred": "-"}
"""One kind of line for each of them."""

_TRUTH: dict[str, Any] = {"color": "#222222", "ls": "--", "lw": 1.2}


@styled
def isoflop_profiles(
    fit: IsoflopFit, *, law: SupervisedLaw | None = None, law_label: str = "the law's optimum"
) -> tuple[Figure, dict[str, Axes]]:
    """Draw the profiles with both fits and their minima, and the power laws of the best size and tokens.

    Parameters
    ----------
    fit : IsoflopFit
        What :func:`distill_lib.scaling.isoflop.fit_isoflops` returned.
    law : SupervisedLaw, optional
        A law to compare with, such as the one that runs were simulated from: its optimum is a dashed line.
    law_label : str
        What to call that line.

    Returns
    -------
    tuple of Figure and dict of str to Axes
        The figure and its panels: ``profiles``, ``N`` and ``D``.

    Notes
    -----
    Runs are dots, the recentred fit is a solid line, drawn as far as its weights reach, the parabola a dotted
    one; bars are the intervals of the fit. A minimum outside its profile is an open mark.
    """
    fig, axes = plt.subplot_mosaic([["profiles", "profiles"], ["N", "D"]], figsize=(PAGE_WIDTH, 7.6))
    colours = ordered_colours(fit.budgets)
    ax = axes["profiles"]
    for budget, colour in colours.items():
        runs = fit.runs[fit.runs["budget"] == budget]
        ax.plot(runs["N"], runs["L"], "o", ms=4, alpha=0.55, mec="none", color=colour)
        size = np.geomspace(runs["N"].min(), runs["N"].max(), 121)
        for variant in VARIANTS:
            best = fit.optimum(variant, budget)
            near = np.full(size.shape, np.isfinite(best["N_opt"]))
            if variant == "recentred":
                near &= np.abs(np.log(size / best["N_opt"])) <= fit.reach
            ax.plot(
                size[near], np.asarray(fit.curve(variant, budget, size))[near],
                VARIANT_STYLES[variant], lw=1.4, color=colour,
            )  # fmt: skip
            face = VARIANT_COLOURS[variant] if best["inside"] else "white"
            ax.plot(best["N_opt"], best["L_opt"], "D" if variant == "parabola" else "o", ms=6,
                    mfc=face, mec=VARIANT_COLOURS[variant], zorder=3)  # fmt: skip
    C = np.geomspace(min(fit.budgets) / 1.3, max(fit.budgets) * 1.3, 121)
    if law is not None:
        N_law, D_law = law.compute_optimal(C, fit.context, fit.vocabulary)
        ax.plot(N_law, law.loss(N_law, D_law), **_TRUTH)
    power_axis(ax.xaxis, counts=True)
    ax.set(xlabel="Size $N$ (parameters)", ylabel="Cross-entropy $L$ (nats/token)")
    budgets = [Line2D([], [], color=colour, marker="o", label=power(b)) for b, colour in colours.items()]
    ax.legend(
        handles=budgets, title="$C$ (FLOPs)", loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0
    )
    panels: tuple[tuple[Literal["N", "D"], str], ...] = (("N", "parameters"), ("D", "tokens"))
    for quantity, unit in panels:
        ax = axes[quantity]
        for variant in VARIANTS:
            table, colour = fit.optima.xs(variant), VARIANT_COLOURS[variant]
            value, low, high = (np.asarray(table[f"{quantity}_opt{end}"]) for end in ("", "_low", "_high"))
            inside = table["inside"].to_numpy(dtype=bool)
            # The two are set a little apart, so that bars do not cover each other.
            at = table.index.to_numpy(dtype=float) * (0.97 if variant == "parabola" else 1.03)
            reach = np.clip(np.stack([value - low, high - value]), 0.0, None)
            ax.errorbar(at, value, yerr=reach, fmt="none", ecolor=colour, lw=1.2, alpha=0.7)
            mark = "D" if variant == "parabola" else "o"
            for keep, face in ((inside, colour), (~inside, "white")):
                ax.plot(at[keep], value[keep], mark, ms=5, mfc=face, mec=colour)
            row = fit.power_law(variant, quantity)
            line = row["scale"] * C ** row["exponent"]
            ax.plot(C, line, VARIANT_STYLES[variant], lw=1.4, color=colour,
                    label=f"{variant}: ${quantity} \\propto C^{{{row['exponent']:.3f}}}$")  # fmt: skip
        if law is not None:
            ax.plot(C, N_law if quantity == "N" else D_law, **_TRUTH, label=law_label)
        log_axis(ax.xaxis)
        power_axis(ax.yaxis, counts=True)
        name = "size" if quantity == "N" else "tokens"
        ax.set(xlabel="Training compute $C$ (FLOPs)", ylabel=f"Best {name} ${quantity}^*$ ({unit})")
        ax.legend(loc="upper left")
    for letter, ax in zip("abc", axes.values(), strict=True):
        panel_letter(ax, letter)
    return fig, axes


@styled
def profile_bias(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, np.ndarray]:
    """Draw by how much each variant misses the true optimum, against where the profile is centred.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        By name of the law, what :func:`distill_lib.scaling.isoflop_bias.profile_bias` returned for one budget;
        one panel each.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, one per law.

    Raises
    ------
    ValueError
        For no table, or one with several budgets.

    Notes
    -----
    Noise-free profiles: what is seen is the variants' own error. Colours are widths of the profile, largest
    over smallest size; points are left out where the true optimum lies outside the profile.
    """
    if not tables:
        raise ValueError("tables is empty; give one table of isoflop_bias.profile_bias per law, by its name")
    fig, axes = plt.subplots(1, len(tables), figsize=(PAGE_WIDTH, 4.2), sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        budgets = table["C"].unique()
        if len(budgets) != 1:
            raise ValueError(f"tables[{name!r}] has {len(budgets)} budgets; give one, such as C=1e21")
        colours = ordered_colours(table["width"])
        curves: Any = table[table["inside"]].groupby(["width", "variant"])
        for (width, variant), rows in curves:
            ax.plot(
                rows["offset"], 100.0 * rows["bias"], VARIANT_STYLES[variant], color=colours[width],
                label=f"{width:g}" if variant == "recentred" else None,
            )  # fmt: skip
        ax.axhline(0.0, color="#222222", lw=1)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
        ax.set(xlabel="centre of the profile over the best size", title=name)
    axes[0, 0].set_ylabel("error of the best size $N^*$ (% of its parameters)")
    widths = axes[0, 0].legend(title="width of the profile", loc="upper right")
    axes[0, 0].add_artist(widths)
    kinds = [Line2D([], [], color="#555555", ls=VARIANT_STYLES[v], label=v) for v in reversed(VARIANTS)]
    axes[0, -1].legend(handles=kinds, loc="upper left")
    return fig, axes[0]
