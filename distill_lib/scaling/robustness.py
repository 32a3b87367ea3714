"""How sure a plan is: the same question asked of other laws, and how far their answers lie apart.

Plain Python that also runs under MicroPython, as :mod:`distill_lib.scaling.formulas` does: the page that plans and
:func:`distill_lib.plan_uncertainty` say the same because they ask here. Questions and plans are the dicts of
:mod:`distill_lib.scaling.answers`, laws those of :mod:`distill_lib.scaling.formulas`. :mod:`hinges` tells what the
verdict hangs on, :mod:`sureness` says all of it in words.
"""

import math

from distill_lib.scaling import formulas, verdicts
from distill_lib.scaling.answers import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

LEVEL = 0.9
"""Coverage of the intervals, and the share of laws on one side that a verdict needs, unless told otherwise."""

LAWS = 400
"""How many laws are asked, unless told otherwise."""

QUANTITIES = (
    "L_S",
    "L_supervised",
    "gap",
    "D_S",
    "D_supervised",
    "L_T",
    "N_T",
    "D_T",
    "C",
    "C_supervised",
    "regret",
)
"""Numbers of a plan that get an interval, in this order, which MicroPython's dicts do not keep."""


def under_law(question: Any, law: Any, kept: Any) -> Any:
    """Ask a question of another law.

    Parameters
    ----------
    question : dict
        What the plan was asked, with the law it was asked of.
    law : dict
        Coefficients of the other law.
    kept : dict
        The plan with the law itself.

    Returns
    -------
    dict or None
        ``QUANTITIES`` and the ``outcome`` of the plan under this law; None where it has no answer, such as a target
        out of its reach. ``gap`` is the advantage at equal means, ``regret`` what is lost, nats per token, by keeping
        the first plan.
    """
    asked = dict(question)
    asked["law"] = law
    try:
        plan = numbers(asked)
    except ValueError:
        return None
    found = {name: plan[name] for name in QUANTITIES if name not in ("gap", "regret")}
    found["gap"], found["outcome"] = verdicts.gap(plan, law), verdicts.outcome(plan, law)
    found["regret"] = math.nan
    if kept["goal"] != "target":  # with a target loss the two spend differently: no loss to compare
        L_T = loss_of_teacher(kept, question["law"], law)
        found["regret"] = formulas.distillation_loss(kept["N_S"], kept["D_S"], L_T, law) - plan["L_S"]
    return found


def loss_of_teacher(plan: Any, law: Any, other: Any) -> float:
    """Return the loss of a plan's teacher under another law: the same if it was measured.

    Parameters
    ----------
    plan : dict
        The plan.
    law, other : dict
        The law it was made with, and the other one.

    Returns
    -------
    float
        L_T, nats per token.
    """
    N_T, D_T, L_T = plan["N_T"], plan["D_T"], plan["L_T"]
    if math.isnan(N_T) or formulas.supervised_loss(N_T, D_T, law["supervised"]) != L_T:
        return L_T
    return formulas.supervised_loss(N_T, D_T, other["supervised"])


def spread(found: Any, point: Any, level: float = LEVEL) -> Any:
    """Return how far the plans under other laws lie apart, and how many of them agree.

    Parameters
    ----------
    found : list of dict
        What ``under_law`` gave for each law.
    point : dict
        What it gives for the law itself.
    level : float
        Coverage.

    Returns
    -------
    dict or None
        ``intervals``: the value with the law itself, low and high, for each of ``QUANTITIES``; ``wins``, ``holds`` and
        ``without``: the shares of laws under which distilling is ahead, which come to the same outcome, and which have
        no answer; ``asked``, how many were asked, ``level``, and the ``outcome`` of the law itself. None of fewer than
        two answers.
    """
    known = [each for each in found if each is not None]
    if len(known) < 2:
        return None
    intervals = {}
    for name in QUANTITIES:
        low, high = ends([each[name] for each in known], level)
        intervals[name] = (point[name], low, high)
    return {
        "intervals": intervals,
        "wins": sum([1.0 for each in known if each["gap"] > 0.0]) / len(known),
        "holds": sum([1.0 for each in known if each["outcome"] == point["outcome"]]) / len(known),
        "without": 1.0 - len(known) / len(found),
        "asked": len(found),
        "level": level,
        "outcome": point["outcome"],
    }


def ends(values: Any, level: float) -> Any:
    """Return both ends of the percentile interval; infinite values count, unknown ones do not.

    Parameters
    ----------
    values : list of float
        In any order.
    level : float
        Coverage.

    Returns
    -------
    tuple of float
        Low and high; NaN if no value is known.
    """
    known = sorted([value for value in values if not math.isnan(value)])
    if len(known) == 0:
        return math.nan, math.nan
    return closest(known, 0.5 - 0.5 * level), closest(known, 0.5 + 0.5 * level)


def closest(values: Any, part: float) -> float:
    """Return the value that lies closest to a quantile; of two equally close ones that of even rank.

    No interpolation: a value between a finite and an infinite one would be none.

    Parameters
    ----------
    values : list of float
        Sorted.
    part : float
        From 0 to 1.

    Returns
    -------
    float
        What ``numpy.quantile`` gives by the method "closest_observation".
    """
    place = len(values) * part - 1.5
    below = math.floor(place)
    i = below if place == below and below % 2 == 1 else below + 1
    return values[max(i, 0)]
