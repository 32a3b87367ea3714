"""One teacher for a family: students of several sizes, planned together.

Given a budget, the plan makes the weighted mean of the students' losses least: over the teacher's size and tokens, and
over the tokens of each student. Given a loss for each student, it makes the compute least that reaches all of them. In
both the teacher's training is paid once. With ``a`` and ``b`` the parts of its predictions and of its training that the
scenario charges, F the FLOPs of a forward pass, and R the tokens that the teacher predicts, the bill is::

    sum_i 3 F(N_i) D_i  +  a F(N_T) R  +  b 3 F(N_T) D_T  +  sum_i F(N_i) (tokens that student i serves)

where R is the most D_i if one pass, kept, serves all students, and the sum of the D_i if each has its own. For students
of one size this is :func:`distill_lib.plan` with ``students_sharing``.

The search runs over the teacher's loss, as that for one student does (:mod:`distill_lib.scaling.formulas`): for a loss
of the teacher its cheapest size is the root of one equation, and :mod:`distill_lib.scaling.allocations` divides the rest
of the budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distill_lib import paper
from distill_lib.scaling import _checks, answers, formulas
from distill_lib.scaling.family_answers import family_plan
from distill_lib.scaling.family_plans import FamilyPlan
from distill_lib.scaling.family_search import best_of, designed
from distill_lib.scaling.family_students import Family
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.questions import SCENARIOS, Teacher, checked_law, checked_range, checked_teachers

__all__ = ["LOGITS", "FamilyPlan", "plan_family"]

LOGITS = ("shared", "each")
"""Whether one pass of the teacher serves all students, or each student has its own."""

MOST = 64
"""Students of a family, at the most."""


def plan_family(
    N_S: Sequence[float],
    C: float | None = None,
    scenario: str = "teacher_pretraining_inference",
    law: DistillationLaw | None = None,
    *,
    target_losses: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    logits: str = "shared",
    max_D_S: float | None = None,
    max_D_T: float | None = None,
    teachers: Sequence[Teacher] | None = None,
    inference_tokens: float | Sequence[float] = 0.0,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
    accuracy: float | None = None,
    fitted_range: Mapping[str, Sequence[float]] | None = None,
) -> FamilyPlan:
    """Plan one teacher for students of several sizes, and the tokens of each, within one budget.

    Give a budget ``C`` for the least weighted mean loss that it buys, or ``target_losses`` for the least compute with
    which every student reaches its own. The teacher's training is paid once, for all. N_T, D_T and D_S lie between 1e6
    and 1e17.

    Parameters
    ----------
    N_S : sequence of float
        Non-embedding parameters of each student.
    C : float, optional
        Total compute for all students and the teacher in FLOPs.
    scenario : {"best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference"}
        Which of the teacher's costs count (Table 2).
    law : DistillationLaw, optional
        The law to plan with; the published one, reconciled, by default.
    target_losses : sequence of float, optional
        Wanted loss of each student in nats per token; instead of ``C``.
    weights : sequence of float, optional
        What a nat of each student counts in the mean; equal by default. Only their ratios matter.
    logits : {"shared", "each"}
        "shared": one pass of the teacher's predictions, kept, serves all students; it is as long as the longest of
        them. "each": every student has its own.
    max_D_S : float, optional
        Most tokens of any student.
    max_D_T : float, optional
        Most tokens of a teacher to be designed.
    teachers : sequence, optional
        Existing teachers to choose from, as ``plan`` takes them.
    inference_tokens : float or sequence of float
        Tokens that each student will process in its life.
    context : int
        Tokens of context in F(N).
    vocabulary : int
        Vocabulary in F(N), and the number of choices of a uniform guess.
    accuracy : float, optional
        Relative error of the law's losses, one percent by default.
    fitted_range : mapping, optional
        What the law was fitted on, as ``plan`` takes it.

    Returns
    -------
    FamilyPlan
        Print it for a table.

    Raises
    ------
    ValueError
        Naming the argument, the value, the valid range and the remedy; also for budgets too small to train anything,
        and targets out of reach.

    Examples
    --------
    >>> p = plan_family([5e8, 1e9, 2e9], C=2e21)
    >>> p.outcome, [f"{L:.3f}" for L in p.L_S]
    ('supervised', ['2.350', '2.279', '2.260'])
    """
    sizes = _each("N_S", N_S, "N")
    if C is not None and target_losses is not None:
        raise ValueError(f"C = {C!r} and target_losses are two questions; give one of them")
    if C is None and target_losses is None:
        raise ValueError("nothing to plan for; give a budget C, or target_losses")
    if teachers is not None and max_D_T is not None:
        raise ValueError(
            f"max_D_T = {max_D_T!r} caps the tokens of a teacher that is to be designed; leave it out where teachers "
            "are given, or leave out the teachers"
        )
    if target_losses is not None and weights is not None:
        raise ValueError(
            "weights have no meaning with target_losses, which say what each student is worth; leave them out"
        )
    shares = np.array([1.0] * len(sizes) if weights is None else _each("weights", weights, "L", len(sizes)))
    served = np.ndim(inference_tokens) > 0 and list(np.ravel(np.asarray(inference_tokens, dtype=object)))
    uses = _as_many("inference_tokens", served or [inference_tokens] * len(sizes), len(sizes))
    checked = checked_law(law)
    size = [
        int(_checks.number("context", context, 1, 1e9, "give tokens of context, such as 4096")),
        int(_checks.number("vocabulary", vocabulary, 2, 1e9, "count the tokens it has")),
    ]
    family = Family(
        sizes=sizes,
        weights=tuple(float(share) for share in shares / shares.sum()),
        law=checked.to_dict(),
        deltas=formulas.SCENARIOS[_checks.choice("scenario", scenario, SCENARIOS)],
        shared=_checks.choice("logits", logits, LOGITS) == "shared",
        D_S=answers.capped(None if max_D_S is None else _checks.one("max_D_S", max_D_S, "D")),
        D_T=answers.capped(None if max_D_T is None else _checks.one("max_D_T", max_D_T, "D")),
        inference=sum(
            _checks.number(f"inference_tokens[{i}]", use, 0.0, 1e30, "give a raw count such as 1e12, or 0")
            * formulas.forward_flops(N, *size)
            for i, (use, N) in enumerate(zip(uses, sizes, strict=True))
        ),
        context=size[0],
        vocabulary=size[1],
        C=math.inf if C is None else _checks.one("C", C),
        targets=None if target_losses is None else _each("target_losses", target_losses, "L", len(sizes)),
    )
    known = {"scenario": scenario, "vocabulary": size[1], "law": family.law}
    rows = None if teachers is None else checked_teachers(teachers)
    found = designed(family) if rows is None else best_of(family, known | {"teachers": rows})
    return family_plan(
        family,
        found,
        law=checked,
        scenario=scenario,
        logits=logits,
        accuracy=paper.law_accuracy()
        if accuracy is None
        else _checks.number(
            "accuracy", accuracy, 0.0, 1.0, "give a relative error such as 0.01 for one percent"
        ),
        ranges=checked_range(fitted_range, checked),
    )


def _each(name: str, values: Any, kind: str, many: int | None = None) -> tuple[float, ...]:
    """Return one checked number for each student."""
    if not hasattr(values, "__len__") or isinstance(values, (str, bytes)) or len(values) == 0:
        raise ValueError(f"{name} = {values!r} is no list; give one number for each student of the family")
    if len(values) > MOST:
        raise ValueError(f"{name} has {len(values)} entries; a family has {MOST} students at the most")
    checked = tuple(_checks.one(f"{name}[{i}]", value, kind) for i, value in enumerate(values))
    return tuple(_as_many(name, checked, len(checked) if many is None else many))


def _as_many(name: str, values: Sequence[float], many: int) -> Sequence[float]:
    if len(values) != many:
        raise ValueError(f"{name} has {len(values)} entries for {many} students; give one for each")
    return values
