"""How sure a plan is: the same question asked of other laws, what the answers make of the verdict, and what it hangs on.

Plain Python that also runs under MicroPython, as :mod:`distill_lib.scaling.formulas` does: the page that plans and
:func:`distill_lib.plan_uncertainty` say the same because they ask here. Questions and plans are the dicts of
:mod:`distill_lib.scaling.answers`, laws those of :mod:`distill_lib.scaling.formulas`.
"""

import math

from distill_lib.scaling import formulas, verdicts
from distill_lib.scaling.answers import numbers
from distill_lib.scaling.wording import count, fixed, general

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

LEVEL = 0.9
"""Coverage of the intervals, and the share of laws on one side that a verdict needs, unless told otherwise."""

LAWS = 400
"""How many laws are asked, unless told otherwise."""

QUANTITIES = (
    "L_S",
    "L_supervised",
    "gap",
    "D_S",
    "D_supervised",
    "L_T",
    "N_T",
    "D_T",
    "C",
    "C_supervised",
    "regret",
)
"""Numbers of a plan that get an interval, in this order, which MicroPython's dicts do not keep."""

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
"""How they are called, with units."""

SUPERVISED = ("E", "A", "B", "alpha", "beta", "gamma")
DISTILLATION = ("A", "B", "alpha", "beta", "gamma", "c0", "c1", "f1", "d1")

_VERBS = {"distil": "distil", "supervised": "train supervised"}


# ---------------------------------------------------------------- asking other laws


def under_law(question: Any, law: Any, kept: Any) -> Any:
    """Ask a question of another law.

    Parameters
    ----------
    question : dict
        What the plan was asked, with the law it was asked of.
    law : dict
        Coefficients of the other law.
    kept : dict
        The plan with the law itself.

    Returns
    -------
    dict or None
        ``QUANTITIES`` and the ``outcome`` of the plan under this law; None where it has no answer, such as a target
        out of its reach. ``gap`` is the advantage at equal means, ``regret`` what is lost, nats per token, by keeping
        the first plan.
    """
    asked = dict(question)
    asked["law"] = law
    try:
        plan = numbers(asked)
    except ValueError:
        return None
    found = {name: plan[name] for name in QUANTITIES if name not in ("gap", "regret")}
    found["gap"], found["outcome"] = verdicts.gap(plan, law), verdicts.outcome(plan, law)
    found["regret"] = math.nan
    if kept["goal"] != "target":  # with a target loss the two spend differently: no loss to compare
        L_T = loss_of_teacher(kept, question["law"], law)
        found["regret"] = formulas.distillation_loss(kept["N_S"], kept["D_S"], L_T, law) - plan["L_S"]
    return found


def loss_of_teacher(plan: Any, law: Any, other: Any) -> float:
    """Return the loss of a plan's teacher under another law: the same if it was measured.

    Parameters
    ----------
    plan : dict
        The plan.
    law, other : dict
        The law it was made with, and the other one.

    Returns
    -------
    float
        L_T, nats per token.
    """
    N_T, D_T, L_T = plan["N_T"], plan["D_T"], plan["L_T"]
    if math.isnan(N_T) or formulas.supervised_loss(N_T, D_T, law["supervised"]) != L_T:
        return L_T
    return formulas.supervised_loss(N_T, D_T, other["supervised"])


def spread(found: Any, point: Any, level: float = LEVEL) -> Any:
    """Return how far the plans under other laws lie apart, and how many of them agree.

    Parameters
    ----------
    found : list of dict
        What ``under_law`` gave for each law.
    point : dict
        What it gives for the law itself.
    level : float
        Coverage.

    Returns
    -------
    dict or None
        ``intervals``: the value with the law itself, low and high, for each of ``QUANTITIES``; ``wins``, ``holds`` and
        ``without``: the shares of laws under which distilling is ahead, which come to the same outcome, and which have
        no answer; ``asked``, how many were asked, ``level``, and the ``outcome`` of the law itself. None of fewer than
        two answers.
    """
    known = [each for each in found if each is not None]
    if len(known) < 2:
        return None
    intervals = {}
    for name in QUANTITIES:
        low, high = ends([each[name] for each in known], level)
        intervals[name] = (point[name], low, high)
    return {
        "intervals": intervals,
        "wins": sum([1.0 for each in known if each["gap"] > 0.0]) / len(known),
        "holds": sum([1.0 for each in known if each["outcome"] == point["outcome"]]) / len(known),
        "without": 1.0 - len(known) / len(found),
        "asked": len(found),
        "level": level,
        "outcome": point["outcome"],
    }


