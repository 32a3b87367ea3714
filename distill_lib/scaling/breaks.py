"""Where a teacher stops helping: the break of the distillation law, seen in runs instead of in a formula.

The law says that the gap between a student and its teacher closes when the teacher is about as bad as what the
student reaches alone (Eq 8). Two views of that. `remaining_gap` divides a run's gap by what the law would give
it without a break; if the form is right, all runs lie on one curve. `break_even` asks the runs alone: at which
teacher does a distilled student do no better than its supervised twin?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from distill_lib.scaling import _checks
from distill_lib.scaling.laws import DistillationLaw

WINDOW = 0.1
"""Ratios L_T / L from 1 - WINDOW to 1 + WINDOW are taken as near the break."""


def remaining_gap(law: DistillationLaw, students: pd.DataFrame) -> pd.DataFrame:
    """Divide each student's distance from its teacher by what the law would give it without a break (Eq 8).

    Parameters
    ----------
    law : DistillationLaw
        A law, such as one fitted to these students.
    students : pandas.DataFrame
        Columns N_S, D_S, L_T and L_S.

    Returns
    -------
    pandas.DataFrame
        The same rows, with ``ratio``, the teacher's loss over what the law lets the student reach alone;
        ``remaining``, the share of the gap that is left in the run; and ``by_law``, what the law leaves:
        (1 + (ratio / d1)^(1 / f1))^(-c1 f1).
    """
    N_S, D_S, L_T, L_S = (students[name].to_numpy(dtype=float) for name in ("N_S", "D_S", "L_T", "L_S"))
    ratio = L_T / np.asarray(law.supervised.loss(N_S, D_S))
    whole = L_T ** (-law.c0) * (law.A / N_S**law.alpha + law.B / D_S**law.beta) ** law.gamma
    return students.assign(ratio=ratio, remaining=(L_S - L_T) / whole, by_law=break_factor(law, ratio))


def break_factor(law: DistillationLaw, ratio: np.ndarray) -> np.ndarray:
    """Return the share of the gap that a break leaves (the last factor of Eq 8).

    Parameters
    ----------
    law : DistillationLaw
        The law.
    ratio : numpy.ndarray
        The teacher's loss over what the student reaches alone.

    Returns
    -------
    numpy.ndarray
        Values from 1, for a perfect teacher, down to 0, same shape.
    """
    # In logarithms: the power 1 / f1 overflows where nothing is left anyway.
    return np.exp(-law.c1 * law.f1 * np.logaddexp(0.0, np.log(ratio / law.d1) / law.f1))


@dataclass(frozen=True)
class BreakEven:
    """The teacher at which distilling and supervised training come out even.

    Attributes
    ----------
    ratio : float
        Its loss over that of the supervised twin, from the runs alone.
    low, high : float
        Ends of the interval, by resampling teachers.
    by_law : float
        The same from the law's losses for the same runs.
    pairs, teachers : int
        How many pairs lie near the break, and how many teachers they have.
    level : float
        Confidence level.
    """

    ratio: float
    low: float
    high: float
    by_law: float
    pairs: int
    teachers: int
    level: float


def break_even(
    pairs: pd.DataFrame,
    law: DistillationLaw,
    *,
    window: float = WINDOW,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> BreakEven:
    """Find the teacher at which distilling stops to pay, from pairs of runs near it, and by a law.

    Through the relative gain of the pairs whose ratio L_T / L is near one, a straight line is drawn; where it meets
    zero, the two come out even. The law's losses for the same pairs are treated in the same way.

    Parameters
    ----------
    pairs : pandas.DataFrame
        As ``comparison.paired_students`` returns them: N, D, L_T, teacher_run, supervised and distilled.
    law : DistillationLaw
        The law that is asked beside the runs.
    window : float
        How far from one a ratio may lie.
    draws : int
        How often teachers are resampled.
    level : float
        Confidence level of the interval.
    seed : int
        Seed of the resampling.

    Returns
    -------
    BreakEven
        The ratio with its interval, and the law's.

    Raises
    ------
    ValueError
        If the pairs near one do not lie on both sides of it, or have fewer than three teachers.
    """
    window = _checks.number("window", window, 1e-3, 1.0, "it is a share of the loss, such as 0.1")
    level = _checks.number("level", level, 0.5, 0.999, "give a confidence level, such as 0.95")
    draws = int(_checks.number("draws", draws, 10, 1e6, "it is a number of resamples, such as 2000"))
    ratio = (pairs["L_T"] / pairs["supervised"]).to_numpy(dtype=float)
    near = np.abs(ratio - 1.0) <= window
    chosen, ratio = pairs[near], ratio[near]
    teachers, member = np.unique(chosen["teacher_run"].to_numpy(dtype=str), return_inverse=True)
    if len(teachers) < 3 or not (ratio.min() < 1.0 < ratio.max()):
        raise ValueError(
            f"pairs: {len(chosen)} with {len(teachers)} teachers have L_T / L within {window:g} of one; they have "
            "to lie on both sides of it and come from three teachers at least: run weaker teachers, or widen window"
        )
    gain = (chosen["distilled"] / chosen["supervised"] - 1.0).to_numpy(dtype=float)
    N, D = (chosen[name].to_numpy(dtype=float) for name in ("N", "D"))
    expected = np.asarray(law.loss(N, D, chosen["L_T"].to_numpy(dtype=float))) / np.asarray(
        law.supervised.loss(N, D)
    )
    by_law_ratio = chosen["L_T"].to_numpy(dtype=float) / np.asarray(law.supervised.loss(N, D))
    rng = np.random.default_rng(seed)
    found: list[float] = []
    while len(found) < draws:
        weight = np.bincount(rng.integers(len(teachers), size=len(teachers)), minlength=len(teachers))[member]
        # A draw of one teacher, or of teachers of one loss, draws no line.
        if np.ptp(ratio[weight > 0]) > window / 10:
            found.append(_crossing(ratio, gain, weight))
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(found, [tail, 100.0 - tail])
    ones = np.ones(len(ratio))
    return BreakEven(
        ratio=_crossing(ratio, gain, ones),
        low=float(low),
        high=float(high),
        by_law=_crossing(by_law_ratio, expected - 1.0, ones),
        pairs=len(chosen),
        teachers=len(teachers),
        level=level,
    )


def _crossing(ratio: np.ndarray, gain: np.ndarray, weight: np.ndarray) -> float:
    """Return where the line of least squares through the gains meets zero."""
    slope, height = np.polyfit(ratio - 1.0, gain, 1, w=np.sqrt(weight))
    return float(1.0 - height / slope)
