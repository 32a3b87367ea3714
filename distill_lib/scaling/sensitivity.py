"""Which coefficient of a law an answer hangs on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill_lib import paper
from distill_lib.scaling import formulas
from distill_lib.scaling.laws import DistillationLaw, Reading, published_law


@dataclass(frozen=True)
class Sensitivity:
    """How far one coefficient moves an answer, here the advantage of distilling.

    Parameters
    ----------
    coefficient : str
        Its symbol, with a prime for those of the distillation law that the supervised law has too.
    low, high : float
        Change of the answer, nats per token, with the coefficient at the low and the high end of its interval.
    """

    coefficient: str
    low: float
    high: float

    @property
    def size(self) -> float:
        """The larger of the two changes, nats per token."""
        return max(abs(self.low), abs(self.high))


def one_by_one(
    answer: Callable[[DistillationLaw], float], reading: Reading, widen: float = 1.0
) -> tuple[Sensitivity, ...]:
    """Move each published coefficient alone to either end of its 90 % interval.

    Under the reconciled reading B' moves with beta', as it does in ``draw_published_laws``.

    Parameters
    ----------
    answer : callable
        Takes a law, returns a number.
    reading : {"reconciled", "printed"}
        How B' is read.
    widen : float
        Factor on the half-widths, in ln of the coefficients.

    Returns
    -------
    tuple of Sensitivity
        The largest first; coefficients without width are left out.
    """
    law = published_law(reading)
    middle = answer(law)
    found = []
    for which in ("supervised", "distillation"):
        for symbol, entry in paper.coefficients(which).items():
            if symbol.rstrip("'") in ("a", "b") or entry.low == entry.high:
                continue
            ends = [entry.value * (end / entry.value) ** widen for end in (entry.low, entry.high)]
            changes = [
                answer(_changed(law, which, symbol.rstrip("'"), end, reading)) - middle for end in ends
            ]
            found.append(Sensitivity(symbol, *changes))
    return tuple(sorted(found, key=lambda each: -each.size))


def along_draws(values: np.ndarray, laws: Sequence[DistillationLaw], level: float) -> tuple[Sensitivity, ...]:
    """Regress an answer on the logarithm of each coefficient over draws, in which all move together.

    Parameters
    ----------
    values : numpy.ndarray
        The answer of each draw, shape [draws].
    laws : sequence of DistillationLaw
        The draws.
    level : float
        Coverage of the intervals whose half-widths the slopes are taken over.

    Returns
    -------
    tuple of Sensitivity
        The largest first; coefficients that are the same in all draws are left out.
    """
    finite = np.isfinite(values)
    if finite.sum() < 2:
        return ()
    columns = {
        f.name: np.array([getattr(law.supervised, f.name) for law in laws])
        for f in dataclasses.fields(laws[0].supervised)
        if f.name != "name"
    }
    for f in dataclasses.fields(laws[0]):
        if f.name not in ("name", "supervised"):
            symbol = f"{f.name}'" if f.name in columns else f.name
            columns[symbol] = np.array([getattr(law, f.name) for law in laws])
    found = []
    for symbol, column in columns.items():
        x = np.log(np.maximum(column[finite], 1e-300))
        if np.ptp(x) <= 1e-12:
            continue
        slope = float(np.cov(x, values[finite])[0, 1] / np.var(x, ddof=1))
        middle, low, high = np.quantile(x, [0.5, 0.5 - 0.5 * level, 0.5 + 0.5 * level])
        found.append(Sensitivity(symbol, slope * float(low - middle), slope * float(high - middle)))
    return tuple(sorted(found, key=lambda each: -each.size))


def _changed(law: DistillationLaw, which: str, name: str, value: float, reading: Reading) -> DistillationLaw:
    """Return the published law with one coefficient as if Table 6 had printed another value."""
    changes: dict[str, Any] = {name: value}
    if which == "supervised":
        return dataclasses.replace(law, supervised=dataclasses.replace(law.supervised, **changes))
    if reading == "reconciled" and name in ("B", "beta"):
        printed = paper.coefficients("distillation")["B'"].value
        B, beta = (value, law.beta) if name == "B" else (printed, value)
        changes["B"] = formulas.reconciled_B(B, beta)
    return dataclasses.replace(law, **changes)
