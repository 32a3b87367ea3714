"""How well runs fix the irreducible loss: the objective of the best fit for each value that it might have."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from distill_lib.scaling import _checks
from distill_lib.scaling.fitting import fit_supervised_law

DEVIANCE_95 = float(stats.chi2.ppf(0.95, 1))
"""What twice the log likelihood loses at the ends of a 95 % interval for one coefficient."""


def profile_of_E(
    N: ArrayLike,
    D: ArrayLike,
    L: ArrayLike,
    E: ArrayLike,
    *,
    gamma: float | Literal["free"] = "free",
    delta: float = 1e-3,
) -> pd.DataFrame:
    """Fit the supervised law with each irreducible loss in turn held fixed (Eq 1).

    Parameters
    ----------
    N, D, L : array_like
        Parameters, tokens and losses of supervised runs, nats per token, shape [runs] each.
    E : array_like
        Irreducible losses to hold, nats per token, shape [values]; each below the median of L.
    gamma : float or "free"
        As for ``fit_supervised_law``.
    delta : float
        Width of the Huber loss on log loss.

    Returns
    -------
    pandas.DataFrame
        One row per value: ``E``, ``objective``, ``mean_error`` (share of the loss) and ``deviance``, by how much twice
        the log likelihood falls short of the best value's, errors taken as Laplace and independent: values
        below ``DEVIANCE_95`` lie in a 95 % interval.

    Raises
    ------
    ValueError
        For values out of range.
    """
    values = np.atleast_1d(np.asarray(E, dtype=float))
    if values.ndim != 1 or not len(values):
        raise ValueError(
            f"E has shape {list(values.shape)}; give the values to hold on one axis, such as np.linspace(0, 2, 9)"
        )
    rows = []
    for value in values:
        held = _checks.number(
            "E", float(value), 0.0, float(np.median(np.asarray(L, dtype=float))), "it lies below the losses"
        )
        fit = fit_supervised_law(N, D, L, gamma=gamma, E=held, delta=delta)
        rows.append({"E": held, "objective": fit.objective, "mean_error": fit.mean_error})
    table = pd.DataFrame(rows)
    runs = np.asarray(L, dtype=float).size
    table["deviance"] = 2.0 * runs * np.log(table["objective"] / table["objective"].min())
    return table
