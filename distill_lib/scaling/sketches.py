"""What the planner's page draws around a plan: losses along compute and along the teacher, and how sure they are.

Plain Python that also runs under MicroPython, as :mod:`distill_lib.scaling.formulas` does. Questions and plans are
the dicts of :mod:`distill_lib.scaling.answers`.
"""

import math

from distill_lib.scaling import formulas
from distill_lib.scaling.answers import numbers
from distill_lib.scaling.robustness import LEVEL, ends, loss_of_teacher

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


# ---------------------------------------------------------------- how sure the curve is


def losses_under(law: Any, plan: Any, other: Any) -> Any:
    """Return the loss that a plan, left as it is, has under another law, and that of its alternative.

    Parameters
    ----------
    law : dict
        Coefficients of the distillation law that the plan was made with.
    plan : dict
        The plan.
    other : dict
        Those of the other law.

    Returns
    -------
    tuple of float
        L_S and L_supervised; NaN for what has no supervised counterpart.
    """
    L_S = formulas.distillation_loss(plan["N_S"], plan["D_S"], loss_of_teacher(plan, law, other), other)
    D = plan["D_supervised"]
    return L_S, formulas.supervised_loss(plan["N_S"], D, other["supervised"]) if D >= 1.0 else math.nan


def band_of_draws(law: Any, plan: Any, draws: Any, level: float = LEVEL) -> Any:
    """Return bands of L_S and of the advantage that a plan, left as it is, has under other laws.

    A plan is an optimum: to first order it makes no difference that it is not made anew under each.

    Parameters
    ----------
    law : dict
        Coefficients of the distillation law that the plan was made with.
    plan : dict
        The plan.
    draws : list of dict
        Distillation laws.
    level : float
        Coverage.

    Returns
    -------
    dict
        ``L_S`` and ``advantage``, each (low, high).
    """
    pairs = [losses_under(law, plan, other) for other in draws]
    return {
        "L_S": ends([pair[0] for pair in pairs], level),
        "advantage": ends([pair[1] - pair[0] for pair in pairs], level),
    }
