"""Compute-optimal distillation: one plan, or a whole map of them.

``plan`` answers: with this student and this much compute, which teacher, how many tokens, what loss, and
is it worth it? The answer is found by :mod:`distill_lib.scaling.answers`, for the page that plans as for this
function; here the arguments are checked, and the optimum is certified.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks, answers, formulas
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.optimality import optimality_residual
from distill_lib.scaling.plans import Plan, PlanMap
from distill_lib.scaling.questions import SCENARIOS, Question, Teacher, checked_law, checked_question

__all__ = ["SCENARIOS", "Plan", "PlanMap", "plan", "plan_map", "question_of", "replan"]


def plan(
    N_S: float,
    C: float | None = None,
    scenario: str = "teacher_inference",
    law: DistillationLaw | None = None,
    *,
    target_loss: float | None = None,
    D_S: float | None = None,
    max_D_S: float | None = None,
    max_D_T: float | None = None,
    teachers: Sequence[Teacher] | None = None,
    students_sharing: float = 1.0,
    deltas: tuple[float, float] | None = None,
    inference_tokens: float = 0.0,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
    accuracy: float | None = None,
    fitted_range: Mapping[str, Sequence[float]] | None = None,
) -> Plan:
    """Plan a distillation: the teacher and the tokens that suit a student best.

    Give a budget ``C`` for the least loss it buys, or a ``target_loss`` for the least compute that reaches
    it, or ``D_S`` alone for the best teacher on these tokens whatever it costs. N_T, D_T and D_S lie
    between 1e6 and 1e17 as in the paper (App D.4.1).

    Parameters
    ----------
    N_S : float
        Non-embedding parameters of the student.
    C : float, optional
        Total compute in FLOPs.
    scenario : {"best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference"}
        Which of the teacher's costs count (Table 2).
    law : DistillationLaw, optional
        The law to plan with; the published one, reconciled, by default.
    target_loss : float, optional
        Wanted student loss in nats per token; instead of ``C``.
    D_S : float, optional
        Student tokens, fixed.
    max_D_S : float, optional
        Most student tokens there are, for instance the size of a corpus.
    max_D_T : float, optional
        Most tokens that a teacher to be designed can be trained on: a teacher that is to learn from the same corpus
        has no more of it than the student. Without it up to 1e17, as in the paper; not with ``teachers``.
    teachers : sequence, optional
        Existing teachers to choose from: each a loss, or (N_T, D_T), or (N_T, D_T, L_T) with a measured
        loss. Without it the teacher is free to be designed.
    students_sharing : float
        Number of students like this one that share one teacher and one pass of its (stored) logits: the
        scenario's deltas are divided by it.
    deltas : tuple of float, optional
        The part of the logits and of the teacher's training that this student pays for, 0 to 1 each,
        instead of those of the scenario.
    inference_tokens : float
        Tokens the student will process in its life, at F(N_S) each; they are added to the bill.
    context : int
        Tokens of context in F(N).
    vocabulary : int
        Vocabulary in F(N), and the number of choices of a uniform guess.
    accuracy : float, optional
        Relative error of the law's losses, below which two of them count as equal in the verdict; by default
        one percent, which the paper states for both its laws. Of a fit, take its ``mean_error``.
    fitted_range : mapping, optional
        Lowest and highest N_S, D_S, N_T, D_T and L_T that the law was fitted on, as far as they are known, for
        the warnings; by default those of the paper for its own law.

    Returns
    -------
    Plan
        Print it for a table.

    Raises
    ------
    ValueError
        Naming the argument, the value, the valid range and the remedy; also for budgets too small to
        train anything, targets out of reach, and teachers worse than a uniform guess.

    Examples
    --------
    >>> p = plan(N_S=1e9, C=1e21, scenario="teacher_inference")
    >>> round(p.L_S, 3), round(p.L_supervised, 3)
    (2.217, 2.222)
    """
    question = checked_question(
        N_S=N_S,
        C=C,
        scenario=scenario,
        law=law,
        target_loss=target_loss,
        D_S=D_S,
        max_D_S=max_D_S,
        max_D_T=max_D_T,
        students_sharing=students_sharing,
        deltas=deltas,
        inference_tokens=inference_tokens,
        context=context,
        vocabulary=vocabulary,
        accuracy=accuracy,
        fitted_range=fitted_range,
        teachers=teachers,
    )
    found = answers.numbers(question.plain)
    found["warnings"] = tuple(answers.outside(found, question.plain["ranges"]))
    del found["shares"]  # a plan works them out
    if teachers is None:
        found["residual"] = optimality_residual(found, question.plain)
    return Plan(**found, law=question.law, question=question.asked)


def replan(earlier: Plan, law: DistillationLaw | None = None, **changes: Any) -> Plan:
    """Ask the question of an earlier plan again, of another law or with other arguments.

    Parameters
    ----------
    earlier : Plan
        A plan that ``plan`` made.
    law : DistillationLaw, optional
        Another law; that of the earlier plan by default.
    **changes : object
        Arguments of ``plan`` that are to be different.

    Returns
    -------
    Plan
        The new plan.

    Raises
    ------
    ValueError
        As ``plan`` does, and for a plan that does not say what was asked.
    """
    asked = {**_asked(earlier), **changes}
    return plan(**{**asked, "law": earlier.law if law is None else law})


def question_of(earlier: Plan) -> Question:
    """Return the question that a plan answers.

    Parameters
    ----------
    earlier : Plan
        A plan that ``plan`` made.

    Returns
    -------
    Question
        The question, without what the law was fitted on.

    Raises
    ------
    ValueError
        For a plan that does not say what was asked.
    """
    usual = {name: each.default for name, each in inspect.signature(plan).parameters.items()}
    return checked_question(**{**usual, **_asked(earlier)})


def _asked(earlier: Plan) -> dict[str, Any]:
    """Return the arguments of an earlier plan."""
    if not earlier.question:
        raise ValueError("this plan does not say what was asked; make it with plan(...)")
    return {"accuracy": earlier.accuracy, "law": earlier.law, **earlier.question}


def plan_map(
    N_S: ArrayLike,
    C: ArrayLike,
    scenario: str = "teacher_inference",
    law: DistillationLaw | None = None,
    *,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
) -> PlanMap:
    """Plan for every pair of a student size and a budget at once (Figs 8, 9, 17-32).

    Parameters
    ----------
    N_S : array_like
        Student sizes in parameters, one axis.
    C : array_like
        Budgets in FLOPs, one axis.
    scenario : {"best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference"}
        Which of the teacher's costs count.
    law : DistillationLaw, optional
        The law to plan with; the published one, reconciled, by default.
    context : int
        Tokens of context in F(N).
    vocabulary : int
        Vocabulary in F(N).

    Returns
    -------
    PlanMap
        Arrays of shape [sizes, budgets]; NaN where a budget cannot pay for the least plan.

    Raises
    ------
    ValueError
        Naming the first offending value, or an argument with more than one axis.
    """
    deltas = formulas.SCENARIOS[_checks.choice("scenario", scenario, SCENARIOS)]
    law = checked_law(law)
    sizes, budgets = (
        np.atleast_1d(_checks.positive(name, value)) for name, value in (("N_S", N_S), ("C", C))
    )
    for name, value in (("N_S", sizes), ("C", budgets)):
        if value.ndim > 1:
            raise ValueError(f"{name} has shape {list(value.shape)}; give one axis, the map is their product")
    size, budget = np.broadcast_arrays(sizes[:, None], budgets[None, :])
    found = formulas.plan_student(size, budget, law.to_dict(), deltas, context, vocabulary, ops=np)
    found = {
        name: np.where(found["feasible"], np.broadcast_to(value, size.shape), np.nan)
        for name, value in found.items()
        if name != "feasible"
    }
    student, logits, teacher = formulas.compute_bill(
        size, found["D_S"], found["N_T"], found["D_T"], *deltas, context, vocabulary
    )
    D_supervised = budget / (3.0 * formulas.forward_flops(size, context, vocabulary))
    D_supervised = np.where(D_supervised >= 1.0, np.minimum(D_supervised, formulas.BOUNDS[1]), np.nan)
    total = student + logits + teacher
    return PlanMap(
        N_S=sizes,
        C=budgets,
        scenario=scenario,
        **{name: found[name] for name in ("L_S", "D_S", "N_T", "D_T", "L_T")},
        L_supervised=formulas.supervised_loss(size, D_supervised, law.supervised.to_dict()),
        D_supervised=D_supervised,
        shares={
            "student_training": student / total,
            "teacher_logits": logits / total,
            "teacher_pretraining": teacher / total,
            "student_inference": 0.0 * total,
        },
        law=law,
    )
