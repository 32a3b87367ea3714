"""How much of a fit's error is chance, and how much the form of the law: seeds against means over seeds.

Runs that differ by their seed alone scatter whatever law is drawn through them. Only what their mean is off by
speaks against the form, and no form can do better than the scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class LackOfFit:
    """The error of a fit and its two parts; all are shares of the loss, such as 0.005.

    Attributes
    ----------
    mean_error : float
        Mean absolute error over runs.
    worst : float
        Largest absolute error of a run.
    rms : float
        Root of the mean square error over runs.
    seeds : float
        Standard deviation over seeds of one configuration, pooled over those that were repeated.
    form : float
        What the form adds: the root of rms^2 - seeds^2, 0 where seeds explain all.
    runs, configurations, repeated : int
        How many runs and configurations there are, and how many of these have at least two runs.
    """

    mean_error: float
    worst: float
    rms: float
    seeds: float
    form: float
    runs: int
    configurations: int
    repeated: int

    @property
    def least(self) -> float:
        """Mean absolute error that a true form would have, were the errors of seeds normal."""
        return float(np.sqrt(2.0 / np.pi) * self.seeds)

    def percent(self) -> pd.Series:
        """Return the errors in percent, for reading.

        Returns
        -------
        pandas.Series
            ``rms`` and its parts ``seeds`` and ``form``, then ``mean_error`` and ``least``.
        """
        names = ("rms", "seeds", "form", "mean_error", "least")
        return pd.Series({name: 100.0 * getattr(self, name) for name in names}, name="percent")


def lack_of_fit(residuals: ArrayLike, configurations: pd.DataFrame) -> LackOfFit:
    """Split the error of a fit into what seeds explain and what is left to the form.

    Parameters
    ----------
    residuals : array_like
        ln of predicted over observed loss, one per run, as ``fit.residuals``.
    configurations : pandas.DataFrame
        The columns that make a configuration, one row per run; rows that agree in all of them are repeats.

    Returns
    -------
    LackOfFit
        The error and its parts.

    Raises
    ------
    ValueError
        For another number of rows than residuals, one that is not finite, or no configuration with two runs.
    """
    found = np.asarray(residuals, dtype=float)
    if found.shape != (len(configurations),):
        raise ValueError(
            f"residuals has shape {list(found.shape)} for {len(configurations)} rows of configurations; give one each"
        )
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ValueError(f"residuals[{bad}] is {found[bad]}: leave diverged runs out before fitting")
    error = pd.Series(np.expm1(found))
    names = list(configurations.columns)
    groups = error.groupby([configurations[name].to_numpy() for name in names], dropna=False)
    count, spread = groups.count(), groups.var(ddof=1)
    repeated = count > 1
    if not repeated.any():
        raise ValueError(
            f"no two runs agree in {', '.join(names)}: without repeats nothing tells chance from form; run more seeds"
        )
    freedom = count[repeated] - 1
    seeds = float((spread[repeated] * freedom).sum() / freedom.sum())
    square = float((error**2).mean())
    return LackOfFit(
        mean_error=float(error.abs().mean()),
        worst=float(error.abs().max()),
        rms=float(np.sqrt(square)),
        seeds=float(np.sqrt(seeds)),
        form=float(np.sqrt(max(0.0, square - seeds))),
        runs=len(found),
        configurations=len(count),
        repeated=int(repeated.sum()),
    )
