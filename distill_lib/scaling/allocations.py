"""How students who share a budget divide it: the tokens of each, such that no move between them would help.

At the best division a FLOP buys the same fall of the weighted loss wherever it is spent: that is the price of compute.
For a given price every student wants its own number of tokens; the price is right when they spend the budget. Where
one pass of a teacher's predictions serves all students, it is as long as the longest of them, and those who stop there
pay for it together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

STEPS = 100  # of a root search, at the most; ten are the rule
TOLERANCE = 1e-13
POINTS = 400  # token counts at which a division is checked against all others

Curve = Callable[[float], tuple[float, float]]
"""Takes tokens, gives the weighted loss and its fall for each e-fold of tokens."""


@dataclass(frozen=True)
class Allocation:
    """The tokens of each student.

    Parameters
    ----------
    D_S : tuple of float
        Tokens.
    price : float
        Weighted loss that one more FLOP would take away; 0 where compute is left over.
    longest : float
        Tokens of the pass that all share, the most of ``D_S``.
    """

    D_S: tuple[float, ...]
    price: float
    longest: float


def falling_root(evaluate: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function passes zero, or the end it does not reach, by regula falsi (Illinois).

    Parameters
    ----------
    evaluate : callable
        The function.
    low, high : float
        Where to look.

    Returns
    -------
    float
        The place.
    """
    at_low, at_high = evaluate(low), evaluate(high)
    if at_low <= 0.0:
        return low
    if at_high >= 0.0:
        return high
    last = 0.0
    for step in range(STEPS):
        place = (low * at_high - high * at_low) / (at_high - at_low)
        if step % 8 == 7 or not low < place < high:
            place = 0.5 * (low + high)
        value = evaluate(place)
        if value == 0.0 or high - low <= TOLERANCE * max(1.0, abs(place)):
            return place
        if value > 0.0:
            low, at_low = place, value
            at_high *= 0.5 if last > 0.0 else 1.0
        else:
            high, at_high = place, value
            at_low *= 0.5 if last < 0.0 else 1.0
        last = value
    return 0.5 * (low + high)


def allocate(
    curves: Sequence[Curve],
    per_token: Sequence[float],
    budget: float,
    bounds: tuple[float, float],
    shared: float = 0.0,
) -> Allocation:
    """Divide a budget among students so that the sum of their weighted losses is least.

    It is, where each loss falls ever more slowly with tokens, as it does under the published laws; ``shortfall`` tells
    how far from the least it can be at the most.

    Parameters
    ----------
    curves : sequence of callable
        The weighted loss of each student by its tokens.
    per_token : sequence of float
        FLOPs of each student's tokens.
    budget : float
        FLOPs to spend; may be infinite.
    bounds : tuple of float
        Least and most tokens of each.
    shared : float
        FLOPs of each token of the longest student, paid once.

    Returns
    -------
    Allocation
        All at the least, if the budget is too small even for that.
    """
    low, high = math.log(bounds[0]), math.log(bounds[1])
    students = range(len(curves))

    def worth(i: int, s: float) -> float:
        """Return the logarithm of what a FLOP spent on this student buys at e^s tokens."""
        fall = curves[i](math.exp(s))[1]
        return (math.log(fall) if fall > 0.0 else -math.inf) - s - math.log(per_token[i])

    def divided(log_price: float) -> tuple[list[float], float]:
        """Return ln of the tokens of each at a price, and of the longest of them."""
        own = [falling_root(lambda s, i=i: worth(i, s) - log_price, low, high) for i in students]  # type: ignore[misc]
        longest = max(own)
        if shared > 0.0:
            price = math.exp(log_price)

            def surplus(s: float) -> float:
                """Return what all who would go beyond e^s tokens would gain there, less the price of the pass."""
                gains = (
                    max(curves[i](math.exp(s))[1] / math.exp(s) - price * per_token[i], 0.0) for i in students
                )
                return sum(gains) - price * shared

            longest = falling_root(surplus, low, longest)
        return [min(s, longest) for s in own], longest

    def spent(found: tuple[list[float], float]) -> float:
        return sum(p * math.exp(s) for p, s in zip(per_token, found[0], strict=True)) + shared * math.exp(
            found[1]
        )

    everything = ([high] * len(curves), high)
    if spent(everything) <= budget:
        return Allocation((bounds[1],) * len(curves), 0.0, bounds[1])
    dear = max(worth(i, low) for i in students) + 1.0
    cheap = min(worth(i, high) for i in students) - math.log(1.0 + shared / min(per_token)) - 1.0
    wanted = math.log(budget) if budget > 0.0 else -math.inf
    log_price = falling_root(lambda v: math.log(spent(divided(v))) - wanted, cheap, dear)
    tokens, longest = divided(log_price)
    return Allocation(tuple(math.exp(s) for s in tokens), math.exp(log_price), math.exp(longest))


def shortfall(
    found: Allocation,
    curves: Sequence[Curve],
    per_token: Sequence[float],
    bounds: tuple[float, float],
    shared: float = 0.0,
) -> float:
    """Return by how much an allocation misses the least sum of weighted losses at the most.

    At its price no other tokens may give less loss and bill together (weak duality), whether or not the losses fall
    ever more slowly; they are looked for at many tokens between the bounds.

    Parameters
    ----------
    found : Allocation
        What ``allocate`` gave.
    curves, per_token, bounds, shared
        What it was given.

    Returns
    -------
    float
        Weighted loss; 0 for the best allocation.
    """
    grid = np.unique(np.concatenate([np.geomspace(*bounds, POINTS), np.array(found.D_S), [found.longest]]))
    total, here = found.price * shared * grid, found.price * shared * found.longest
    for curve, flops, D in zip(curves, per_token, found.D_S, strict=True):
        costs = np.array([curve(float(tokens))[0] for tokens in grid]) + found.price * flops * grid
        total = total + np.minimum.accumulate(costs)  # a student may stop before the longest
        here += curve(D)[0] + found.price * flops * D
    return max(float(here - total.min()), 0.0)
