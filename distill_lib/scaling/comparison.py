"""Paired comparisons: the same student, from the same seed, on the same tokens, trained two ways.

A difference between two training methods is smaller than the spread between seeds; pairing by seed takes that
spread out of the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

SAME_STUDENT = ["corpus", "N", "D", "seed"]
"""Columns of the runs table that make two students the same but for their training method."""


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its confidence interval.

    Attributes
    ----------
    mean : float
        The mean, in the unit of the values.
    half_width : float
        Half the width of the interval, same unit.
    sd : float
        Standard deviation of the values, same unit.
    n : int
        How many values.
    level : float
        Confidence level.
    """

    mean: float
    half_width: float
    sd: float
    n: int
    level: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> MeanInterval:
    """Return a mean with Student's t interval.

    Parameters
    ----------
    values : array_like
        Independent values, one per seed, shape [n] with n >= 2.
    level : float
        Confidence level between 0 and 1.

    Returns
    -------
    MeanInterval
        Mean, half-width, standard deviation and count.

    Raises
    ------
    ValueError
        If there are fewer than two values, one is not finite, or the level is not between 0 and 1.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size < 2:
        raise ValueError(
            f"values: an interval needs at least two seeds, got shape {array.shape}: run more seeds"
        )
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"values[{bad}] is {array[bad]}: leave diverged runs out before averaging")
    if not 0 < level < 1:
        raise ValueError(f"level={level}: give a confidence level between 0 and 1, such as 0.95")
    sd = float(array.std(ddof=1))
    quantile = float(stats.t.ppf(0.5 + level / 2, array.size - 1))
    return MeanInterval(
        float(array.mean()), float(quantile * sd / np.sqrt(array.size)), sd, array.size, level
    )


def paired_students(runs: pd.DataFrame) -> pd.DataFrame:
    """Set each distilled student beside the supervised student of the same size, tokens and seed.

    Parameters
    ----------
    runs : pandas.DataFrame
        A runs table with supervised and distilled rows.

    Returns
    -------
    pandas.DataFrame
        One row per pair: corpus, N, D, seed, teacher_run, N_T, L_T, lam, tau, supervised, distilled (cross-entropies,
        nats per token) and difference = distilled - supervised; distilling is better where it is negative.

    Raises
    ------
    ValueError
        If the table has no pair, or several supervised runs for one student.
    """
    distilled = runs.loc[runs["objective"] == "distilled"].rename(columns={"L": "distilled"})
    supervised = runs.loc[runs["objective"] == "supervised", [*SAME_STUDENT, "L"]].rename(
        columns={"L": "supervised"}
    )
    columns = [*SAME_STUDENT, "teacher_run", "N_T", "L_T", "lam", "tau", "supervised", "distilled"]
    pairs = distilled.merge(supervised, on=SAME_STUDENT, validate="many_to_one")[columns]
    if pairs.empty:
        raise ValueError(f"runs: no distilled row shares {', '.join(SAME_STUDENT)} with a supervised row")
    return pairs.assign(difference=pairs["distilled"] - pairs["supervised"]).reset_index(drop=True)


def rise_from_the_best(table: pd.DataFrame) -> pd.DataFrame:
    """Compare, seed by seed, the last of several options with the best one.

    The best is the one with the lowest mean over the *other* seeds, so that the luck of a seed has no part in the
    choice: picked on all seeds, the best of several would look better than it is. A single seed has to choose for
    itself, and then its rise cannot be negative.

    Parameters
    ----------
    table : pandas.DataFrame
        A quantity that is better the lower it is: one row per seed, one column per option, in ascending order,
        such as teacher sizes. No cell is empty.

    Returns
    -------
    pandas.DataFrame
        Indexed by seed: ``chosen``, the best option; ``best`` and ``last``, the quantity of it and of the last
        option; ``rise``, last - best.

    Raises
    ------
    ValueError
        For a table without rows, or with an empty cell.
    """
    if table.empty or table.isna().to_numpy().any():
        raise ValueError("table: every seed needs every option; leave out the seeds that lack one")
    rows = {}
    for seed in table.index:
        others = table.drop(index=seed) if len(table) > 1 else table
        chosen = others.mean().idxmin()
        best, last = table.loc[seed, chosen], table.loc[seed, table.columns[-1]]
        rows[seed] = {"chosen": chosen, "best": best, "last": last, "rise": last - best}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")
