"""What a plan comes to: whether to distil, how far the law can tell, and why, in one sentence.

Plain Python that also runs under MicroPython, as :mod:`distill_lib.scaling.formulas` does. A plan is the dict that
:mod:`distill_lib.scaling.answers` gives; a law is its coefficients.
"""

import math

from distill_lib.scaling import formulas
from distill_lib.scaling.wording import count, fixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

SHOWN = 1e-3  # nats per token that a verdict still shows: smaller parts of its reason are left out


def gap(plan: Any, law: Any) -> float:
    """Return by how many nats per token distilling is ahead at equal means; negative where it is behind.

    With a target loss both students reach the same loss, so the supervised one gets the compute of the plan
    here; otherwise the gap is the advantage.

    Parameters
    ----------
    plan, law : dict
        As ``verdict`` takes them.

    Returns
    -------
    float
        Nats per token; infinite where supervised training cannot get there.
    """
    if plan["goal"] != "target":
        return plan["L_supervised"] - plan["L_S"]
    if plan["C_supervised"] == math.inf:
        return math.inf
    tokens = plan["D_S"] * (plan["C"] - plan["flops_inference"]) / plan["flops_student"]
    return formulas.supervised_loss(plan["N_S"], max(tokens, 1.0), law["supervised"]) - plan["L_supervised"]


def outcome(plan: Any, law: Any) -> str:
    """Return what the plan comes to, as far as the law can tell losses apart.

    Parameters
    ----------
    plan : dict
        As ``verdict`` takes it: the law's accuracy is in it.
    law : dict
        The coefficients.

    Returns
    -------
    str
        "distil", "supervised" or "too close to call".
    """
    ahead = gap(plan, law)
    if abs(ahead) < plan["accuracy"] * plan["L_S"]:
        return "too close to call"
    return "distil" if ahead > 0.0 else "supervised"


def verdict(plan: Any, law: Any, max_D_S: Any = None) -> str:
    """Return whether to distil, and why, in one sentence.

    Parameters
    ----------
    plan : dict
        Numbers of a plan by the names of its fields, with its goal and the law's relative accuracy.
    law : dict
        Coefficients of the distillation law that it was made with.
    max_D_S : float, optional
        The cap on student tokens that was asked with.

    Returns
    -------
    str
        The sentence.
    """
    settled = outcome(plan, law)
    who = "it" if settled == "distil" else "distilling"
    why = _why_for_target(plan, law, who, max_D_S) if plan["goal"] == "target" else _why(plan, law, who)
    if settled == "distil":
        return f"Distil: {why}."
    if settled == "supervised":
        return f"Train supervised: {why}."
    nats = fixed(plan["accuracy"] * plan["L_S"], 3)
    return f"Too close to call, for the law tells losses apart by {nats} nats at best: by its numbers {why}."


def _why(plan: Any, law: Any, who: str) -> str:
    """Return the difference and its cause."""
    ahead, parts = gap(plan, law), reason(plan, law)
    setting = "on these tokens" if plan["goal"] == "tokens" else "with this budget"
    fewer = f"the student sees {count(plan['D_S'])} tokens, {count(plan['D_supervised'])} without a teacher"
    free = plan["flops_logits"] + plan["flops_teacher"] == 0.0  # then it can only be worse than the best
    if ahead > 0.0:
        lost = "this one falls short by" if free else "its bill takes back"
        cost = f", of which {lost} {fixed(parts['bill'], 3)}" if parts["bill"] > SHOWN else ""
        return (
            f"{setting} {who} wins {fixed(ahead, 3)} nats, since the best teacher is worth "
            f"{fixed(parts['teacher'], 3)} nats{cost} ({fewer})"
        )
    if parts["teacher"] <= SHOWN:
        return (
            f"{setting} distilling loses {fixed(-ahead, 3)} nats, since with "
            f"{count(plan['D_supervised'])} tokens the data teach as well as the best free teacher"
        )
    worth = fixed(parts["teacher"], 3)
    but = (
        f"the best teacher is worth {worth} nats but this one falls short by"
        if free
        else f"the teacher is worth {worth} nats but its bill costs"
    )
    return (
        f"{setting} distilling loses {fixed(-ahead, 3)} nats, since {but} {fixed(parts['bill'], 3)} ({fewer})"
    )


def reason(plan: Any, law: Any) -> Any:
    """Return the advantage in two parts: what a free best teacher is worth, less the bill of this one.

    Parameters
    ----------
    plan : dict
        Numbers of a plan by the names of its fields.
    law : dict
        Coefficients of the distillation law that it was made with.

    Returns
    -------
    dict
        ``teacher`` and ``bill``, nats per token. A free teacher would leave all the tokens of supervised
        training.
    """
    L_free = formulas.best_teacher(law, plan["N_S"], max(plan["D_supervised"], 1.0))[1]
    return {"teacher": plan["L_supervised"] - L_free, "bill": plan["L_S"] - L_free}


def _why_for_target(plan: Any, law: Any, who: str, max_D_S: Any) -> str:
    if plan["C_supervised"] == math.inf:
        floor = formulas.supervised_loss(plan["N_S"], math.inf, law["supervised"])
        if max_D_S is not None and floor < plan["L_S"]:
            return f"supervised training cannot reach this loss at this size with {count(max_D_S)} tokens"
        return (
            "supervised training cannot reach this loss at this size, whatever the tokens "
            f"(its floor is {fixed(floor, 3)} nats)"
        )
    ratio = plan["C"] / plan["C_supervised"]
    tokens = f"{count(plan['D_S'])} student tokens instead of {count(plan['D_supervised'])}"
    what = f"{who} needs {fixed(ratio, 2)} times the compute of supervised training"
    if ratio <= 1.0:
        return f"{what} ({tokens})"
    teacher = (plan["flops_logits"] + plan["flops_teacher"]) / plan["C"]
    why = (
        f"{fixed(100.0 * teacher, 0)}% of it goes to the teacher"
        if teacher > 0.05
        else "so near the floor data teach more"
    )
    return f"{what}, and {why} ({tokens})"
