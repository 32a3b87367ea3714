"""IsoFLOP profiles: the best size of each budget, read off runs that cost the same (approach 2 of Hoffmann et al. 2022).

Runs of one budget make a profile, loss against ln N; its lowest point is the compute-optimal size, and the
lowest points of several budgets follow N ~ C^a and D ~ C^b. Two ways to find the lowest point:

``"parabola"``
    One parabola in ln N through the whole profile, as Hoffmann et al. do. Profiles are not parabolas: their
    two sides fall off by different exponents. The error is small while the profile is centred on its
    minimum, and follows the centre when it is not. Where all budgets share one ladder of sizes the centre
    drifts from budget to budget, and the drift goes straight into the exponent a.
``"recentred"``
    The same parabola with tricube weights around its own minimum, found by iteration: sizes further than
    ``REACH`` (a factor of 16) do not count. Around a minimum that it is centred on, the cubic
    part of a profile cancels.

The choice was measured with :mod:`~distill_lib.scaling.isoflop_bias`, on profiles of the published law and of
Chinchilla's, over widths of 4 to 400 and centres from a third to three times the optimum. With one ladder of sizes
for all budgets the parabola misses a by about 0.01 (published) to 0.016 (Chinchilla), the recentred one by less
than 0.002; with 0.3 % of noise its root mean square error in a is 0.4 to 1.2 times the parabola's. A profile no
wider than a factor of 8 whose centre is off by a factor of 3 misleads both, by up to 6 % in size: less than that
noise does. Two others were set aside: a cubic is worse than the parabola on wide profiles; the law restricted to
a budget, c + p N^alpha + q N^-beta with exponents shared by the budgets, is exact where gamma is 1 and not elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.parabolas import LEAST_SIZES, Minima, Profile

Variant = Literal["parabola", "recentred"]
VARIANTS: tuple[Variant, ...] = ("parabola", "recentred")

REACH = 2.8
"""Half-width in ln N of the recentred weights: sizes beyond a factor exp(2.8), about 16, do not count."""


@dataclass(frozen=True)
class IsoflopFit:
    """Best size and tokens of each budget, and the power laws through them, by both variants.

    Parameters
    ----------
    optima : pandas.DataFrame
        One row per variant and budget, indexed by both: ``N_opt``, ``D_opt`` and ``L_opt`` (parameters, tokens,
        nats per token), each with ``_low`` and ``_high``; ``inside``, whether the minimum lies between sizes of
        the profile; ``resolved``, the share of resamples that had a minimum at all; ``runs`` and ``sizes``.
    exponents : pandas.DataFrame
        Indexed by variant and quantity (``"N"`` or ``"D"``): ``exponent`` (a or b), ``low``, ``high``, and ``scale``:
        the quantity is scale C^exponent.
    runs : pandas.DataFrame
        The runs as given, with ``N``, ``D``, ``C``, ``L`` and ``budget`` (FLOPs; missing where set aside).
    findings : tuple of str
        What is wrong with the data or the fit, in plain words; nothing is left out silently.
    curves : pandas.DataFrame
        Coefficients of each parabola, indexed as `optima`: :meth:`curve` evaluates them.
    draws : dict
        By variant, ln N_opt of each resample, shape [resamples, budgets]; NaN where there was no minimum.
    level : float
        Level of the intervals.
    reach : float
        Half-width in ln N of the recentred variant's weights.
    context, vocabulary : int
        How compute was counted; both 0 for C = 6ND.
    """

    optima: pd.DataFrame
    exponents: pd.DataFrame
    runs: pd.DataFrame
    findings: tuple[str, ...]
    curves: pd.DataFrame = field(repr=False)
    draws: dict[Variant, np.ndarray] = field(repr=False)
    level: float = 0.9
    reach: float = REACH
    context: int = formulas.CONTEXT
    vocabulary: int = formulas.VOCABULARY

    @property
    def budgets(self) -> list[float]:
        """Budgets of the profiles, FLOPs, in order."""
        return [float(budget) for budget in self.optima.loc[VARIANTS[0]].index]

    def optimum(self, variant: Variant, budget: float) -> pd.Series:
        """Return one row of the table of optima.

        Parameters
        ----------
        variant : {"parabola", "recentred"}
            Which fit.
        budget : float
            One of :attr:`budgets`.

        Returns
        -------
        pandas.Series
            ``N_opt``, ``D_opt``, ``L_opt``, their intervals and the rest, see `optima`.

        Raises
        ------
        ValueError
            For another variant or budget.
        """
        return _row(self.optima, variant, self._known(budget))

    def power_law(self, variant: Variant, quantity: Literal["N", "D"]) -> pd.Series:
        """Return one row of the table of exponents.

        Parameters
        ----------
        variant : {"parabola", "recentred"}
            Which fit.
        quantity : {"N", "D"}
            Best size or best tokens.

        Returns
        -------
        pandas.Series
            ``exponent``, its interval ``low`` and ``high``, and ``scale``.

        Raises
        ------
        ValueError
            For another word in either.
        """
        return _row(self.exponents, variant, _checks.choice("quantity", quantity, ("N", "D")))

    def _known(self, budget: float) -> float:
        if budget not in self.budgets:
            raise ValueError(f"budget = {budget!r} has no profile; choose one of: {self.budgets}")
        return budget

    def curve(self, variant: Variant, budget: float, N: ArrayLike) -> _checks.Real:
        """Evaluate the fitted parabola of one profile.

        Parameters
        ----------
        variant : {"parabola", "recentred"}
            Which fit.
        budget : float
            One of :attr:`budgets`.
        N : array_like
            Non-embedding parameters.

        Returns
        -------
        float or numpy.ndarray
            Nats per token, shape of `N`.

        Raises
        ------
        ValueError
            For another variant or budget.
        """
        one = _row(self.curves, variant, self._known(budget))
        x = np.log(_checks.positive("N", N)) - one["centre"]
        value = one["c0"] + one["c1"] * x + one["c2"] * x**2
        return float(value) if np.ndim(value) == 0 else np.asarray(value)

    def best(self, C: ArrayLike, variant: Variant = "recentred") -> tuple[_checks.Real, _checks.Real]:
        """Size and tokens that the fitted power laws put at a budget.

        Parameters
        ----------
        C : array_like
            Budgets, FLOPs; beyond the profiles this extrapolates.
        variant : {"parabola", "recentred"}
            Which fit.

        Returns
        -------
        tuple of float or numpy.ndarray
            N (parameters) and D (tokens).

        Raises
        ------
        ValueError
            For budgets out of range, or another variant.
        """
        C = _checks.positive("C", C)
        found = (self.power_law(variant, "N"), self.power_law(variant, "D"))
        N, D = (np.exp(np.log(law["scale"]) + law["exponent"] * np.log(C)) for law in found)
        return (float(N), float(D)) if np.ndim(C) == 0 else (N, D)

    def __str__(self) -> str:
        lines = []
        for variant in VARIANTS:
            a, b = self.power_law(variant, "N"), self.power_law(variant, "D")
            lines.append(
                f"{variant}: N ~ C^{a['exponent']:.3f} [{a['low']:.3f}, {a['high']:.3f}], "
                f"D ~ C^{b['exponent']:.3f} [{b['low']:.3f}, {b['high']:.3f}] ({self.level:.0%} intervals)"
            )
            for budget, row in self.optima.loc[variant].iterrows():
                lines.append(
                    f"  C {budget:.3g}: N {row['N_opt']:.3g} [{row['N_opt_low']:.3g}, {row['N_opt_high']:.3g}], "
                    f"D {row['D_opt']:.3g}, L {row['L_opt']:.4f}; {row['runs']} runs, {row['sizes']} sizes"
                    + ("" if row["inside"] else "; the minimum lies outside")
                )
        return "\n".join([*lines, *(f"finding: {finding}" for finding in self.findings)])


def fit_isoflops(
    N: ArrayLike,
    L: ArrayLike,
    *,
    C: ArrayLike | None = None,
    D: ArrayLike | None = None,
    budgets: Sequence[float] | None = None,
    tolerance: float = 0.1,
    min_sizes: int = 5,
    delta: float = 3e-3,
    reach: float = REACH,
    bootstraps: int = 1000,
    level: float = 0.9,
    seed: int = 0,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
) -> IsoflopFit:
    """Find the best size of each budget from runs, and the power laws that the best sizes and tokens follow.

    Parameters
    ----------
    N : array_like
        Non-embedding parameters, shape [runs].
    L : array_like
        Measured losses, nats per token, shape [runs].
    C : array_like, optional
        Training compute, FLOPs, shape [runs]; this or `D`.
    D : array_like, optional
        Training tokens, shape [runs]; then C = 3 F(N) D.
    budgets : sequence of float, optional
        The budgets that were aimed at, FLOPs: a run belongs to the nearest one within the tolerance. By default
        budgets are told apart by gaps wider than the tolerance.
    tolerance : float
        Distance in ln C. Where compute is off by more than a per cent within a profile of seven sizes or more,
        the slope of the loss in ln C is fitted along with the parabola.
    min_sizes : int
        Distinct sizes below which a profile is set aside; 5 at least.
    delta : float
        Residuals beyond this share of the loss count linearly (Huber).
    reach : float
        Half-width of the recentred variant's weights, in ln N.
    bootstraps : int
        Resamples of the runs within each profile; 0 for none.
    level : float
        Level of the percentile intervals.
    seed : int
        Decides the resamples.
    context, vocabulary : int
        How compute is counted, see :func:`~distill_lib.scaling.architecture.forward_flops`; both 0 for C = 6ND.

    Returns
    -------
    IsoflopFit
        Optima, exponents, intervals, and findings. A profile whose minimum lies outside its sizes is reported
        and kept out of the power law.

    Raises
    ------
    ValueError
        For values out of range, unequal lengths, neither or both of C and D, budgets that run into each other, or
        no profile with enough sizes.

    Notes
    -----
    Intervals hold what the scatter of the runs does to the optimum, not the bias of a parabola: see
    :func:`~distill_lib.scaling.isoflop_bias.profile_bias`. A resample in which a profile keeps fewer than four
    sizes (five where the slope in ln C is fitted) is drawn again.

    Examples
    --------
    >>> from distill_lib.scaling.laws import published_law
    >>> law = published_law().supervised
    >>> N, C = (grid.ravel() for grid in np.meshgrid(np.geomspace(2e8, 8e9, 12), [1e20, 3e20, 1e21]))
    >>> D = C / (3 * formulas.forward_flops(N))
    >>> fit = fit_isoflops(N, law.loss(N, D), C=C, bootstraps=0)
    >>> fit.optima.loc["recentred", "N_opt"].round(-7).tolist()
    [930000000.0, 1620000000.0, 3030000000.0]
    """
    runs = _runs(N, L, C, D, context, vocabulary)
    tolerance = _checks.number("tolerance", tolerance, 1e-9, 2.0, "it is a distance in ln C, such as 0.1")
    delta = _checks.number("delta", delta, 1e-12, 1e3, "it is a share of the loss, such as 3e-3")
    reach = _checks.number("reach", reach, 0.1, 100.0, "it is a distance in ln N, such as 2.8")
    level = _checks.number("level", level, 0.01, 0.999, "such as 0.9")
    _checks.whole("min_sizes", min_sizes, LEAST_SIZES + 1)
    _checks.whole("bootstraps", bootstraps, 0)
    rng = np.random.default_rng(_checks.whole("seed", seed, 0))
    runs["budget"] = _assign(runs["C"].to_numpy(), budgets, tolerance)
    findings = _set_aside(runs, min_sizes, named=budgets is not None)
    draws: dict[Variant, list[np.ndarray]] = {variant: [] for variant in VARIANTS}
    rows, curves, keys = [], [], []
    profiles: Any = runs.dropna(subset="budget").groupby("budget")
    for budget, profile in profiles:
        sizes, losses = profile["N"].to_numpy(), profile["L"].to_numpy()
        shape = Profile(sizes, profile["C"].to_numpy() / budget)
        if shape.drifts:
            findings.append(
                f"compute drifts with size within the profile of C = {budget:.3g}, as when it is counted in another "
                "way than the budgets were: its minimum is shifted; count as they were (context, vocabulary)"
            )
        weights = np.vstack([np.ones(len(sizes)), shape.resamples(rng, bootstraps)])
        for variant in VARIANTS:
            found = shape.minima(
                losses, weights, delta=delta, reach=reach if variant == "recentred" else None
            )
            keys.append((variant, float(budget)))
            rows.append(_optimum(float(budget), profile, found, level, context, vocabulary))
            names = ("c0", "c1", "c2", "centre")
            curves.append(dict(zip(names, [*found.theta[0, :3], shape.centre], strict=True)))
            draws[variant].append(found.log_N[1:])
    index = pd.MultiIndex.from_tuples(keys, names=["variant", "budget"])
    optima = pd.DataFrame(rows, index=index).loc[list(VARIANTS)]
    stacked = {variant: np.stack(columns, axis=1) for variant, columns in draws.items()}
    exponents, more = _power_laws(optima, stacked, level, context, vocabulary)
    return IsoflopFit(
        optima=optima,
        exponents=exponents,
        runs=runs,
        findings=(*findings, *more),
        curves=pd.DataFrame(curves, index=index).loc[list(VARIANTS)],
        draws=stacked,
        level=level,
        reach=reach,
        context=context,
        vocabulary=vocabulary,
    )


def _row(table: pd.DataFrame, variant: str, key: float | str) -> pd.Series:
    """Return one row of a table of the fit."""
    rows: Any = table.loc
    return rows[(_checks.choice("variant", variant, VARIANTS), key)]


def _runs(
    N: ArrayLike, L: ArrayLike, C: ArrayLike | None, D: ArrayLike | None, context: int, vocabulary: int
) -> pd.DataFrame:
    """Return checked runs with both compute and tokens."""
    if (C is None) == (D is None):
        raise ValueError("give C (training compute, FLOPs) or D (training tokens), one of them")
    given = {"N": N, "L": L, **({"C": C} if D is None else {"D": D})}
    runs = {name: np.atleast_1d(_checks.positive(name, value)) for name, value in given.items()}
    shapes = {name: list(values.shape) for name, values in runs.items()}
    if len({values.shape for values in runs.values()}) > 1 or runs["L"].ndim != 1:
        raise ValueError(f"shapes are {shapes}; give one value of each per run, on one axis")
    per_token = 3.0 * formulas.forward_flops(runs["N"], context, vocabulary)
    if D is None:
        runs["D"] = runs["C"] / per_token
    else:
        runs["C"] = runs["D"] * per_token
    return pd.DataFrame({name: runs[name] for name in ("N", "D", "C", "L")})


def _assign(C: np.ndarray, budgets: Sequence[float] | None, tolerance: float) -> np.ndarray:
    """Return the budget that each run belongs to, NaN for none."""
    log_C = np.log(C)
    if budgets is not None:
        named = np.sort(np.atleast_1d(_checks.positive("budgets", budgets, "C")))
        distance = np.abs(log_C[:, None] - np.log(named)[None, :])
        return np.where(distance.min(axis=1) <= tolerance, named[distance.argmin(axis=1)], np.nan)
    order = np.argsort(log_C, kind="stable")
    group = np.zeros(C.size, dtype=int)
    group[order] = np.concatenate([[0], np.cumsum(np.diff(log_C[order]) > tolerance)])
    found = np.empty(C.size)
    for label in range(group.max() + 1):
        members = log_C[group == label]
        if members.max() - members.min() > 2.0 * tolerance:
            raise ValueError(
                f"C from {C[group == label].min():.4g} to {C[group == label].max():.4g} has no gap wider than "
                f"tolerance = {tolerance:g} in ln C: budgets run into each other; name them, such as budgets=[1e20, 1e21]"
            )
        found[group == label] = _plain_number(float(np.median(C[group == label])))
    return found


def _plain_number(value: float) -> float:
    """Return 1e20 for what is 1e20 but for rounding."""
    short = float(f"{value:.6g}")
    return short if abs(short / value - 1.0) < 1e-9 else value


def _set_aside(runs: pd.DataFrame, min_sizes: int, *, named: bool) -> list[str]:
    """Take out runs without a budget and profiles without enough sizes, and say so."""
    findings = []
    outside = runs["budget"].isna()
    if outside.any():
        findings.append(
            f"{int(outside.sum())} of {len(runs)} runs lie further than the tolerance from every budget and are set "
            f"aside, the first in row {int(np.flatnonzero(outside)[0])}, C = {runs.loc[outside, 'C'].iloc[0]:.3g}"
        )
    sizes = runs.groupby("budget")["N"].nunique()
    for budget, count in sizes[sizes < min_sizes].items():
        findings.append(
            f"the profile of C = {budget:.3g} has {count} sizes, fewer than {min_sizes}: set aside"
        )
    runs.loc[~runs["budget"].isin(sizes[sizes >= min_sizes].index), "budget"] = np.nan
    if runs["budget"].isna().all():
        remedy = "widen the tolerance" if named else "train more sizes at one budget"
        raise ValueError(f"no budget has runs of {min_sizes} sizes ({'; '.join(findings)}); {remedy}")
    return findings


def _optimum(
    budget: float, profile: pd.DataFrame, found: Minima, level: float, context: int, vocabulary: int
) -> dict[str, float]:
    """Return one row of the table of optima."""
    N = np.exp(found.log_N)
    values = {
        "N_opt": N,
        "D_opt": budget / (3.0 * formulas.forward_flops(N, context, vocabulary)),
        "L_opt": found.L,
    }
    row: dict[str, float] = {}
    for name, of_fits in values.items():
        low, high = _interval(of_fits[1:], level)
        row |= {name: float(of_fits[0]), f"{name}_low": low, f"{name}_high": high}
    resolved = np.isfinite(found.log_N[1:])
    return row | {
        "inside": bool(profile["N"].min() < N[0] < profile["N"].max()),
        "resolved": float(resolved.mean()) if resolved.size else np.nan,
        "runs": len(profile),
        "sizes": profile["N"].nunique(),
    }


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Return percentile limits of what is finite; NaN where half of it is not."""
    finite = values[np.isfinite(values)]
    if not values.size or finite.size < 0.5 * values.size:
        return np.nan, np.nan
    low, high = np.quantile(finite, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return float(low), float(high)


def _power_laws(
    optima: pd.DataFrame, draws: dict[Variant, np.ndarray], level: float, context: int, vocabulary: int
) -> tuple[pd.DataFrame, list[str]]:
    """Fit ln N and ln D of the optima against ln C, for the data and every resample."""
    rows, keys, findings = [], [], []
    for variant in VARIANTS:
        of_variant = optima.loc[variant]
        for budget, row in of_variant[~of_variant["inside"]].iterrows():
            place = f"at {row['N_opt']:.3g}" if np.isfinite(row["N_opt"]) else "nowhere"
            findings.append(
                f"{variant}: the minimum at C = {budget:.3g} lies {place}, outside the sizes of the profile: it is "
                "left out of the power law; add sizes beyond that end"
            )
        shaky = of_variant[of_variant["inside"] & (of_variant["resolved"] < 0.95)]
        for budget, row in shaky.iterrows():
            findings.append(
                f"{variant}: {1 - row['resolved']:.0%} of the resamples at C = {budget:.3g} have no minimum, and its "
                "intervals are too narrow; add sizes"
            )
        used = of_variant["inside"].to_numpy(dtype=bool)
        log_C = np.log(of_variant.index.to_numpy(dtype=float)[used])
        if used.sum() < 3:
            findings.append(
                f"{variant}: {used.sum()} usable budgets; a power law needs 2, and 3 to be seen to hold"
            )
        log_N = np.vstack([np.log(of_variant["N_opt"].to_numpy()[used]), draws[variant][:, used]])
        log_D = log_C - np.log(3.0 * formulas.forward_flops(np.exp(log_N), context, vocabulary))
        for quantity, values in (("N", log_N), ("D", log_D)):
            slope, at_mean = _line(log_C, values)
            low, high = _interval(slope[1:], level)
            scale = float(np.exp(at_mean[0] - slope[0] * log_C.mean())) if log_C.size else np.nan
            keys.append((variant, quantity))
            rows.append({"exponent": float(slope[0]), "low": low, "high": high, "scale": scale})
    index = pd.MultiIndex.from_tuples(keys, names=["variant", "quantity"])
    return pd.DataFrame(rows, index=index), findings


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and value at the mean of x of the line through each row of y; NaN below two points."""
    if x.size < 2:
        return np.full(len(y), np.nan), np.full(len(y), np.nan)
    centred = x - x.mean()
    return y @ centred / (centred @ centred), y.mean(axis=1)
