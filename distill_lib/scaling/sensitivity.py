"""Which coefficient of a law an answer hangs on: the published laws with one coefficient moved."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from distill_lib import paper
from distill_lib.scaling import formulas, hinges
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
        return hinges.size((self.coefficient, self.low, self.high))


def moved_laws(reading: Reading, widen: float = 1.0) -> list[tuple[str, DistillationLaw, DistillationLaw]]:
    """Move each published coefficient alone to either end of its 90 % interval.

    Under the reconciled reading B' moves with beta', as it does in ``draw_published_laws``.

    Parameters
    ----------
    reading : {"reconciled", "printed"}
        How B' is read.
    widen : float
        Factor on the half-widths, in ln of the coefficients.

    Returns
    -------
    list of (str, DistillationLaw, DistillationLaw)
        The symbol, and the laws with its low and its high end; coefficients without width are left out.
    """
    law = published_law(reading)
    found = []
    for which in ("supervised", "distillation"):
        for symbol, entry in paper.coefficients(which).items():
            name = symbol.rstrip("'")
            if name in ("a", "b") or entry.low == entry.high:
                continue
            ends = [entry.value * (end / entry.value) ** widen for end in (entry.low, entry.high)]
            low, high = (_changed(law, which, name, end, reading) for end in ends)
            found.append((symbol, low, high))
    return found


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
