"""What the planner's page draws around a plan: losses along compute and along the teacher, and how sure they are.

Plain Python that also runs under MicroPython, as :mod:`distill_lib.scaling.formulas` does. Questions and plans are
the dicts of :mod:`distill_lib.scaling.answers`.
"""

import math

from distill_lib.scaling import formulas
from distill_lib.scaling.answers import numbers
from distill_lib.scaling.verdicts import gap, outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

CROSSING_STEPS = 24  # halvings of the space between two budgets


def plans_along_compute(question: Any, budgets: Any) -> Any:
    """Return the plan for each budget.

    Parameters
    ----------
    question : dict
        What is asked; its budget, target and fixed tokens are replaced.
    budgets : list of float
        FLOPs.

    Returns
    -------
    list of dict
        Numbers of plans; None where a budget buys none.
    """
    return [_plan_for(question, C) for C in budgets]


def _plan_for(question: Any, C: float) -> Any:
    asked = dict(question)
    asked["C"], asked["target_loss"], asked["D_S"] = C, None, None
    try:
        return numbers(asked)
    except ValueError:
        return None


def _leads(plan: Any) -> bool:
    return plan is not None and plan["L_S"] < plan["L_supervised"]


def crossing(question: Any, budgets: Any, plans: Any) -> Any:
    """Return the first budget from which supervised training leads, and the loss there.

    Parameters
    ----------
    question : dict
        What is asked.
    budgets : list of float
        Rising FLOPs.
    plans : list of dict
        What :func:`plans_along_compute` gave for them.

    Returns
    -------
    tuple of float or None
        C and L; None if supervised training does not come to lead within these budgets.
    """
    for i in range(1, len(budgets)):
        if _leads(plans[i - 1]) and not _leads(plans[i]):
            low, high = math.log(budgets[i - 1]), math.log(budgets[i])
            for _ in range(CROSSING_STEPS):
                middle = 0.5 * (low + high)
                if _leads(_plan_for(question, math.exp(middle))):
                    low = middle
                else:
                    high = middle
            C = math.exp(0.5 * (low + high))
            plan = _plan_for(question, C)
            return None if plan is None else (C, plan["L_supervised"])
    return None


def losses_along_teacher(law: Any, N_S: float, D_S: float, teachers: Any) -> Any:
    """Return L_S for teachers of given losses, and the best teacher: the capacity gap.

    Parameters
    ----------
    law : dict
        Coefficients of a distillation law.
    N_S, D_S : float
        Parameters and tokens of the student.
    teachers : list of float
        L_T, nats per token.

    Returns
    -------
    tuple
        The losses, the best L_T, and the L_S it gives.
    """
    L_T, L_S = formulas.best_teacher(law, N_S, D_S)
    return [formulas.distillation_loss(N_S, D_S, teacher, law) for teacher in teachers], L_T, L_S


# ---------------------------------------------------------------- how sure a plan is


def losses_under(law: Any, plan: Any, measured: bool) -> Any:
    """Return the loss that a plan, left as it is, has under another law, and that of its alternative.

    Parameters
    ----------
    law : dict
        Coefficients of a distillation law.
    plan : dict
        The plan.
    measured : bool
        Whether L_T was measured; otherwise it follows from N_T and D_T by the law.

    Returns
    -------
    tuple of float
        L_S and L_supervised.
    """
    L_T = plan["L_T"]
    if not measured:
        L_T = formulas.supervised_loss(plan["N_T"], plan["D_T"], law["supervised"])
    L_S = formulas.distillation_loss(plan["N_S"], plan["D_S"], L_T, law)
    return L_S, formulas.supervised_loss(plan["N_S"], plan["D_supervised"], law["supervised"])


def band_of_intervals(law: Any, intervals: Any, plan: Any, measured: bool) -> Any:
    """Return bands of L_S and of the advantage from intervals of single coefficients.

    Each coefficient goes to either end of its interval while the others and the plan stay; the changes are
    added in quadrature, which takes them for independent. To first order it makes no difference that the
    plan is not made anew, since it is an optimum.

    Parameters
    ----------
    law : dict
        Coefficients of a distillation law.
    intervals : dict
        ``supervised`` and ``distillation``: low and high by coefficient.
    plan : dict
        The plan.
    measured : bool
        Whether L_T was measured.

    Returns
    -------
    dict
        ``L_S`` and ``advantage``, each (low, high).
    """
    L_S, L_supervised = losses_under(law, plan, measured)
    squares = [0.0, 0.0, 0.0, 0.0]
    for part in ("supervised", "distillation"):
        for name in sorted(intervals[part]):
            changes, gains = [0.0], [0.0]
            for end in intervals[part][name]:
                other = dict(law)
                if part == "supervised":
                    other["supervised"] = dict(law["supervised"])
                    other["supervised"][name] = end
                else:
                    other[name] = end
                loss, alone = losses_under(other, plan, measured)
                changes.append(loss - L_S)
                gains.append((alone - loss) - (L_supervised - L_S))
            ends = (min(changes), max(changes), min(gains), max(gains))
            squares = [square + end * end for square, end in zip(squares, ends)]  # noqa: B905 - MicroPython
    down, up, less, more = [math.sqrt(square) for square in squares]
    gap = L_supervised - L_S
    return {"L_S": (L_S - down, L_S + up), "advantage": (gap - less, gap + more)}


def band_of_draws(draws: Any, plan: Any, measured: bool, level: float = 0.9) -> Any:
    """Return bands of L_S and of the advantage that a plan, left as it is, has under the laws of resamples.

    Parameters
    ----------
    draws : list of dict
        Distillation laws.
    plan : dict
        The plan.
    measured : bool
        Whether L_T was measured.
    level : float
        Coverage.

    Returns
    -------
    dict
        ``L_S`` and ``advantage``, each (low, high).
    """
    pairs = [losses_under(law, plan, measured) for law in draws]
    return {
        "L_S": ends([pair[0] for pair in pairs], level),
        "advantage": ends([pair[1] - pair[0] for pair in pairs], level),
    }


def plans_under(question: Any, draws: Any) -> Any:
    """Ask a question anew of other laws, as the plan itself was asked for.

    Parameters
    ----------
    question : dict
        As :mod:`distill_lib.scaling.answers` describes it.
    draws : list of dict
        Distillation laws.

    Returns
    -------
    list of tuple
        L_S, the gap and the outcome under each law; None where it has no answer.
    """
    found: Any = []
    for law in draws:
        asked = dict(question)
        asked["law"] = law
        try:
            plan = numbers(asked)
            found.append((plan["L_S"], gap(plan, law), outcome(plan, law)))
        except ValueError:
            found.append(None)
    return found


def spread_of_plans(found: Any, settled: str, level: float = 0.9) -> Any:
    """Return how far the plans under other laws lie apart, and how many of them agree.

    Parameters
    ----------
    found : list of tuple
        What ``plans_under`` gave.
    settled : str
        Outcome under the law itself.
    level : float
        Coverage.

    Returns
    -------
    dict or None
        ``L_S`` and ``gap``, each (low, high); ``wins``, ``holds`` and ``without``: the shares of laws under which
        distilling is ahead, which come to the same outcome, and which have no answer. None of fewer than two.
    """
    known = [each for each in found if each is not None]
    if len(known) < 2:
        return None
    return {
        "L_S": ends([each[0] for each in known], level),
        "gap": ends([each[1] for each in known], level),
        "wins": sum([1.0 for each in known if each[1] > 0.0]) / len(known),
        "holds": sum([1.0 for each in known if each[2] == settled]) / len(known),
        "without": 1.0 - len(known) / len(found),
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
