"""Laws that the published one may just as well be, drawn from the intervals of Table 6."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from distill_lib import paper
from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.laws import READINGS, DistillationLaw, Reading, SupervisedLaw, published_law

Z_90 = 1.6448536269514722
"""Standard deviations from the middle of a normal distribution to either end of its 90 % interval."""

ROUNDS = 40
"""How often as many laws as wanted are drawn at the most, where not all are kept."""

POINTS = 5
"""Values of each of N_S, D_S and L_T at which laws are compared, spread over the fitted range."""

MEANING = (
    "Table 6 prints no covariances, so each coefficient varies on its own, and such laws differ by more than laws "
    "that all fit the runs; yet its intervals are themselves narrower than such runs allow. Read the spread as what "
    "the printed digits leave open, not as a chance."
)
"""What draws from the published intervals are, in words."""

MEANING_WITHIN = (
    "Table 6 prints no covariances: laws were drawn with each coefficient on its own, and those kept whose losses "
    "stay within {within:.3g} of the published ones where these were fitted. Its intervals are themselves narrower "
    "than such runs allow. Read the spread as what the paper's numbers leave open, not as a chance."
)
"""The same for draws that were kept ``within`` a share of the loss."""


def draw_published_laws(
    count: int,
    reading: Reading = "reconciled",
    *,
    seed: int = 0,
    widen: float = 1.0,
    within: float | None = None,
) -> list[DistillationLaw]:
    """Draw both laws with coefficients from the 90 % intervals of Table 6, each on its own.

    The logarithm of a coefficient follows two halves of normal distributions that meet at the printed value,
    such that 5 % lie below ``low`` and 5 % above ``high``. The paper prints no covariances. Fits trade their
    coefficients off against each other, so laws drawn independently differ in their losses by more than laws
    that all fit the runs would; on the other hand the printed intervals, of A, B and B' above all, are too
    narrow for such runs (chapters on the two laws). Neither fault makes up for the other: the draws show how
    much of an answer hangs on the printed digits, and are no confidence distribution.

    ``within`` uses what else the paper says, that both laws predict its runs to one percent (Sec 4.4): of the
    laws drawn, only those are kept whose losses stay so near the published ones all over the fitted ranges.
    That ties the coefficients together, for want of their covariances; most independent draws fail it.

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
    within : float, optional
        Largest relative difference of either loss from the published one, over the fitted ranges of sizes,
        tokens and teachers.

    Returns
    -------
    list of DistillationLaw
        Each with a supervised law of its own.

    Raises
    ------
    ValueError
        For arguments out of range, and where next to none of the laws drawn stay ``within``.

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
    if within is not None:
        within = _checks.number("within", within, 1e-6, 1.0, "give a share of the loss such as 0.01")
    rng = np.random.default_rng(_checks.whole("seed", seed, 0))
    laws: list[DistillationLaw] = []
    for _ in range(ROUNDS):
        student = _columns("distillation", count, rng, widen)
        if reading == "reconciled":
            student["B"] = formulas.reconciled_B(student["B"], student["beta"])
        base = _columns("supervised", count, rng, widen)
        kept = np.full(count, True) if within is None else _deviation(base, student, reading) <= within
        laws += [
            DistillationLaw(**row, supervised=SupervisedLaw(**under, name="draw"), name="draw")
            for row, under, keep in zip(_rows(student), _rows(base), kept, strict=True)
            if keep
        ]
        if len(laws) >= count:
            return laws[:count]
    raise ValueError(
        f"within = {within!r} leaves {len(laws)} of {ROUNDS * count} laws drawn; give a larger share of the loss, or "
        f"a smaller widen than {widen!r}"
    )


def _deviation(base: dict[str, np.ndarray], student: dict[str, np.ndarray], reading: Reading) -> np.ndarray:
    """Return the largest relative difference of each law's losses from the published ones where it was fitted."""
    law, ranges = published_law(reading), paper.fitted_ranges()
    axes = np.meshgrid(*(np.geomspace(*ranges[name], POINTS) for name in ("N_S", "D_S", "L_T")))
    N, D, L_T = (axis.ravel() for axis in axes)
    under: dict[str, Any] = {name: column[:, None] for name, column in base.items()}
    over: dict[str, Any] = {name: column[:, None] for name, column in student.items()} | {"supervised": under}
    of_runs = formulas.supervised_loss(N, D, under) / law.supervised.loss(N, D)
    of_students = formulas.distillation_loss(N, D, L_T, over, np) / law.loss(N, D, L_T)
    return np.maximum(np.abs(of_runs - 1.0), np.abs(of_students - 1.0)).max(axis=1)


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
