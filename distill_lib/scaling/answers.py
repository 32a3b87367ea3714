"""A question and its answer: a plan, its supervised alternative and its verdict, on plain dicts and floats.

It is :func:`distill_lib.plan` without arrays, objects or tables of the paper, for the page of the book that
plans in the browser: like :mod:`distill_lib.scaling.formulas` this very file also runs under MicroPython.
A question holds what the function takes, under the same names; what is not given is None::

    {"N_S": 1e9, "C": 1e21, "target_loss": None, "D_S": None, "max_D_S": None, "scenario": "best_case",
     "teachers": None, "students_sharing": 1.0, "inference_tokens": 0.0, "context": 4096,
     "vocabulary": 32768, "law": law.to_dict(), "ranges": {}, "accuracy": 0.01}

Each teacher is [N_T, D_T, L_T] with None for what is not known, ``ranges`` gives the fitted range of a
quantity, and ``accuracy`` the relative error of the law's losses. Single fields are checked where they are typed; what is wrong with them together is said here.
"""

import math

from distill_lib.scaling import formulas
from distill_lib.scaling.wording import count, exact, fixed, general

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

FITTED = ("N_S", "N_T", "D_S", "D_T", "L_T")  # in this order, which MicroPython's dicts do not keep
SHOWN = 1e-3  # nats per token that a verdict still shows: smaller parts of its reason are left out


def answer(question: Any) -> Any:
    """Return the plan that answers a question.

    Parameters
    ----------
    question : dict
        As described at the top of this file.

    Returns
    -------
    dict
        The numbers of a plan under the names of its fields, with ``shares``, ``gap``, ``outcome``, ``verdict``
        and ``warnings``.

    Raises
    ------
    ValueError
        If there is no answer: the message names the field, its value and the remedy.
    """
    plan = numbers(question)
    plan["warnings"] = outside(plan, question["ranges"])
    plan["gap"], plan["outcome"] = gap(plan, question["law"]), outcome(plan, question["law"])
    plan["verdict"] = verdict(plan, question["law"], question["max_D_S"])
    return plan


def numbers(question: Any) -> Any:
    """Return the numbers of the plan that answers a question, without words: enough for a curve.

    Parameters
    ----------
    question : dict
        As described at the top of this file.

    Returns
    -------
    dict
        The numbers of a plan under the names of its fields, its goal and its ``shares``.

    Raises
    ------
    ValueError
        If there is no answer.
    """
    terms = _terms(question)
    found = _best_of(question, terms) if question["teachers"] is not None else _designed(question, terms)
    return _billed(question, terms, found)


def _terms(question: Any) -> Any:
    """Return what the question means in FLOPs: deltas, rates, the budget for training, bounds of D_S."""
    N_S, context, vocabulary = question["N_S"], question["context"], question["vocabulary"]
    sharing = question["students_sharing"]
    delta_logits, delta_pretraining = formulas.SCENARIOS[question["scenario"]]
    F_S = formulas.forward_flops(N_S, context, vocabulary)
    inference = question["inference_tokens"] * F_S
    low, high = formulas.BOUNDS
    if question["D_S"] is not None:
        low = high = question["D_S"]
    elif question["max_D_S"] is not None:
        high = min(question["max_D_S"], high)
        low = min(low, high)
    C = math.inf if question["C"] is None else question["C"]
    return {
        "deltas": (delta_logits / sharing, delta_pretraining / sharing),
        "per_token": 3.0 * F_S,
        "inference": inference,
        "C": C,
        "to_spend": C - inference,
        "D_S": (low, high),
    }


def _designed(question: Any, terms: Any) -> Any:
    """Return the best plan with a teacher of any size."""
    found = formulas.plan_student(
        question["N_S"],
        terms["to_spend"],
        question["law"],
        terms["deltas"],
        question["context"],
        question["vocabulary"],
        D_S_bounds=terms["D_S"],
        target_loss=question["target_loss"],
    )
    if not found["feasible"]:
        raise ValueError(_why_not(question, terms))
    return found


