"""What the verdict of a plan hangs on: the coefficients of the law, by how far each moves the advantage.

Plain Python that also runs under MicroPython, as :mod:`distill_lib.scaling.robustness` does, whose answers it takes.
"""

import math

from distill_lib.scaling import formulas, verdicts
from distill_lib.scaling.law_files import DISTILLATION, SUPERVISED
from distill_lib.scaling.robustness import LEVEL, closest, ends, under_law

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object


def one_by_one(question: Any, kept: Any, moved: Any) -> Any:
    """Return how far the advantage moves with each coefficient alone.

    Parameters
    ----------
    question, kept : dict
        As ``under_law`` takes them.
    moved : list
        (symbol, law with its low end, law with its high end) for each coefficient.

    Returns
    -------
    list of tuple
        (symbol, change at the low end, change at the high end), nats per token, the largest first; a change is NaN
        where a law has no answer, and coefficients of which nothing is known are left out.
    """
    middle, rows = verdicts.gap(kept, question["law"]), []
    for symbol, low, high in moved:
        found = [under_law(question, law, kept) for law in (low, high)]
        changes = [math.nan if each is None else each["gap"] - middle for each in found]
        rows.append((symbol, changes[0], changes[1]))
    return _ranked(rows)


def along_draws(values: Any, laws: Any, level: float = LEVEL) -> Any:
    """Regress an answer on the logarithm of each coefficient over laws, in which all move together.

    Parameters
    ----------
    values : list of float
        The answer of each law; one that is not finite is left out.
    laws : list of dict
        The laws.
    level : float
        Coverage of the intervals whose half-widths the slopes are taken over.

    Returns
    -------
    list of tuple
        As ``one_by_one`` returns it; coefficients that are the same in all laws are left out.
    """
    known = [i for i in range(len(values)) if math.isfinite(values[i])]
    if len(known) < 2:
        return []
    y, rows = [values[i] for i in known], []
    mean_y = sum(y) / len(y)
    for part, names in (("supervised", SUPERVISED), ("distillation", DISTILLATION)):
        for name in names:
            of = [laws[i][part][name] if part == "supervised" else laws[i][name] for i in known]
            x = [math.log(max(value, formulas.TINY)) for value in of]
            if max(x) - min(x) <= 1e-12:
                continue
            mean_x, both, own = sum(x) / len(x), 0.0, 0.0
            for i in range(len(x)):
                both += (x[i] - mean_x) * (y[i] - mean_y)
                own += (x[i] - mean_x) ** 2
            low, high = ends(x, level)
            middle = closest(sorted(x), 0.5)
            symbol = name + "'" if part == "distillation" and name in SUPERVISED else name
            rows.append((symbol, both / own * (low - middle), both / own * (high - middle)))
    return _ranked(rows)


def _ranked(rows: Any) -> Any:
    """Return the rows of which a change is known, the largest first."""
    known = [row for row in rows if math.isfinite(row[1]) or math.isfinite(row[2])]
    return sorted(known, key=lambda row: (-size(row), row[0]))


def size(row: Any) -> float:
    """Return the larger change of a row.

    Parameters
    ----------
    row : tuple
        (symbol, change at the low end, change at the high end).

    Returns
    -------
    float
        Nats per token, without its sign.
    """
    return max([abs(change) for change in row[1:] if math.isfinite(change)])
