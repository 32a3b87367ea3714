"""Claims about calibration (App E.8), judged by our own runs: teachers, and students of two targets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from distill_lib.ledger.registry import Finding, check
from distill_lib.ledger.run_checks import judged_by

CALIBRATED = 0.01
"""Largest expected calibration error that counts as well calibrated: the paper's teachers reach 0.7 %."""

TOKENS_PER_PARAMETER = 20.0
"""Length of the paper's shorter students (App E.8.2)."""


@check("c52")
@judged_by("teacher_isoflops")
def _teachers_are_calibrated(table: pd.DataFrame) -> Finding:
    errors = table.loc[table["split"] == "teacher"].groupby("run")["ece"].mean().astype(float)
    words = f"{len(errors)} teachers: {100 * errors.min():.1f} to {100 * errors.max():.1f} percent"
    if errors.max() <= CALIBRATED:
        return Finding(words, "same")
    return Finding(words, "trend" if errors.median() <= 2 * CALIBRATED else "differs")


@check("c53")
@judged_by("calibration")
def _students_of_the_distribution_are_calibrated(table: pd.DataFrame) -> Finding:
    soft, hard = (_errors(table)[name] for name in ("distribution", "top token"))
    words = f"our smallest student: {soft:.1f} percent, its twin on hard labels {hard:.1f}"
    if soft <= 100 * CALIBRATED:
        return Finding(words, "same")
    return Finding(words, "trend" if soft <= 200 * CALIBRATED and soft < hard / 4 else "differs")


@check("c54")
@judged_by("calibration")
def _students_of_hard_labels_are_not(table: pd.DataFrame) -> Finding:
    by_size = _by_size(table)["top token"]
    words = (
        f"{by_size.iloc[0]:.0f} percent for our smallest student to {by_size.iloc[-1]:.0f} for the largest: overconfident, "
        f"{'and the more the larger' if by_size.is_monotonic_increasing else 'whatever the size'}"
    )
    return Finding(words, "trend" if (by_size > 10 * CALIBRATED * 100).all() else "differs")


@check("c55")
@judged_by("calibration")
def _more_tokens_do_not_mend_hard_labels(table: pd.DataFrame) -> Finding:
    short, long = _errors(table), _errors(table, most=True)
    words = (
        f"our smallest student on four times the tokens: on the distribution {short['distribution']:.1f} to "
        f"{long['distribution']:.1f} percent, on hard labels {short['top token']:.1f} to {long['top token']:.1f}"
    )
    kept = long["distribution"] <= 200 * CALIBRATED and long["top token"] >= short["top token"]
    return Finding(words, "trend" if kept else "differs")


def _errors(table: pd.DataFrame, most: bool = False) -> dict[str, float]:
    """Mean error of the smallest student against the data, in percent, by target."""
    return {str(name): float(value) for name, value in _by_size(table, most).iloc[0].items()}


def _by_size(table: pd.DataFrame, most: bool = False) -> pd.DataFrame:
    """Mean error in percent by student size and target: each size nearest to 20 tokens per parameter, or on most."""
    taught = table[table["objective"] == "distilled"]
    taught = taught.assign(
        target=np.where(taught["truncation"].isna(), "distribution", "top token"),
        far=np.abs(np.log(taught["D"].astype(float) / taught["N"] / TOKENS_PER_PARAMETER)),
    )
    size = taught.groupby("N")
    chosen = (
        taught["D"] == size["D"].transform("max") if most else taught["far"] == size["far"].transform("min")
    )
    mean = taught[chosen].pivot_table(index="N", columns="target", values="ece", aggfunc="mean")
    return 100.0 * mean.astype(float)