def _why_not(question: Any, terms: Any) -> str:
    least, most = terms["D_S"]
    if question["target_loss"] is not None:
        floor = formulas.best_teacher(question["law"], question["N_S"], most)[1]
        return (
            f"target_loss = {exact(question['target_loss'])} is out of reach: a student of {general(question['N_S'], 6)} "
            f"parameters gets above {fixed(floor, 4)} nats with up to {general(most, 3)} tokens; ask for more, or a larger "
            "student"
        )
    teacher = formulas.BOUNDS[0]
    bill = formulas.compute_bill(
        question["N_S"],
        least,
        teacher,
        teacher,
        terms["deltas"][0],
        terms["deltas"][1],
        question["context"],
        question["vocabulary"],
    )
    return (
        f"C = {exact(terms['C'])} is too small to train anything: with {general(least, 3)} student tokens and the least "
        f"teacher the bill is {general(sum(bill) + terms['inference'], 4)} FLOPs, so give C of at least that"
    )


def _best_of(question: Any, terms: Any) -> Any:
    """Return the plan with the best of the given teachers."""
    teachers = question["teachers"]
    if len(teachers) == 0:
        raise ValueError("teachers = []; give a list of losses, (N_T, D_T) or (N_T, D_T, L_T)")
    N_S, law, target, (low, high) = question["N_S"], question["law"], question["target_loss"], terms["D_S"]
    rows = [_known_teacher(question, terms, i) for i in range(len(teachers))]
    best, best_value = None, math.inf
    for place, (N_T, D_T, L_T) in enumerate(rows):
        F_T = 0.0
        if not math.isnan(N_T):
            F_T = formulas.forward_flops(N_T, question["context"], question["vocabulary"])
        training = 3.0 * F_T * D_T * terms["deltas"][1] if terms["deltas"][1] else 0.0
        per_token = terms["per_token"] + terms["deltas"][0] * F_T
        if target is not None:
            D_S = formulas.tokens_for_loss(N_S, L_T, target, law, (low, high))
            possible, value = D_S < math.inf, per_token * D_S + training
        else:
            affordable = (terms["to_spend"] - training) / per_token
            D_S = min(max(affordable, low), high)
            possible = affordable >= low * (1.0 - 1e-12)
            value = formulas.distillation_loss(N_S, D_S, L_T, law)
        if possible and value < best_value:
            L_S = formulas.distillation_loss(N_S, D_S, L_T, law)
            best = {"L_S": L_S, "D_S": D_S, "N_T": N_T, "D_T": D_T, "L_T": L_T, "teacher": place}
            best_value = value
    if best is None:
        why = f"C = {exact(terms['C'])} cannot pay for one of them and {general(low, 3)} student tokens"
        if target is not None:
            why = f"target_loss = {exact(target)} is out of reach with each of them"
        raise ValueError(
            f"no given teacher serves: {why}; give a better target, a larger budget, or other teachers"
        )
    return best


def _known_teacher(question: Any, terms: Any, index: int) -> Any:
    """Return (N_T, D_T, L_T) of one given teacher, NaN for what is not known and not needed."""
    name, (N_T, D_T, L_T) = f"teachers[{index}]", question["teachers"][index]
    if N_T is None and D_T is None:
        if L_T is None:
            raise ValueError(f"{name} is empty; give a loss, (N_T, D_T) or (N_T, D_T, L_T)")
        if terms["deltas"][0] or terms["deltas"][1]:
            raise ValueError(
                f"{name} = {exact(L_T)} is a loss alone, but scenario {question['scenario']!r} charges for the "
                "teacher; give (N_T, D_T) or (N_T, D_T, L_T), or plan the best_case"
            )
        N_T = D_T = math.nan
    elif N_T is None or D_T is None:
        lacking = "N_T" if N_T is None else "D_T"
        raise ValueError(f"{name} lacks {lacking}; give a loss, (N_T, D_T) or (N_T, D_T, L_T)")
    elif L_T is None:
        L_T = formulas.supervised_loss(N_T, D_T, question["law"]["supervised"])
    uniform = math.log(question["vocabulary"])
    if uniform < L_T:
        raise ValueError(
            f"{name} has L_T = {exact(L_T)}, worse than guessing uniformly; valid is up to {general(uniform, 4)} nats per "
            f"token, ln({question['vocabulary']}): is the loss in bits, or summed over several tokens?"
        )
    return N_T, D_T, L_T


