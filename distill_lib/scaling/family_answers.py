"""From a family and its teacher to the plan: the bill, the same students without a teacher, and the warnings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from distill_lib.scaling import answers, formulas
from distill_lib.scaling.allocations import allocate, shortfall
from distill_lib.scaling.family_plans import FamilyPlan
from distill_lib.scaling.family_search import Found
from distill_lib.scaling.family_students import Family
from distill_lib.scaling.laws import DistillationLaw


def family_plan(
    family: Family,
    found: Found,
    *,
    law: DistillationLaw,
    scenario: str,
    logits: str,
    accuracy: float,
    ranges: Mapping[str, tuple[float, float]],
) -> FamilyPlan:
    """Return the plan with its bill, its supervised counterpart and its warnings.

    Parameters
    ----------
    family : Family
        The students.
    found : Found
        The teacher and the tokens.
    law : DistillationLaw
        The law.
    scenario, logits : str
        As they were asked.
    accuracy : float
        Relative error of the law's losses.
    ranges : mapping
        What the law was fitted on.

    Returns
    -------
    FamilyPlan
        The plan.
    """
    base, per_token, D_S = family.law["supervised"], family.per_token, found.tokens.D_S
    F_T = 0.0 if math.isnan(found.N_T) else family.flops(found.N_T)
    losses = [
        formulas.distillation_loss(N, D, found.L_T, family.law)
        for N, D in zip(family.sizes, D_S, strict=True)
    ]
    training = tuple(p * D for p, D in zip(per_token, D_S, strict=True))
    predictions = family.deltas[0] * F_T * family.predicted(D_S)
    teacher = family.teacher_training(F_T, found.D_T)
    C = sum(training) + predictions + teacher + family.inference
    alone = family.supervised_curves()
    equal = allocate(
        alone, per_token, family.to_spend if family.targets is None else C - family.inference, family.D_S
    ).D_S
    at_equal = sum(curve(D)[0] for curve, D in zip(alone, equal, strict=True))
    D_supervised = equal
    if family.targets is not None:
        D_supervised = tuple(
            D if D <= family.D_S[1] else math.inf
            for D in (
                formulas.supervised_tokens(N, L, base) for N, L in zip(family.sizes, losses, strict=True)
            )
        )
    C_supervised = sum(p * D for p, D in zip(per_token, D_supervised, strict=True)) + family.inference
    missed = math.nan
    if family.targets is None:
        own, together = family.prices(F_T)
        missed = shortfall(found.tokens, family.curves(found.L_T), own, family.D_S, together)
    mean = sum(w * L for w, L in zip(family.weights, losses, strict=True))
    return FamilyPlan(
        N_S=family.sizes,
        weights=family.weights,
        scenario=scenario,
        logits_from=logits,
        C=C,
        budget=family.C,
        L_S=tuple(losses),
        D_S=D_S,
        N_T=found.N_T,
        D_T=found.D_T,
        L_T=found.L_T,
        L_supervised=tuple(
            formulas.supervised_loss(N, D, base) if D < math.inf else math.nan
            for N, D in zip(family.sizes, D_supervised, strict=True)
        ),
        D_supervised=D_supervised,
        C_supervised=C_supervised,
        flops_students=training,
        flops_logits=predictions,
        flops_teacher=teacher,
        flops_inference=family.inference,
        gap=math.inf if math.isinf(C_supervised) else at_equal - mean,
        law=law,
        goal="budget" if family.targets is None else "targets",
        shortfall=missed,
        accuracy=accuracy,
        teacher=found.place,
        warnings=_outside(family.sizes, D_S, found, ranges),
        vocabulary=family.vocabulary,
    )


def _outside(
    sizes: Sequence[float], tokens: Sequence[float], found: Found, ranges: Mapping[str, tuple[float, float]]
) -> tuple[str, ...]:
    """Return a sentence for each quantity outside what the law was fitted on, once for each student and the teacher."""
    teacher = {"N_T": found.N_T, "D_T": found.D_T, "L_T": found.L_T}
    said: list[str] = []
    for N, D in zip(sizes, tokens, strict=True):
        said += answers.outside({"N_S": N, "D_S": D, **teacher}, ranges)
    return tuple(dict.fromkeys(said))