def ends(values: Any, level: float) -> Any:
    """Return both ends of the percentile interval; infinite values count, unknown ones do not.

    Parameters
    ----------
    values : list of float
        In any order.
    level : float
        Coverage.

    Returns
    -------
    tuple of float
        Low and high; NaN if no value is known.
    """
    known = sorted([value for value in values if not math.isnan(value)])
    if len(known) == 0:
        return math.nan, math.nan
    return closest(known, 0.5 - 0.5 * level), closest(known, 0.5 + 0.5 * level)


def closest(values: Any, part: float) -> float:
    """Return the value that lies closest to a quantile; of two equally close ones that of even rank.

    No interpolation: a value between a finite and an infinite one would be none.

    Parameters
    ----------
    values : list of float
        Sorted.
    part : float
        From 0 to 1.

    Returns
    -------
    float
        What ``numpy.quantile`` gives by the method "closest_observation".
    """
    place = len(values) * part - 1.5
    below = math.floor(place)
    i = below if place == below and below % 2 == 1 else below + 1
    return values[max(i, 0)]


# ---------------------------------------------------------------- what the verdict hangs on


def one_by_one(question: Any, kept: Any, moved: Any) -> Any:
    """Return how far the advantage moves with each coefficient alone.

    Parameters
    ----------
    question, kept : dict
        As ``under_law`` takes them.
    moved : list
        (symbol, law with its low end, law with its high end) for each coefficient.

    Returns
    -------
    list of tuple
        (symbol, change at the low end, change at the high end), nats per token, the largest first; a change is NaN
        where a law has no answer, and coefficients of which nothing is known are left out.
    """
    middle, rows = verdicts.gap(kept, question["law"]), []
    for symbol, low, high in moved:
        found = [under_law(question, law, kept) for law in (low, high)]
        changes = [math.nan if each is None else each["gap"] - middle for each in found]
        rows.append((symbol, changes[0], changes[1]))
    return _ranked(rows)


def along_draws(values: Any, laws: Any, level: float = LEVEL) -> Any:
    """Regress an answer on the logarithm of each coefficient over laws, in which all move together.

    Parameters
    ----------
    values : list of float
        The answer of each law; one that is not finite is left out.
    laws : list of dict
        The laws.
    level : float
        Coverage of the intervals whose half-widths the slopes are taken over.

    Returns
    -------
    list of tuple
        As ``one_by_one`` returns it; coefficients that are the same in all laws are left out.
    """
    known = [i for i in range(len(values)) if math.isfinite(values[i])]
    if len(known) < 2:
        return []
    y, rows = [values[i] for i in known], []
    mean_y = sum(y) / len(y)
    for part, names in (("supervised", SUPERVISED), ("distillation", DISTILLATION)):
        for name in names:
            of = [laws[i][part][name] if part == "supervised" else laws[i][name] for i in known]
            x = [math.log(max(value, formulas.TINY)) for value in of]
            if max(x) - min(x) <= 1e-12:
                continue
            mean_x, both, own = sum(x) / len(x), 0.0, 0.0
            for i in range(len(x)):
                both += (x[i] - mean_x) * (y[i] - mean_y)
                own += (x[i] - mean_x) ** 2
            low, high = ends(x, level)
            middle = closest(sorted(x), 0.5)
            symbol = name + "'" if part == "distillation" and name in SUPERVISED else name
            rows.append((symbol, both / own * (low - middle), both / own * (high - middle)))
    return _ranked(rows)


def _ranked(rows: Any) -> Any:
    """Return the rows of which a change is known, the largest first."""
    known = [row for row in rows if math.isfinite(row[1]) or math.isfinite(row[2])]
    return sorted(known, key=lambda row: (-size(row), row[0]))


def size(row: Any) -> float:
    """Return the larger change of a row.

    Parameters
    ----------
    row : tuple
        (symbol, change at the low end, change at the high end).

    Returns
    -------
    float
        Nats per token, without its sign.
    """
    return max([abs(change) for change in row[1:] if math.isfinite(change)])


# ---------------------------------------------------------------- in words


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
    rest = " and ".join([f"{row[0]} ({fixed(size(row), 3)})" for row in rows[1:3]])
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
