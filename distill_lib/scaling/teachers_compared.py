"""Which teacher is best for a student, and by how much the others are worse: paired by seed, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from distill_lib.scaling.comparison import MeanInterval, mean_interval, rise_from_the_best


def over_seeds(table: pd.DataFrame, by: Sequence[str], value: str = "L") -> pd.DataFrame:
    """Average a measure over seeds, and whatever else the columns in `by` do not tell apart.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of a runs table.
    by : sequence of str
        Columns that make a configuration.
    value : str
        Column to average.

    Returns
    -------
    pandas.DataFrame
        One row per configuration: the columns in `by`, ``mean``, ``sd`` (over runs; NaN for one) and ``n``.
    """
    groups = table.groupby(list(by), dropna=False)[value]
    found = groups.agg(mean="mean", sd="std", n="count").reset_index()
    return found.astype({"mean": float, "sd": float})


def teachers_compared(table: pd.DataFrame, *, value: str = "L", level: float = 0.95) -> pd.DataFrame:
    """Compare teacher sizes for each student of a capacity-gap design.

    Students with one seed are a pair, whatever their teacher: same initial weights, same text in the same
    order. The two teachers of a size are averaged within each seed; how far they alone move the difference
    is told beside the interval, which is over students' seeds.

    Parameters
    ----------
    table : pandas.DataFrame
        Distilled rows (others are left out) with ``N``, ``D``, ``N_T``, ``teacher_run``, ``seed`` and the value.
    value : str
        Column to compare.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per student (``N``, ``D``) and teacher size ``N_T``: ``L_T`` and ``mean`` over the runs,
        ``seeds``, ``teachers``, and the paired difference from the best size: ``difference``, ``low``, ``high``,
        ``positive`` (seeds in which it is above zero) and the least and largest difference that any pair of
        single teachers shows, ``least`` and ``most``. ``best`` marks the best size, whose differences are zero.
    """
    taught = table[table["objective"] == "distilled"]
    rows = []
    for (N, D), student in taught.groupby(["N", "D"]):
        by_seed = student.pivot_table(index="seed", columns="N_T", values=value, aggfunc="mean").dropna()
        by_teacher = student.pivot_table(index="seed", columns=["N_T", "teacher_run"], values=value)
        best = by_seed.mean().idxmin()
        for N_T in by_seed.columns:
            difference = by_seed[N_T] - by_seed[best]
            row = {
                "N": N,
                "D": D,
                "N_T": N_T,
                "L_T": student.loc[student["N_T"] == N_T, "L_T"].mean(),
                "mean": by_seed[N_T].mean(),
                "seeds": len(by_seed),
                "teachers": student.loc[student["N_T"] == N_T, "teacher_run"].nunique(),
                "best": N_T == best,
                "difference": difference.mean(),
            }
            row |= {"low": 0.0, "high": 0.0, "least": 0.0, "most": 0.0, "positive": 0}
            if N_T != best:
                if len(difference) > 1:
                    interval = mean_interval(difference, level=level)
                    row |= {"low": interval.low, "high": interval.high}
                else:
                    row |= {"low": np.nan, "high": np.nan}
                single = [
                    (by_teacher[N_T, one] - by_teacher[best, other]).mean()
                    for one in by_teacher[N_T].columns
                    for other in by_teacher[best].columns
                ]
                row |= {"least": min(single), "most": max(single), "positive": int((difference > 0).sum())}
            rows.append(row)
    return pd.DataFrame(rows)


def rises(table: pd.DataFrame, *, value: str = "L") -> dict[tuple[int, int], pd.DataFrame]:
    """Take by how much the largest teachers are worse than the best size, for each student, seed by seed.

    Parameters
    ----------
    table : pandas.DataFrame
        Distilled rows (others are left out) with ``N``, ``D``, ``N_T``, ``seed`` and the value; the teachers of a
        size are averaged within each seed.
    value : str
        Column to compare.

    Returns
    -------
    dict of tuple to pandas.DataFrame
        By student (N, D), what ``comparison.rise_from_the_best`` finds over teacher sizes: the size that each seed is
        judged at is chosen by the other seeds.
    """
    taught = table[table["objective"] == "distilled"]
    found = {}
    groups: Any = taught.groupby(["N", "D"])
    for (N, D), student in groups:
        by_seed = student.pivot_table(index="seed", columns="N_T", values=value, aggfunc="mean").dropna()
        found[int(N), int(D)] = rise_from_the_best(by_seed)
    return found


def beyond_the_loss(table: pd.DataFrame, *, value: str = "L") -> pd.DataFrame:
    """Ask what a teacher's loss leaves unsaid: how far students of many teachers miss one smooth curve of L_T.

    Parameters
    ----------
    table : pandas.DataFrame
        Distilled rows (others are left out) with ``N``, ``N_T``, ``L_T``, ``teacher_run``, ``seed`` and the value; all
        students of one size on equally many tokens.
    value : str
        Column that the curve is drawn through.

    Returns
    -------
    pandas.DataFrame
        One row per student size ``N``: ``teachers``; ``scatter``, the standard deviation of their students' means about
        a cubic of L_T (degrees of freedom counted); ``seeds``, the standard error of such a mean over seeds, which
        explains scatter of that size; ``worst``, the largest distance as a share of the value; ``tilt``, the
        correlation of the distances with ln N_T: above zero, large teachers are worse than their loss says.

    Raises
    ------
    ValueError
        For fewer than six teachers, which any cubic nearly meets.
    """
    rows = []
    for N, student in table[table["objective"] == "distilled"].groupby("N"):
        mean = student.groupby("teacher_run")[[value, "L_T", "N_T"]].mean().astype(float)
        if len(mean) < 6:
            raise ValueError(f"N = {N}: {len(mean)} teachers; at least six are needed to test a curve")
        L_T, found = mean["L_T"] - mean["L_T"].mean(), mean[value]
        rest = found - np.polyval(np.polyfit(L_T, found, 3), L_T)
        error = student.groupby("teacher_run")[value].sem().astype(float)
        rows.append(
            {
                "N": N,
                "teachers": len(mean),
                "scatter": np.sqrt((rest**2).sum() / (len(mean) - 4)),
                "seeds": np.sqrt((error**2).mean()),
                "worst": (rest / found).abs().max(),
                "tilt": np.corrcoef(rest, np.log(mean["N_T"]))[0, 1],
            }
        )
    return pd.DataFrame(rows).set_index("N")


def errors_by_teacher(students: pd.DataFrame, residuals: ArrayLike) -> pd.DataFrame:
    """Average a law's errors over the students of each teacher: what its loss does not say shows up here.

    Parameters
    ----------
    students : pandas.DataFrame
        Distilled rows with ``teacher_run``, ``N_T``, ``D_T`` and ``L_T``.
    residuals : array_like
        ln of predicted over observed loss, one per row, as ``fit.residuals`` of the distillation law.

    Returns
    -------
    pandas.DataFrame
        One row per teacher, indexed by its run: ``N_T``, ``D_T``, ``L_T``, ``M_T`` (its tokens per parameter),
        ``error`` (mean of predicted over observed, less one; below zero where students are worse than the
        teacher's loss says) and ``students``, how many there are.

    Raises
    ------
    ValueError
        For another number of residuals than rows.
    """
    found = np.asarray(residuals, dtype=float)
    if found.shape != (len(students),):
        raise ValueError(
            f"residuals has shape {list(found.shape)} for {len(students)} students; give one for each"
        )
    groups = students.assign(error=np.expm1(found)).groupby("teacher_run")
    table = groups.agg(
        N_T=("N_T", "first"),
        D_T=("D_T", "first"),
        L_T=("L_T", "first"),
        error=("error", "mean"),
        students=("error", "size"),
    ).astype({"N_T": float, "D_T": float, "L_T": float})
    table.insert(3, "M_T", table["D_T"] / table["N_T"])
    return table


def trend_of_errors(table: pd.DataFrame, quantity: str, *, level: float = 0.95) -> MeanInterval:
    """Ask whether errors by teacher lean one way with a quantity of the teacher, such as its tokens per parameter.

    Parameters
    ----------
    table : pandas.DataFrame
        As `errors_by_teacher` returns it; every teacher counts once.
    quantity : str
        A column of it.
    level : float
        Confidence level.

    Returns
    -------
    MeanInterval
        Slope of the error per factor of ten of the quantity, with Student's t interval; teachers are taken as independent.

    Raises
    ------
    ValueError
        For fewer than four teachers, or a quantity that is the same for all.
    """
    x = np.log10(table[quantity].to_numpy(dtype=float))
    if len(x) < 4 or np.ptp(x) == 0.0:
        raise ValueError(
            f"table: {len(x)} teachers with {len(np.unique(x))} values of {quantity}; a trend needs four teachers that differ"
        )
    line: Any = stats.linregress(x, table["error"].to_numpy(dtype=float))
    half = float(stats.t.ppf(0.5 + level / 2.0, len(x) - 2) * line.stderr)
    return MeanInterval(float(line.slope), half, float(line.stderr * np.sqrt(len(x))), len(x), level)
