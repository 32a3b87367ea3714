"""Where along compute supervised training overtakes distillation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import plan_map
from distill_lib.scaling.questions import checked_law


@dataclass(frozen=True)
class Crossover:
    """Where along compute distillation and supervised training change places.

    Parameters
    ----------
    N_S : float
        Parameters of the student.
    scenario : str
        Who pays for the teacher.
    C : float or None
        The first budget from which supervised training is better; None if there is none in the range.
    L : float or None
        The loss both reach there, nats per token.
    changes : tuple of (float, str)
        Every change of places, as (C, who leads from there on), by rising C.
    leads_at_first : {"distillation", "supervised"}
        Who leads at the low end of the range.
    C_range : tuple of float
        The budgets searched.
    """

    N_S: float
    scenario: str
    C: float | None
    L: float | None
    changes: tuple[tuple[float, str], ...]
    leads_at_first: str
    C_range: tuple[float, float]

    def __str__(self) -> str:
        span = f"between {self.C_range[0]:.3g} and {self.C_range[1]:.3g} FLOPs"
        if not self.changes:
            return f"{self.leads_at_first.capitalize()} leads everywhere {span}."
        turns = ", then ".join(f"{who} from {C:.3g}" for C, who in self.changes)
        return f"{self.leads_at_first.capitalize()} leads at first, {turns} ({span})."


def crossover(
    N_S: float,
    scenario: str = "teacher_inference",
    law: DistillationLaw | None = None,
    *,
    C_range: tuple[float, float] | None = None,
    points: int = 121,
) -> Crossover:
    """Find the compute at which supervised training overtakes distillation (Figs 8 and 17).

    Parameters
    ----------
    N_S : float
        Non-embedding parameters of the student.
    scenario : {"best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference"}
        Which of the teacher's costs count.
    law : DistillationLaw, optional
        The law to plan with; the published one, reconciled, by default.
    C_range : tuple of float, optional
        Budgets to search, FLOPs; by default from one token per parameter to 1e17 tokens, the bound of the
        plans, for the supervised student.
    points : int
        Budgets scanned before each change of sign is refined.

    Returns
    -------
    Crossover
        Print it for a sentence.

    Raises
    ------
    ValueError
        For arguments out of range, or a range that does not rise.
    """
    law = checked_law(law)
    size = _checks.one("N_S", N_S)
    per_token = 3.0 * formulas.forward_flops(size)
    low, high = C_range if C_range is not None else (per_token * size, per_token * formulas.BOUNDS[1])
    low, high = _checks.one("C", low), _checks.one("C", high)
    if not low < high:
        raise ValueError(f"C_range = ({low:g}, {high:g}) does not rise; give (lowest, highest) FLOPs")
    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        raise ValueError(f"points = {points!r} is out of range; give a whole number, 2 at least")

    def lead(C: np.ndarray) -> np.ndarray:
        return plan_map(size, C, scenario, law).advantage[0]

    grid = np.geomspace(low, high, points)
    sign = np.sign(lead(grid))
    sign[np.isnan(sign)] = -1.0  # too little even for the least teacher: supervised leads
    names = {1.0: "distillation", 0.0: "supervised", -1.0: "supervised"}
    changes = []
    for i in np.flatnonzero(
        np.array([names[s] for s in sign[:-1]]) != np.array([names[s] for s in sign[1:]])
    ):
        left, right = grid[i], grid[i + 1]
        for _ in range(7):  # each pass narrows the bracket ninefold: seven reach 1e-6
            inner = np.geomspace(left, right, 10)
            ahead = lead(inner) > 0.0
            k = int(np.flatnonzero(ahead[1:] != ahead[:-1])[0]) if (ahead[1:] != ahead[:-1]).any() else 8
            left, right = inner[k], inner[k + 1]
        changes.append((float(np.sqrt(left * right)), names[float(sign[i + 1])]))
    first = next((C for C, who in changes if who == "supervised"), None)
    L = None if first is None else float(law.supervised.loss(size, first / per_token))
    return Crossover(size, scenario, first, L, tuple(changes), names[float(sign[0])], (low, high))
