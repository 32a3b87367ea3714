"""Whether a plan is the best one: the first-order conditions of its optimum, checked after the search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from distill_lib.scaling import answers, formulas


def optimality_residual(plan: Mapping[str, Any], question: Mapping[str, Any]) -> float:
    """Return how far a plan is from satisfying the first-order (Karush-Kuhn-Tucker) conditions.

    In the logarithms v of (D_S, N_T, D_T), at the optimum some price lam >= 0 of compute makes
    dL_S/dv + lam dlnC/dv zero for each v inside its bounds, not negative at a lower and not positive at an
    upper bound; lam is 0 where compute is left over.

    Parameters
    ----------
    plan : mapping
        Numbers of a plan with a teacher that was designed, as :mod:`distill_lib.scaling.answers` gives them.
    question : mapping
        What it answers.

    Returns
    -------
    float
        The largest violation, nats per e-fold, at the price that makes it least.
    """
    law, means = question["law"], answers.meaning(question)
    bounds = {"D_S": means["D_S"], "N_T": formulas.BOUNDS, "D_T": means["D_T"]}
    base, deltas, target = law["supervised"], means["deltas"], question["target_loss"]
    excess, by_tokens, by_teacher = formulas.student_term(plan["N_S"], plan["D_S"], plan["L_T"], law)
    gain = math.exp(excess)
    x, y = (
        base["A"] * plan["N_T"] ** -base["alpha"],
        base["B"] * plan["D_T"] ** -base["beta"],
    )
    outer = base["gamma"] * (x + y) ** (base["gamma"] - 1.0)
    by_L_T = 1.0 + gain * by_teacher / plan["L_T"]
    slopes = (
        gain * by_tokens,
        -by_L_T * outer * base["alpha"] * x,
        -by_L_T * outer * base["beta"] * y,
    )
    # Whether the plan spends all it may, so that compute may have a price. With a target loss: whether the target is
    # met exactly; a plan that is better than it must only be as cheap as can be.
    tight = (
        plan["C"] - plan["flops_inference"] > means["to_spend"] * (1.0 - 1e-9)
        if target is None
        else plan["L_S"] > target * (1.0 - 1e-9)
    )
    n = plan["N_T"] ** (1.0 / 3.0)
    c1, c2 = formulas.flop_terms(question["context"], question["vocabulary"])
    phi = ((n + 2.0 / 3.0 * c1) * n + c2 / 3.0) / ((n + c1) * n + c2)
    F_T = 2.0 * n * ((n + c1) * n + c2)
    logits, training = deltas[0] * F_T * plan["D_S"], 3.0 * deltas[1] * F_T * plan["D_T"]
    student = plan["flops_student"]
    bill = student + logits + training
    prices = ((student + logits) / bill, phi * (logits + training) / bill, training / bill)

    def violation(lam: float) -> float:
        worst = 0.0
        for name, slope, price in zip(("D_S", "N_T", "D_T"), slopes, prices, strict=True):
            low, high = bounds[name]
            value, net = plan[name], slope + lam * price
            down, up = max(net, 0.0), max(-net, 0.0)  # what moving down or up would gain
            can_fall, can_rise = value > low * (1.0 + 1e-9), value < high * (1.0 - 1e-9)
            worst = max(worst, down if can_fall else 0.0, up if can_rise else 0.0)
        return worst

    if target is not None and not tight:
        slopes = (0.0, 0.0, 0.0)
        return violation(1.0)
    candidates = [0.0]
    if tight:
        candidates += [max(-s / p, 0.0) for s, p in zip(slopes, prices, strict=True) if p > 0.0]
    return min(violation(lam) for lam in candidates)
