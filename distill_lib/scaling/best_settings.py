"""The best value of a setting of distillation, and which others seeds cannot tell from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from distill_lib.scaling.comparison import mean_interval
from distill_lib.scaling.selections import without_teacher


def best_settings(table: pd.DataFrame, setting: str, *, level: float = 0.95) -> pd.DataFrame:
    """Find the best value of a setting for each student and teacher, paired by seed.

    Parameters
    ----------
    table : pandas.DataFrame
        Distilled rows (others are left out) with ``N``, ``D``, ``N_T``, ``seed``, ``L`` and the setting.
    setting : str
        Column of the setting, such as "lam" or "tau".
    level : float
        Confidence level of the paired differences.

    Returns
    -------
    pandas.DataFrame
        One row per student (``N``, ``D``) and teacher (``N_T``, ``L_T``): ``best``, the value with the least
        mean loss ``L``; ``low`` and ``high``, the least and the largest value whose paired difference from it
        has an interval that reaches zero; ``seeds``; ``worst``, the value with the largest mean loss, and
        ``cost``, how much larger it is, nats per token.

    Raises
    ------
    ValueError
        If no seed has run every value.
    """
    rows = []
    taught = table[table["objective"] == "distilled"]
    for (N, D, N_T), group in taught.groupby(["N", "D", "N_T"]):
        by_seed = group.pivot_table(index="seed", columns=setting, values="L").dropna()
        if by_seed.empty:
            raise ValueError(
                f"N = {N}, N_T = {N_T}: no seed has run every value of {setting}; finish the sweep"
            )
        means = by_seed.mean()
        best: Any = means.idxmin()
        alike = [value for value in by_seed.columns if _reaches_zero(by_seed[value] - by_seed[best], level)]
        rows.append(
            {
                "N": N,
                "D": D,
                "N_T": N_T,
                "L_T": group["L_T"].mean(),
                "best": best,
                "L": means[best],
                "low": min(alike),
                "high": max(alike),
                "seeds": len(by_seed),
                "worst": means.idxmax(),
                "cost": means.max() - means[best],
            }
        )
    return pd.DataFrame(rows)


def differences_from(
    table: pd.DataFrame, setting: str, reference: float, *, alone: float | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Compare each value of a setting with one of them, for each student and teacher, paired by seed.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of a runs table with ``N``, ``D``, ``N_T``, ``seed``, ``L`` and the setting.
    setting : str
        Column of the setting, such as "lam" or "distilled_share".
    reference : float
        Value that the others are compared with. Distilled rows with an empty field stand for it.
    alone : float or None
        Value that a supervised run of the same student stands for, under every teacher, such as 0 for lambda;
        by default supervised rows are left out.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per student (``N``, ``D``), teacher size ``N_T`` and other value: ``difference``, the mean loss less that at
        the reference, nats per token, below zero where the value is better; ``low`` and ``high``, the ends of
        Student's t interval over seeds; ``seeds``.

    Raises
    ------
    ValueError
        If fewer than two seeds have both values.
    """
    taught = table[table["objective"] == "distilled"]
    taught = taught.assign(**{setting: taught[setting].astype(float).fillna(reference)})
    rows = []
    groups: Any = taught.groupby(["N", "D", "N_T"])
    for (N, D, N_T), group in groups:
        losses = group.pivot_table(index="seed", columns=setting, values="L")
        if alone is not None:
            losses[alone] = without_teacher(table, N=N, D=D).groupby("seed")["L"].mean()
        for value in sorted(set(losses.columns) - {reference}):
            interval = mean_interval((losses[value] - losses[reference]).dropna(), level=level)
            rows.append(
                {
                    "N": N, "D": D, "N_T": N_T, setting: value, "difference": interval.mean,
                    "low": interval.low, "high": interval.high, "seeds": interval.n,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _reaches_zero(difference: pd.Series, level: float) -> bool:
    """Whether a difference that is zero or more on average may be none at all."""
    if len(difference) < 2 or np.allclose(difference, 0.0):
        return True
    return mean_interval(difference, level=level).low <= 0.0
