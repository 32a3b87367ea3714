"""How sure a plan is, in words: its verdict with what speaks for it, what it hangs on, and a table of intervals.

Plain Python that also runs under MicroPython, as :mod:`distill_lib.scaling.robustness` does, whose answers it tells.
"""

import math

from distill_lib.scaling import hinges
from distill_lib.scaling.robustness import QUANTITIES
from distill_lib.scaling.wording import count, fixed, general

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

LABELS = {
    "L_S": "student loss L_S (nats/token)",
    "L_supervised": "supervised loss (nats/token)",
    "gap": "advantage (nats/token)",
    "D_S": "student tokens D_S",
    "D_supervised": "supervised tokens",
    "L_T": "teacher loss L_T (nats/token)",
    "N_T": "teacher size N_T (parameters)",
    "D_T": "teacher tokens D_T",
    "C": "compute C (FLOPs)",
    "C_supervised": "supervised compute (FLOPs)",
    "regret": "lost by keeping this plan (nats)",
}
"""How the numbers of a plan are called, with units."""

_VERBS = {"distil": "distil", "supervised": "train supervised"}


def settled(found: Any) -> str:
    """Return the outcome where enough laws, ``level`` of them, are on its side; else "too close to call".

    Parameters
    ----------
    found : dict
        What ``spread`` gave.

    Returns
    -------
    str
        The outcome.
    """
    ahead = {"distil": found["wins"], "supervised": 1.0 - found["wins"]}.get(found["outcome"], 0.0)
    return found["outcome"] if ahead >= found["level"] else "too close to call"


def say_verdict(found: Any) -> str:
    """Return the outcome with what speaks for it, in one sentence.

    Parameters
    ----------
    found : dict
        What ``spread`` gave.

    Returns
    -------
    str
        The sentence.
    """
    value, low, high = found["intervals"]["gap"]
    outcome, alone = settled(found), found["outcome"]
    said = {"distil": "Distil", "supervised": "Train supervised"}.get(outcome, "Too close to call")
    lean = ""
    if alone != "too close to call" and outcome == "too close to call":
        lean = f", though the law alone says to {_VERBS[alone]}"
    by = (
        f"advantage {nats(value)} nats, {general(100.0 * found['level'], 6)} % of the draws between {nats(low)} and "
        f"{nats(high)}"
    )
    return (
        f"{said}{lean}: {by}; distilling is ahead in {_percent(found['wins'])} of {found['asked']} draws, and the law's "
        f"outcome ({alone}) holds in {_percent(found['holds'])}."
    )


def say_sensitivity(rows: Any, published: bool) -> str:
    """Return what the advantage hangs on, in one sentence; empty where nothing is known of it.

    Parameters
    ----------
    rows : list of tuple
        What ``one_by_one`` gave for the published law, or ``along_draws`` for another.
    published : bool
        Which of the two.

    Returns
    -------
    str
        The sentence.
    """
    if len(rows) == 0:
        return ""
    symbol, low, high = rows[0]
    alone = (
        "one half-width of its interval"
        if published
        else "one half-width of its spread, others moving along,"
    )
    rest = " and ".join([f"{row[0]} ({fixed(hinges.size(row), 3)})" for row in rows[1:3]])
    return f"Most depends on {symbol}: {alone} moves the advantage by {nats(low)} or {nats(high)} nats" + (
        f"; then {rest}." if rest else "."
    )


def say_readings(readings: Any) -> str:
    """Return whether the outcome survives both readings of B', in one sentence; empty for another law.

    Parameters
    ----------
    readings : list of tuple
        (name, what ``under_law`` gave) for each reading.

    Returns
    -------
    str
        The sentence.
    """
    if len(readings) == 0:
        return ""
    each = "; ".join(
        [
            f"{name}: no answer"
            if found is None
            else f"{name}: advantage {nats(found['gap'])} nats, {found['outcome']}"
            for name, found in readings
        ]
    )
    survives = "survives" if survives_readings(readings) else "does not survive"
    return f"The outcome {survives} both readings of B' ({each})."


def survives_readings(readings: Any) -> bool:
    """Return whether the outcome is the same under all readings, and there is one.

    Parameters
    ----------
    readings : list of tuple
        As ``say_readings`` takes it.

    Returns
    -------
    bool
        False also where a reading has no answer.
    """
    outcomes = [None if found is None else found["outcome"] for _, found in readings]
    return None not in outcomes and len(set(outcomes)) == 1


def say_without(found: Any) -> str:
    """Return how many laws have no answer; empty where all have one.

    Parameters
    ----------
    found : dict
        What ``spread`` gave.

    Returns
    -------
    str
        The sentence.
    """
    return (
        f"{_percent(found['without'])} of the draws have no answer and are left out."
        if found["without"]
        else ""
    )


def table(found: Any) -> Any:
    """Return the intervals as people read them: of what the question left open, and what is known.

    Parameters
    ----------
    found : dict
        What ``spread`` gave.

    Returns
    -------
    list of tuple of str
        (quantity, plan, low, high), the first of them a header.
    """
    quantiles = [general(50.0 * (1.0 + side * found["level"]), 3) for side in (-1.0, 1.0)]
    rows = [("", "plan", f"low ({quantiles[0]} %)", f"high ({quantiles[1]} %)")]
    for name in QUANTITIES:
        value, low, high = found["intervals"][name]
        if not (math.isnan(low) or (_same(low, value) and _same(high, value))):
            rows.append((LABELS[name], written(name, value), written(name, low), written(name, high)))
    return rows


def _same(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def written(name: str, value: float) -> str:
    """Write a number of a plan.

    Parameters
    ----------
    name : str
        One of ``QUANTITIES``.
    value : float
        The number.

    Returns
    -------
    str
        Losses in four decimals, differences in three with their sign, counts in three digits.
    """
    if name in ("gap", "regret"):
        return nats(value)
    if name[0] == "L":
        return fixed(value, 4) if math.isfinite(value) else "out of reach"
    return general(value, 3) if name[0] == "C" and math.isfinite(value) else count(value)


def nats(value: float) -> str:
    """Write a difference of losses with its sign.

    Parameters
    ----------
    value : float
        Nats per token.

    Returns
    -------
    str
        Three decimals; "unlimited" and "unknown" for what has none.
    """
    if not math.isfinite(value):
        return "unlimited" if value > 0 else "unknown"
    text = fixed(value, 3)
    return text if text[0] == "-" else "+" + text


def _percent(share: float) -> str:
    return fixed(100.0 * share, 0) + "%"
