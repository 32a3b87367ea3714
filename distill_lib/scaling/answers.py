"""A question and its answer: a plan, its supervised alternative and its verdict, on plain dicts and floats.

Here :func:`distill_lib.plan` and the page of the book that plans in the browser meet: like
:mod:`distill_lib.scaling.formulas` this very file also runs under MicroPython. A question holds what the function
takes, under the same names; what is not given is None::

    {"N_S": 1e9, "C": 1e21, "target_loss": None, "D_S": None, "max_D_S": None, "max_D_T": None,
     "scenario": "best_case", "deltas": None, "teachers": None, "students_sharing": 1.0,
     "inference_tokens": 0.0, "context": 4096, "vocabulary": 32768, "law": law.to_dict(), "ranges": {},
     "accuracy": 0.01}

Each teacher is [N_T, D_T, L_T] with None for what is not known, ``ranges`` gives the fitted range of a quantity, and
``accuracy`` the relative error of the law's losses. Single fields are checked where they are given, in
:mod:`distill_lib.scaling.questions` or in the page; what is wrong with them together is said here.
"""

import math

from distill_lib.scaling import formulas, verdicts
from distill_lib.scaling.wording import exact, fixed, general

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

FITTED = ("N_S", "N_T", "D_S", "D_T", "L_T")  # in this order, which MicroPython's dicts do not keep


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
    law = question["law"]
    plan["gap"], plan["outcome"] = verdicts.gap(plan, law), verdicts.outcome(plan, law)
    plan["verdict"] = verdicts.verdict(plan, law, question["max_D_S"])
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
    terms = meaning(question)
    found = _best_of(question, terms) if question["teachers"] is not None else _designed(question, terms)
    return _billed(question, terms, found)


def meaning(question: Any) -> Any:
    """Return what a question means in FLOPs and tokens.

    Parameters
    ----------
    question : dict
        As described at the top of this file.

    Returns
    -------
    dict
        ``deltas``, the part of logits and of the teacher's training that is charged; ``per_token``, FLOPs of a
        training step; ``inference``, FLOPs of the student's use; ``C``, the budget, and ``to_spend``, what is left
        of it for training, infinite where there is none; least and most ``D_S`` and ``D_T``.

    Raises
    ------
    ValueError
        If the question is none, or more than one.
    """
    N_S, context, vocabulary = question["N_S"], question["context"], question["vocabulary"]
    _one_question(question)
    sharing = question["students_sharing"]
    deltas = question["deltas"]
    delta_logits, delta_pretraining = formulas.SCENARIOS[question["scenario"]] if deltas is None else deltas
    F_S = formulas.forward_flops(N_S, context, vocabulary)
    inference = question["inference_tokens"] * F_S
    fixed_tokens = question["D_S"]
    C = math.inf if question["C"] is None else question["C"]
    return {
        "deltas": (delta_logits / sharing, delta_pretraining / sharing),
        "per_token": 3.0 * F_S,
        "inference": inference,
        "C": C,
        "to_spend": C - inference,
        "D_S": capped(question["max_D_S"]) if fixed_tokens is None else (fixed_tokens, fixed_tokens),
        "D_T": capped(question["max_D_T"]),
    }


def capped(most: Any) -> Any:
    """Return the bounds of tokens, with a cap of one's own.

    Parameters
    ----------
    most : float or None
        The cap.

    Returns
    -------
    tuple of float
        Least and most.
    """
    low, high = formulas.BOUNDS
    if most is None:
        return low, high
    high = min(most, high)
    return min(low, high), high


def _one_question(question: Any) -> None:
    """Refuse what is no question, or more than one."""
    C, target, tokens = question["C"], question["target_loss"], question["D_S"]
    if C is not None and target is not None:
        raise ValueError(
            f"C = {exact(C)} and target_loss = {exact(target)} are two questions; give one of them"
        )
    if C is None and target is None and tokens is None:
        raise ValueError("nothing to plan for; give a budget C, a target_loss, or student tokens D_S")
    if tokens is not None and question["max_D_S"] is not None:
        raise ValueError(
            f"D_S = {exact(tokens)} is fixed already; leave out max_D_S = {exact(question['max_D_S'])}"
        )
    if question["teachers"] is not None and question["max_D_T"] is not None:
        raise ValueError(
            f"max_D_T = {exact(question['max_D_T'])} caps the tokens of a teacher that is to be designed; leave it out "
            "where teachers are given, or leave out the teachers"
        )


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
        D_T_bounds=terms["D_T"],
        target_loss=question["target_loss"],
    )
    if not found["feasible"]:
        raise ValueError(_why_not(question, terms))
    return found


def _why_not(question: Any, terms: Any) -> str:
    """Return the message of a question without an answer."""
    least, most = terms["D_S"]
    if question["target_loss"] is not None:
        law, cap = question["law"], terms["D_T"][1]
        L_T, floor = formulas.best_teacher(law, question["N_S"], most)
        strongest = formulas.supervised_loss(formulas.BOUNDS[1], cap, law["supervised"])
        beside = ""
        if question["max_D_T"] is not None and L_T < strongest:
            floor = formulas.distillation_loss(question["N_S"], most, strongest, law)
            beside = f" and a teacher of up to {general(cap, 3)}"
        return (
            f"target_loss = {exact(question['target_loss'])} is out of reach: a student of {general(question['N_S'], 6)} "
            f"parameters gets above {fixed(floor, 4)} nats with up to {general(most, 3)} tokens{beside}; ask for more, or "
            "a larger student"
        )
    bill = formulas.compute_bill(
        question["N_S"],
        least,
        formulas.BOUNDS[0],
        terms["D_T"][0],
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
    rows = [known_teacher(question, terms["deltas"], i) for i in range(len(teachers))]
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


def known_teacher(question: Any, deltas: Any, index: int) -> Any:
    """Return what is known of one given teacher.

    Parameters
    ----------
    question : dict
        Its ``teachers``, ``scenario``, ``law`` and ``vocabulary``.
    deltas : tuple of float
        What part of its logits and of its training is charged.
    index : int
        Its place in the list.

    Returns
    -------
    tuple of float
        N_T, D_T and L_T, NaN for what is not known and not needed.

    Raises
    ------
    ValueError
        If it is none, or not enough is known of it.
    """
    name, (N_T, D_T, L_T) = f"teachers[{index}]", question["teachers"][index]
    if N_T is None and D_T is None:
        if L_T is None:
            raise ValueError(f"{name} is empty; give a loss, (N_T, D_T) or (N_T, D_T, L_T)")
        if deltas[0] or deltas[1]:
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
