"""What runs can tell at all, whatever their losses: too few, all alike, repeated, or in step with each other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from distill_lib.observations.findings import Finding, at_rows

#: Coefficients of the law: E, A, B, alpha, beta; and the nine of the distillation law, its teacher's law given.
COEFFICIENTS = {"supervised": 5, "distillation": 9}

_SAME = 0.01  # values within 1 % are one size, or one number of tokens
_LEAST_LEVELS = 3  # a power law with an offset has three coefficients along each axis
_IN_STEP = 0.9995  # correlation of ln N and ln D from which one of the two says nothing new


def design_findings(frame: pd.DataFrame, kind: str) -> list[Finding]:
    """Judge which coefficients the runs could fix.

    Parameters
    ----------
    frame : pandas.DataFrame
        Valid observations, indexed by their rows in the table.
    kind : {"supervised", "distillation"}
        Which law is to be fitted.

    Returns
    -------
    list of Finding
        Errors where the law cannot be told from the runs, warnings where hardly, notes for the record.
    """
    axes = ("N", "D") if kind == "supervised" else ("N_S", "D_S", "L_T")
    findings = _too_few(frame, kind, axes)
    if len(frame) >= 2:
        findings += _in_step(frame, axes[0], axes[1])
        findings += _repeats(frame, axes, "L" if kind == "supervised" else "L_S")
        findings += _budgets(frame, axes[0], axes[1])
    if kind == "distillation":
        findings += _better_students(frame)
    findings += _rows_of_a_run(frame)
    return findings


def levels(values: np.ndarray, at_most: int = 50) -> int:
    """Count values that differ by more than 1 %.

    Parameters
    ----------
    values : numpy.ndarray
        Positive numbers.
    at_most : int
        Where to stop counting.

    Returns
    -------
    int
        The count, or ``at_most``.
    """
    logs = np.sort(np.log(values))
    count = place = 0
    while place < logs.size and count < at_most:
        place = int(np.searchsorted(logs, logs[place] + _SAME, side="right"))
        count += 1
    return count


def _too_few(frame: pd.DataFrame, kind: str, axes: tuple[str, ...]) -> list[Finding]:
    points, needed = len(frame), COEFFICIENTS[kind]
    findings = []
    if points < needed:
        said = f"{_many(points, 'run')} cannot fix the {needed} coefficients of the {kind} law"
        findings.append(Finding("error", "few_runs", said, f"{needed} runs at least, better {4 * needed}"))
    elif points < 2 * needed:
        said = f"{points} runs for the {needed} coefficients of the {kind} law: intervals will be wide"
        findings.append(Finding("warning", "few_runs", said, f"add runs, {4 * needed} or more"))
    for axis in axes if points else ():
        values = frame[axis].to_numpy()
        count = levels(values)
        if count >= _LEAST_LEVELS:
            continue
        where = (
            f"all runs have one {axis} ({values[0]:.4g})"
            if count == 1
            else f"{axis} takes {count} values only"
        )
        lost = {"N": "A and alpha", "D": "B and beta", "L": "the teacher's part"}[axis[0]]
        said = f"{where}: {lost} cannot be told from the rest"
        findings.append(
            Finding(
                "error", f"few_{axis[0]}", said, f"add runs with other {axis}, {_LEAST_LEVELS} at least", axis
            )
        )
    return findings


def _in_step(frame: pd.DataFrame, N: str, D: str) -> list[Finding]:
    """Find N and D that move together: D proportional to N, or both on one budget."""
    x, y = np.log(frame[N].to_numpy()), np.log(frame[D].to_numpy())
    x, y = x - x.mean(), y - y.mean()
    if min(np.ptp(x), np.ptp(y)) < _SAME or abs(x @ y) < _IN_STEP * math.sqrt((x @ x) * (y @ y)):
        return []
    slope = float((x @ y) / (x @ x))
    if abs(slope + 1.0) < 0.1:
        said = f"all runs share one budget: {D} falls as {N} rises, and E can hardly be told from the rest"
        return [Finding("warning", "one_budget", said, "add runs at other budgets", D)]
    M = float(np.exp(np.median(np.log(frame[D].to_numpy() / frame[N].to_numpy()))))
    if abs(slope - 1.0) < 0.02:
        said = f"{D} is {M:.4g} {N} in all runs: what {N} does and what {D} does cannot be told apart"
    else:
        said = f"{D} follows from {N} (as {N}^{slope:.2f}) in all runs: their effects cannot be told apart"
    return [
        Finding(
            "error", "in_step", said, f"add runs with more or fewer tokens per parameter at the same {N}", D
        )
    ]


def _repeats(frame: pd.DataFrame, axes: tuple[str, ...], L: str) -> list[Finding]:
    """Find rows that stand twice, and settings that were run more than once."""
    findings = []
    twice = frame.duplicated([*axes, L]).to_numpy()
    if twice.any():
        rows = np.flatnonzero(twice)
        said = f"stands with the same {', '.join(axes)} in a row above: it counts twice, and makes intervals too narrow"
        first = at_rows("warning", "duplicate", L, rows, frame[L], said, "remove the copies")
        findings.append(replace(first, row=int(frame.index[rows[0]])))
    groups = frame.loc[~twice].groupby(list(axes), sort=False)[L]
    sizes = groups.size().to_numpy()
    repeated = sizes > 1
    if repeated.any():
        spread = math.sqrt(float(np.average(groups.var().to_numpy()[repeated], weights=sizes[repeated] - 1)))
        reach = float((groups.max() - groups.min()).max())
        said = (
            f"{_many(int(repeated.sum()), 'setting')} ({', '.join(axes)}) with {int(sizes[repeated].sum())} runs differ in {L} alone "
            f"(seeds?): standard deviation {spread:.3g}, largest range {reach:.3g} nats"
        )
        findings.append(Finding("note", "repeated", said, "", L, count=int(sizes[repeated].sum())))
    return findings


def _budgets(frame: pd.DataFrame, N: str, D: str) -> list[Finding]:
    """Say whether runs lie on IsoFLOP profiles, or have mixed budgets."""
    named = "C" in frame and bool(frame["C"].notna().all())
    C = (frame["C"] if named else 6.0 * frame[N] * frame[D]).to_numpy()
    budget, logs = "C" if named else f"6 {N} {D}", np.log(C)
    order = np.argsort(logs, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(logs[order]) > 0.1)])  # gaps of 10 % part budgets
    runs = pd.DataFrame({"group": group, "C": logs[order], "N": frame[N].to_numpy()[order]}).groupby("group")
    width = runs["C"].max() - runs["C"].min()
    profiles = ((runs["N"].nunique() >= 4) & (width < 0.2)).to_numpy()
    on = int(runs.size().to_numpy()[profiles].sum())
    if len(profiles) == 1 and width.iloc[0] < 0.2:
        return []  # a single budget is said by _in_step
    if on >= 0.8 * len(frame):
        said = f"{on} of {len(frame)} runs lie on {_many(int(profiles.sum()), 'IsoFLOP profile')} of four sizes or more ({budget})"
        return [Finding("note", "budgets", said)]
    said = (
        f"mixed budgets: {budget} from {C.min():.2g} to {C.max():.2g} FLOPs, "
        f"{on} of {len(frame)} runs on IsoFLOP profiles of four sizes or more"
    )
    return [Finding("note", "budgets", said, "fit the law; profiles need runs that share a budget")]


def _better_students(frame: pd.DataFrame) -> list[Finding]:
    better = (frame["L_S"] < frame["L_T"]).to_numpy()
    if not better.any():
        return []
    count = int(better.sum())
    said = f"{_many(count, 'student')} better than their teacher ({better.mean():.1%} of the runs): the published form cannot express it"
    row = int(frame.index.to_numpy()[better][0])
    value = float(frame["L_S"].to_numpy()[better][0])
    if better.mean() > 0.5:
        return [
            Finding(
                "warning",
                "student_better",
                said,
                "are L_T and L_S in one unit, on one corpus?",
                "L_S",
                row,
                value,
                count,
            )
        ]
    return [Finding("note", "student_better", said, "", "L_S", row, value, count)]


def _rows_of_a_run(frame: pd.DataFrame) -> list[Finding]:
    if "run" not in frame or frame.empty:
        return []
    runs = frame["run"].nunique()
    if runs == len(frame):
        return []
    said = f"{len(frame)} rows come from {_many(runs, 'run')}: rows of one run err together"
    return [
        Finding(
            "note", "clusters", said, "resample whole runs: the frame's column run gives the clusters", "run"
        )
    ]


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
