"""Coefficients of the distillation law fitted to points: one, some or all of the nine, and how sure B' is.

These fits serve an audit: they start at a printed law and ask what would have to change in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.laws import DistillationLaw, published_law
from distill_lib.scaling.newton import huber_loss
from distill_lib.scaling.points import POINT_COLUMNS, check_points

COEFFICIENTS = ("A", "B", "alpha", "beta", "gamma", "c0", "c1", "f1", "d1")
"""The nine coefficients of the distillation law."""


def log_errors(points: pd.DataFrame, law: DistillationLaw) -> np.ndarray:
    """Return ln of predicted over observed L_S.

    Parameters
    ----------
    points : pandas.DataFrame
        Distilled students, see :func:`check_points`.
    law : DistillationLaw
        The reading to test.

    Returns
    -------
    numpy.ndarray
        One per row.
    """
    return _log_errors(check_points(points), law.to_dict())


def _log_errors(rows: pd.DataFrame, coefficients: Mapping[str, Any]) -> np.ndarray:
    """Return the errors at checked points; a coefficient may be a column vector of candidates."""
    N_S, D_S, L_T, L_S = (rows[name].to_numpy() for name in POINT_COLUMNS)
    return np.log(formulas.distillation_loss(N_S, D_S, L_T, coefficients, np) / L_S)


@dataclass(frozen=True)
class Refit:
    """A law some of whose coefficients were fitted to points, the others held.

    Parameters
    ----------
    law : DistillationLaw
        The fitted law.
    free : tuple of str
        The coefficients that were fitted.
    objective : float
        Sum of Huber losses of the log errors.
    mean : float
        Mean absolute log error in percent.
    """

    law: DistillationLaw
    free: tuple[str, ...]
    objective: float
    mean: float


def refit(points: pd.DataFrame, law: DistillationLaw, free: Sequence[str], *, delta: float = 1e-3) -> Refit:
    """Fit some coefficients of the distillation law to points; the others keep their values.

    Parameters
    ----------
    points : pandas.DataFrame
        Distilled students.
    law : DistillationLaw
        Start, and values of the coefficients held.
    free : sequence of str
        Names among A, B, alpha, beta, gamma, c0, c1, f1, d1.
    delta : float
        Width of the Huber loss on log errors.

    Returns
    -------
    Refit
        The local optimum reached from the start; with many free coefficients it need not be unique.

    Raises
    ------
    ValueError
        For unknown or repeated names, or more coefficients than points.
    """
    rows = check_points(points)
    free = tuple(_checks.choice(f"free[{i}]", name, COEFFICIENTS) for i, name in enumerate(free))
    if len(set(free)) < len(free) or not free:
        raise ValueError(f"free = {free!r}; name at least one coefficient, and each once")
    if len(rows) < len(free):
        raise ValueError(f"{len(rows)} points cannot fix {len(free)} coefficients; free fewer")

    held = law.to_dict()

    def with_values(logs: np.ndarray) -> dict[str, Any]:
        return {**held, **dict(zip(free, np.exp(logs), strict=True))}

    delta = _checks.number("delta", delta, 1e-12, 1e3, "it is a width on log loss, such as 1e-3")
    logs = np.log([held[name] for name in free])
    for width in (1.0, delta):  # least squares first: from afar the Huber loss is a cone without a curve
        found = least_squares(
            lambda logs: _log_errors(rows, with_values(logs)),
            logs,
            loss="huber",
            f_scale=width,
            x_scale="jac",
            xtol=1e-14,
            ftol=1e-14,
            gtol=1e-14,
            max_nfev=2000,
        )
        logs = found.x
    fitted = DistillationLaw.from_dict({**with_values(found.x), "name": "refit"})
    return Refit(fitted, free, float(found.cost), float(100.0 * np.abs(found.fun).mean()))


def one_coefficient_repairs(
    points: pd.DataFrame, law: DistillationLaw | None = None, *, delta: float = 1e-3
) -> pd.DataFrame:
    """Try to mend a law by changing one coefficient, each in turn.

    Parameters
    ----------
    points : pandas.DataFrame
        Distilled students.
    law : DistillationLaw, optional
        The law to mend; as printed by default.
    delta : float
        Width of the Huber loss on log errors.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient, best repair first: the ``printed`` and the ``best`` value, their ``ratio``, and
        the ``mean`` absolute log error in percent that remains.
    """
    law = published_law("printed") if law is None else law
    checked, coefficients = check_points(points), law.to_dict()
    rows = []
    for name in COEFFICIENTS:
        start = coefficients[name]
        # A slip may be of any size: weights are looked for over many decades, exponents near their values.
        reach = np.log(1e4) if name in ("A", "B", "c1") else np.log(3.0)
        place = np.log(start)
        for _ in range(5):
            grid = place + np.linspace(-reach, reach, 161)
            errors = _log_errors(checked, {**coefficients, name: np.exp(grid)[:, None]})
            place, reach = grid[huber_loss(errors, delta).sum(axis=1).argmin()], reach / 20.0
        best = float(np.exp(place))
        left = 100.0 * np.abs(_log_errors(checked, {**coefficients, name: best})).mean()
        rows.append((name, start, best, best / start, left))
    columns = ["coefficient", "printed", "best", "ratio", "mean"]
    return pd.DataFrame(rows, columns=columns).set_index("coefficient").sort_values("mean")


def interval_of_B(
    points: pd.DataFrame,
    law: DistillationLaw | None = None,
    *,
    by_curve: bool = True,
    level: float = 0.9,
    draws: int = 2000,
    delta: float = 1e-3,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Fit B' alone and give its bootstrap interval.

    Parameters
    ----------
    points : pandas.DataFrame
        Distilled students.
    law : DistillationLaw, optional
        The other coefficients; the published ones by default.
    by_curve : bool
        Whether to draw whole curves, all points with the same (N_S, D_S), rather than single points. Points
        of one curve share a student's set-up and the way it was read off, so this is the safer choice.
    level : float
        Coverage of the interval.
    draws : int
        Bootstrap resamples.
    delta : float
        Width of the Huber loss on log errors.
    seed : int
        Seed of the resampling.

    Returns
    -------
    tuple of float
        B' that fits best, and the ends of its interval.
    """
    law = published_law("reconciled") if law is None else law
    rows = check_points(points)
    level = _checks.number("level", level, 0.01, 0.999, "it is a coverage such as 0.9")
    grid = np.linspace(np.log(1e3), np.log(1e9), 1201)
    # One coefficient: tabulate every point's Huber loss once, and each resample is a weighted sum.
    loss = huber_loss(_log_errors(rows, {**law.to_dict(), "B": np.exp(grid)[:, None]}), delta)
    keys = ["N_S", "D_S"] if by_curve else [rows.index]
    group = rows.groupby(keys).ngroup().to_numpy()
    count = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)[:, group]
    estimates = [_parabola_minimum(grid, loss @ weight) for weight in [np.ones(len(rows)), *weights]]
    tail = 50.0 * (1.0 - level)
    low, high = np.exp(np.percentile(estimates[1:], [tail, 100.0 - tail]))
    return float(np.exp(estimates[0])), float(low), float(high)


def _parabola_minimum(places: np.ndarray, values: np.ndarray) -> float:
    """Return the minimum of an evenly tabulated curve, between its grid points."""
    i = int(np.clip(np.argmin(values), 1, len(values) - 2))
    left, middle, right = values[i - 1 : i + 2]
    bend = left - 2.0 * middle + right
    shift = 0.5 * (left - right) / bend if bend > 0.0 else 0.0
    return float(places[i] + np.clip(shift, -1.0, 1.0) * (places[1] - places[0]))
