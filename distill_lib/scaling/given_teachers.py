"""The best of the teachers that exist."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.plans import Plan
from distill_lib.scaling.questions import Question, Teacher


def plan_with_given(question: Question, teachers: Sequence[Teacher]) -> Plan:
    """Compare all given teachers and return the plan with the best one.

    Parameters
    ----------
    question : Question
        What is asked.
    teachers : sequence
        Each a loss, (N_T, D_T) or (N_T, D_T, L_T).

    Returns
    -------
    Plan
        The best; its ``teacher`` is the place in the list.

    Raises
    ------
    ValueError
        For what is no teacher, and where none serves.
    """
    if not hasattr(teachers, "__len__") or len(teachers) == 0:
        raise ValueError(f"teachers = {teachers!r}; give a list of losses, (N_T, D_T) or (N_T, D_T, L_T)")
    rows = [_teacher_row(question, i, teacher) for i, teacher in enumerate(teachers)]
    law, (low, high) = question.law.to_dict(), question.D_S_bounds
    best, best_value = None, math.inf
    for place, (N_T, D_T, L_T) in enumerate(rows):
        F_T = 0.0 if math.isnan(N_T) else formulas.forward_flops(N_T, question.context, question.vocabulary)
        training = 3.0 * F_T * D_T * question.deltas[1] if question.deltas[1] else 0.0
        per_token = question.flops_per_token + question.deltas[0] * F_T
        if question.target_loss is not None:
            D_S = formulas.tokens_for_loss(question.N_S, L_T, question.target_loss, law, (low, high))
            possible, value = math.isfinite(D_S), per_token * D_S + training
        else:
            affordable = (question.to_spend - training) / per_token
            D_S = min(max(affordable, low), high)
            possible = affordable >= low * (1.0 - 1e-12)
            value = formulas.distillation_loss(question.N_S, D_S, L_T, law)
        if possible and value < best_value:
            L_S = formulas.distillation_loss(question.N_S, D_S, L_T, law)
            best = {"L_S": L_S, "D_S": D_S, "N_T": N_T, "D_T": D_T, "L_T": L_T, "teacher": place}
            best_value = value
    if best is None:
        raise ValueError(
            "no given teacher serves: "
            + (
                f"target_loss = {question.target_loss!r} is out of reach with each of them"
                if question.target_loss is not None
                else f"C = {question.C!r} cannot pay for one of them and {low:.3g} student tokens"
            )
            + "; give a better target, a larger budget, or other teachers"
        )
    return question.answer(best)


def _teacher_row(question: Question, index: int, teacher: Teacher) -> tuple[float, float, float]:
    """Return (N_T, D_T, L_T) of one given teacher, NaN for what is not known and not needed."""
    name = f"teachers[{index}]"
    N_T = D_T = math.nan
    if np.ndim(teacher) == 0:
        if any(question.deltas):
            raise ValueError(
                f"{name} = {teacher!r} is a loss alone, but scenario {question.scenario!r} charges for the "
                "teacher; give (N_T, D_T) or (N_T, D_T, L_T), or plan the best_case"
            )
        L_T = _checks.one(name, teacher, "L")
    else:
        values = list(np.ravel(np.asarray(teacher, dtype=object)))
        if len(values) not in (2, 3):
            raise ValueError(f"{name} = {teacher!r}; give a loss, (N_T, D_T) or (N_T, D_T, L_T)")
        N_T, D_T = _checks.one(f"{name} N_T", values[0], "N"), _checks.one(f"{name} D_T", values[1], "D")
        L_T = (
            _checks.one(f"{name} L_T", values[2], "L")
            if len(values) == 3
            else float(question.law.supervised.loss(N_T, D_T))
        )
    uniform = math.log(question.vocabulary)
    if uniform < L_T:
        raise ValueError(
            f"{name} has L_T = {L_T!r}, worse than guessing uniformly; valid is up to {uniform:.4g} nats per "
            f"token, ln({question.vocabulary}): is the loss in bits, or summed over several tokens?"
        )
    return N_T, D_T, L_T