def _billed(question: Any, terms: Any, found: Any) -> Any:
    """Return the plan with its bill and its supervised alternative."""
    N_S, law, D_S, L_T = question["N_S"], question["law"], found["D_S"], found["L_T"]
    base, per_token, inference = law["supervised"], terms["per_token"], terms["inference"]
    D_supervised, goal = _supervised_tokens(question, terms, D_S)
    # Only the losses of tokens below one are out of the law's reach.
    L_supervised = math.nan
    if 1.0 <= D_supervised < math.inf:
        L_supervised = formulas.supervised_loss(N_S, D_supervised, base)
    student, logits, teacher = per_token * D_S, 0.0, 0.0
    if not math.isnan(found["N_T"]):
        student, logits, teacher = formulas.compute_bill(
            N_S,
            D_S,
            found["N_T"],
            found["D_T"],
            terms["deltas"][0],
            terms["deltas"][1],
            question["context"],
            question["vocabulary"],
        )
    logits = logits if terms["deltas"][0] else 0.0
    teacher = teacher if terms["deltas"][1] else 0.0
    C = student + logits + teacher + inference
    return {
        "N_S": N_S,
        "scenario": question["scenario"],
        "C": C,
        "budget": terms["C"],
        "L_S": found["L_S"],
        "D_S": D_S,
        "N_T": found["N_T"],
        "D_T": found["D_T"],
        "L_T": L_T,
        "L_supervised": L_supervised,
        "D_supervised": D_supervised,
        "C_supervised": per_token * D_supervised + inference,
        "flops_student": student,
        "flops_logits": logits,
        "flops_teacher": teacher,
        "flops_inference": inference,
        "goal": goal,
        "accuracy": question["accuracy"],
        "teacher": found.get("teacher"),
        "shares": {
            "student_training": student / C,
            "teacher_logits": logits / C,
            "teacher_pretraining": teacher / C,
            "student_inference": inference / C,
        },
    }


def _supervised_tokens(question: Any, terms: Any, D_S: float) -> Any:
    """Return the tokens of the supervised counterpart, and what the two have in common."""
    if question["target_loss"] is not None:
        tokens = formulas.supervised_tokens(
            question["N_S"], question["target_loss"], question["law"]["supervised"]
        )
        most = formulas.BOUNDS[1] if question["D_S"] is not None else terms["D_S"][1]
        return (tokens if tokens <= most else math.inf), "target"
    if terms["C"] == math.inf:
        return D_S, "tokens"
    # A cap on tokens is a cap on data, for either student.
    return min(terms["to_spend"] / terms["per_token"], terms["D_S"][1]), "budget"


def outside(found: Any, ranges: Any) -> Any:
    """Return a sentence for each quantity outside what the law was fitted on.

    Parameters
    ----------
    found : dict
        Quantities by name.
    ranges : dict
        Lowest and highest fitted value by name.

    Returns
    -------
    list of str
        One sentence each.
    """
    return [
        f"{name} = {general(found[name], 3)} is outside {general(low, 3)} to {general(high, 3)}, what the law was fitted on"
        for name, (low, high) in [(name, ranges[name]) for name in FITTED if name in ranges]
        if not math.isnan(found[name]) and not low <= found[name] <= high
    ]


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
    if ahead > 0.0:
        cost = f", of which its bill takes back {fixed(parts['bill'], 3)}" if parts["bill"] > SHOWN else ""
        return (
            f"{setting} {who} wins {fixed(ahead, 3)} nats, since the best teacher is worth "
            f"{fixed(parts['teacher'], 3)} nats{cost} ({fewer})"
        )
    if parts["teacher"] <= SHOWN:
        return (
            f"{setting} distilling loses {fixed(-ahead, 3)} nats, since with "
            f"{count(plan['D_supervised'])} tokens the data teach as well as the best free teacher"
        )
    return (
        f"{setting} distilling loses {fixed(-ahead, 3)} nats, since the teacher is worth "
        f"{fixed(parts['teacher'], 3)} nats but its bill costs {fixed(parts['bill'], 3)} ({fewer})"
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
