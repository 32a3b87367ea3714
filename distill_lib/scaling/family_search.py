"""The search for the best teacher of a family: :mod:`families` says what is asked, :mod:`family_students` what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from distill_lib.scaling import answers, formulas
from distill_lib.scaling.allocations import Allocation
from distill_lib.scaling.family_students import Family
from distill_lib.scaling.wording import count, exact


@dataclass(frozen=True)
class Found:
    """A teacher, and the tokens of each student with it."""

    N_T: float
    D_T: float
    L_T: float
    tokens: Allocation
    place: int | None = None


def designed(family: Family) -> Found:
    """Return the best teacher of any size and tokens.

    Parameters
    ----------
    family : Family
        The students.

    Returns
    -------
    Found
        The teacher and the tokens.

    Raises
    ------
    ValueError
        Where nothing can be trained, or a target is out of reach.
    """
    base, (a, b) = family.law["supervised"], family.deltas
    terms = formulas.flop_terms(family.context, family.vocabulary)
    ranges = formulas.term_ranges(base, formulas.BOUNDS, family.D_T)

    def cheapest(z: float, t: float, tokens: Callable[[float, float], float], steps: int) -> Any:
        return formulas.cheapest_teacher(z, t, tokens, base, family.deltas, terms, ranges, steps)

    def divided(z: float, t: float, steps: int = formulas.NEWTON_STEPS) -> Any:
        """Return the cheapest teacher of loss E + e^z with the tokens of its students."""
        L_T = base["E"] + math.exp(z)

        def tokens(F_T: float, D_T: float) -> float:
            return (
                family.predicted(family.reached(family.divide(F_T, 3.0 * b * F_T * D_T, L_T))) if a else 0.0
            )

        F_T, N_T, D_T, t, slope = cheapest(z, t, tokens, steps)
        return F_T, N_T, D_T, t, slope, family.divide(F_T, 3.0 * b * F_T * D_T, L_T), L_T

    def mean_loss(z: float, t: float) -> Any:
        """Return the row (weighted mean loss, slope, z, t) of the best students of this teacher."""
        _, _, _, t, cost_slope, found, L_T = divided(z, t)
        value, by_loss = 0.0, 0.0
        for N, weight, D in zip(family.sizes, family.weights, found.D_S, strict=True):
            term, _, by_teacher = formulas.student_term(N, D, L_T, family.law)
            gain = math.exp(term)
            value += weight * (L_T + gain)
            by_loss += weight * (1.0 + gain * by_teacher / L_T)
        return value, by_loss * math.exp(z) + found.price * cost_slope, z, t

    def bill(z: float, t: float) -> Any:
        """Return the row (ln C, slope, z, t) of the least compute; where a target is missed, by how much."""
        F_T, _, D_T, t, cost_slope, wanted, L_T = divided(z, t)
        D_S = family.reached(wanted)
        missed, by_missed = -math.inf, 0.0
        own, together = family.prices(F_T)
        total = together * max(D_S) + 3.0 * b * F_T * D_T
        slope, longest = cost_slope, D_S.index(max(D_S))
        for i, (N, D) in enumerate(zip(family.sizes, D_S, strict=True)):
            term, by_tokens, by_teacher = formulas.student_term(N, D, L_T, family.law)
            gain = math.exp(term)
            by_loss = (1.0 + gain * by_teacher / L_T) * math.exp(z)
            assert family.targets is not None
            if wanted.D_S[i] == math.inf and L_T + gain - family.targets[i] > missed:
                missed, by_missed = L_T + gain - family.targets[i], by_loss
            total += own[i] * D
            price = own[i] + (together if i == longest else 0.0)
            if D > family.D_S[0] * (1.0 + 1e-12):
                slope -= price * by_loss / (gain * by_tokens) * D
        if missed > -math.inf:
            return formulas.OUT_OF_REACH + missed, by_missed, z, t
        return math.log(total), slope / total, z, t

    def least_bill(z: float, t: float) -> Any:
        least = [family.D_S[0]] * len(family.sizes)
        F_T, _, D_T, t, slope = cheapest(
            z, t, lambda F_T, D_T: family.predicted(least), formulas.NEWTON_STEPS
        )
        return family.bill(F_T, D_T, least), slope, t

    top = math.log(formulas.supervised_loss(formulas.BOUNDS[0], family.D_T[0], base) - base["E"])
    bottom = math.log(formulas.supervised_loss(formulas.BOUNDS[1], family.D_T[1], base) - base["E"])
    spaces = formulas.TEACHER_SCAN
    if family.targets is None:
        bottom, feasible = formulas.strongest_teacher(
            least_bill, family.to_spend, top, bottom, 0.0, formulas.Floats
        )
        if not feasible:
            raise ValueError(
                f"C = {exact(family.C)} is too small to train anything: the least teacher with {family.D_S[0]:.3g} tokens for "
                f"each student costs {least_bill(top, 0.0)[0] + family.inference:.4g} FLOPs, so give C of at least that"
            )
        parts = [1.0 - i / spaces for i in range(spaces)]
        if a + b > 0.0:  # the students are left with nothing at the last one: close in on it
            parts += [0.5**i / spaces for i in range(1, formulas.EDGE_SCAN)]
        evaluate = mean_loss
        grid = [bottom + (top - bottom) * part for part in [*parts, 0.0]]
    else:
        # Students stay above their teacher.
        top = min(top, math.log(max(min(family.targets) - base["E"], math.exp(bottom) * 1.001)))
        evaluate = bill
        grid = [top + (bottom - top) * i / spaces for i in range(spaces + 1)]
    value, _, z, t = formulas.lowest_point(evaluate, grid, 0.0)
    if family.targets is not None and value >= formulas.OUT_OF_REACH:
        raise ValueError(_out_of_reach(family, "one teacher for all"))
    _, N_T, D_T, *_ = divided(z, t, 2 * formulas.NEWTON_STEPS)
    N_T = min(max(N_T, formulas.BOUNDS[0]), formulas.BOUNDS[1])
    D_T = min(max(D_T, family.D_T[0]), family.D_T[1])
    L_T, F_T = formulas.supervised_loss(N_T, D_T, base), family.flops(N_T)
    tokens = family.divide(F_T, 3.0 * b * F_T * D_T, L_T)
    if family.targets is not None and math.isinf(max(tokens.D_S)):
        # A hair above the last teacher that serves.
        tokens = Allocation(tuple(family.reached(tokens)), math.nan, max(family.reached(tokens)))
    return Found(N_T, D_T, L_T, tokens)


def best_of(family: Family, question: Mapping[str, Any]) -> Found:
    """Return the best of the teachers that exist.

    Parameters
    ----------
    family : Family
        The students.
    question : mapping
        ``teachers`` as rows (N_T, D_T, L_T), with ``scenario``, ``law`` and ``vocabulary``.

    Returns
    -------
    Found
        The teacher, its place and the tokens.

    Raises
    ------
    ValueError
        For what is no teacher, and where none serves.
    """
    best, best_value = None, math.inf
    for place in range(len(question["teachers"])):
        N_T, D_T, L_T = answers.known_teacher(question, family.deltas, place)
        F_T = 0.0 if math.isnan(N_T) else family.flops(N_T)
        training = family.teacher_training(F_T, D_T)
        least = family.bill(F_T, D_T, [family.D_S[0]] * len(family.sizes))
        if family.targets is None and least > family.to_spend * (1.0 + 1e-12):
            continue
        tokens = family.divide(F_T, training, L_T)
        if math.isinf(max(tokens.D_S)):
            continue
        value = (
            family.bill(F_T, D_T, tokens.D_S)
            if family.targets is not None
            else sum(curve(D)[0] for curve, D in zip(family.curves(L_T), tokens.D_S, strict=True))
        )
        if value < best_value:
            best, best_value = Found(N_T, D_T, L_T, tokens, place), value
    if best is None:
        raise ValueError(
            _out_of_reach(family, "each of the given teachers")
            if family.targets is not None
            else f"no given teacher serves: C = {exact(family.C)} cannot pay for one of them and {family.D_S[0]:.3g} tokens for "
            "each student; give a larger budget, or other teachers"
        )
    return best


def _out_of_reach(family: Family, whom: str) -> str:
    assert family.targets is not None
    wanted = ", ".join(f"{L:g} of {count(N)}" for N, L in zip(family.sizes, family.targets, strict=True))
    floors = ", ".join(f"{formulas.best_teacher(family.law, N, family.D_S[1])[1]:.4f}" for N in family.sizes)
    return (
        f"target_losses ({wanted}) are out of reach with {whom}; with the best teacher of its own and up to "
        f"{family.D_S[1]:.3g} tokens each gets above {floors} nats, and they must agree on one teacher: ask for more"
    )
