"""Laws that the published one may just as well be, drawn from the intervals of Table 6."""

from __future__ import annotations

import math

import numpy as np

from distill_lib import paper
from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.laws import READINGS, DistillationLaw, Reading, SupervisedLaw

Z_90 = 1.6448536269514722
"""Standard deviations from the middle of a normal distribution to either end of its 90 % interval."""

MEANING = (
    "Table 6 prints no covariances, so each coefficient varies on its own, and such laws differ by more than laws "
    "that all fit the runs; yet its intervals are themselves narrower than such runs allow. Read the spread as what "
    "the printed digits leave open, not as a chance."
)
"""What draws from the published intervals are, in words."""


def draw_published_laws(
    count: int, reading: Reading = "reconciled", *, seed: int = 0, widen: float = 1.0
) -> list[DistillationLaw]:
    """Draw both laws with coefficients from the 90 % intervals of Table 6, each on its own.

    The logarithm of a coefficient follows two halves of normal distributions that meet at the printed value,
    such that 5 % lie below ``low`` and 5 % above ``high``. The paper prints no covariances. Fits trade their
    coefficients off against each other, so laws drawn independently differ in their losses by more than laws
    that all fit the runs would; on the other hand the printed intervals, of A, B and B' above all, are too
    narrow for such runs (chapters on the two laws). Neither fault makes up for the other: the draws show how
    much of an answer hangs on the printed digits, and are no confidence distribution.

    B' and beta' are drawn as printed and then read, so that the reconciled B' moves with beta'. One ``seed``
    gives the same normal numbers for each ``reading`` and ``widen``.

    Parameters
    ----------
    count : int
        How many laws.
    reading : {"reconciled", "printed"}
        How B' is read.
    seed : int
        Seed of the draws.
    widen : float
        Factor on the half-widths of all intervals, in ln of the coefficients.

    Returns
    -------
    list of DistillationLaw
        Each with a supervised law of its own.

    Raises
    ------
    ValueError
        For arguments out of range.

    Examples
    --------
    >>> laws = draw_published_laws(3)
    >>> len(laws), laws[0].supervised.E != laws[1].supervised.E
    (3, True)
    """
    count = _checks.whole("count", count, 1)
    _checks.choice("reading", reading, READINGS)
    widen = _checks.number(
        "widen", widen, 0.0, 100.0, "give a factor such as 2, or 1 for the intervals as printed"
    )
    rng = np.random.default_rng(_checks.whole("seed", seed, 0))
    columns = {law: _columns(law, count, rng, widen) for law in ("supervised", "distillation")}
    student = columns["distillation"]
    if reading == "reconciled":
        student["B"] = formulas.reconciled_B(student["B"], student["beta"])
    bases = [SupervisedLaw(**row, name="draw") for row in _rows(columns["supervised"])]
    return [
        DistillationLaw(**row, supervised=base, name="draw")
        for row, base in zip(_rows(student), bases, strict=True)
    ]


def _columns(law: paper.Law, count: int, rng: np.random.Generator, widen: float) -> dict[str, np.ndarray]:
    """Return the draws of each coefficient of one law; a and b follow from the others and are left out."""
    columns = {}
    for symbol, entry in paper.coefficients(law).items():
        name = symbol.rstrip("'")
        if name in ("a", "b"):
            continue
        below, above = math.log(entry.value / entry.low), math.log(entry.high / entry.value)
        z = rng.standard_normal(count)
        columns[name] = entry.value * np.exp(z * np.where(z < 0.0, below, above) * widen / Z_90)
    return columns


def _rows(columns: dict[str, np.ndarray]) -> list[dict[str, float]]:
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
