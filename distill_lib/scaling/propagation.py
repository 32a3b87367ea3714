"""The law's uncertainty carried to a plan: the same question, asked of many laws that may just as well hold.

For the published law these are drawn from the printed intervals (``draw_published_laws`` says what that is
worth); for a fit of one's own they are the laws of its bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from distill_lib.scaling import _checks, robustness
from distill_lib.scaling.hinges import along_draws, one_by_one
from distill_lib.scaling.law_draws import MEANING, MEANING_WITHIN, draw_published_laws
from distill_lib.scaling.laws import READINGS, DistillationLaw, Reading, published_law
from distill_lib.scaling.plan_uncertainty import PlanUncertainty
from distill_lib.scaling.planning import question_of, replan
from distill_lib.scaling.plans import Plan
from distill_lib.scaling.sensitivity import Sensitivity, moved_laws


class TooFewAnswers(ValueError):
    """Hardly any of the other laws has an answer to a question, such as a target out of their reach."""


OF_DRAWS = "Resamples of the runs: what the law's form cannot say, and runs unlike these, are not in it."
"""What draws of a bootstrap are, in words."""


def plan_uncertainty(
    plan: Plan,
    draws: Iterable[DistillationLaw] | Any = None,
    *,
    level: float = robustness.LEVEL,
    count: int = robustness.LAWS,
    seed: int = 0,
    widen: float = 1.0,
    within: float | None = None,
) -> PlanUncertainty:
    """Ask a plan's question of many laws, and report how its numbers and its verdict vary.

    Without ``draws`` the laws come from the 90 % intervals of Table 6, each coefficient on its own, since the
    paper prints no covariances; see ``draw_published_laws`` for why such a spread is no confidence interval.
    For a fit of one's own give its bootstrap: coefficients then move together as the runs demand.

    Parameters
    ----------
    plan : Plan
        As :func:`~distill_lib.scaling.planning.plan` made it.
    draws : sequence of DistillationLaw or Bootstrap, optional
        Laws that the plan's law may just as well be; by default drawn for the published law.
    level : float
        Coverage of the intervals, and the share of draws on one side that a verdict needs.
    count : int
        How many laws to draw, or to take of those given.
    seed : int
        Seed of the drawing.
    widen : float
        Factor on the printed half-widths.
    within : float, optional
        Keep only drawn laws whose losses stay within this share of the published ones where these were fitted,
        such as 0.01, the accuracy that the paper states.

    Returns
    -------
    PlanUncertainty
        Print it for a table.

    Raises
    ------
    ValueError
        For arguments out of range, for a law of one's own without draws, and for draws that are no
        distillation laws or of which hardly any has an answer (then a ``TooFewAnswers``).

    Examples
    --------
    >>> from distill_lib.scaling.planning import plan
    >>> found = plan_uncertainty(plan(1e9, 1e20, "best_case"), count=100)
    >>> found.outcome, found.wins > 0.95
    ('distil', True)
    """
    level = _checks.number("level", level, 0.01, 0.999, "it is a coverage such as 0.9")
    count = _checks.whole("count", count, 2)
    published = draws is None
    if published:
        laws: Sequence[DistillationLaw] = draw_published_laws(
            count, _reading(plan.law), seed=seed, widen=widen, within=within
        )
    else:
        laws = _given(draws, count)
    question, kept = question_of(plan).plain, vars(plan)
    plain = [law.to_dict() for law in laws]
    rows = [robustness.under_law(question, law, kept) for law in plain]
    found = robustness.spread(rows, robustness.under_law(question, question["law"], kept), level)
    if found is None:
        answered = sum(row is not None for row in rows)
        raise TooFewAnswers(
            f"only {answered} of {len(laws)} draws have an answer to this question; ask for less, such as a "
            "larger budget or a higher target_loss"
        )
    if published:
        reading = _reading(plan.law)
        moved = [(name, low.to_dict(), high.to_dict()) for name, low, high in moved_laws(reading, widen)]
        hinges = one_by_one(question, kept, moved)
    else:
        gaps = [math.nan if row is None else row["gap"] for row in rows]
        hinges = along_draws(gaps, plain, level)
    return PlanUncertainty(
        plan=plan,
        source="published intervals" if published else "draws",
        level=level,
        draws=len(laws),
        without=found["without"],
        intervals=found["intervals"],
        wins=found["wins"],
        holds=found["holds"],
        sensitivities=tuple(Sensitivity(*row) for row in hinges),
        readings={name: _under(plan, name) for name in READINGS} if published else {},
        meaning=_meaning(within) if published else OF_DRAWS,
    )


def _under(plan: Plan, reading: Reading) -> Plan | None:
    """Ask the same of one reading; None where it has no answer, such as a target out of its reach."""
    try:
        return replan(plan, published_law(reading))
    except ValueError:
        return None


def _meaning(within: float | None) -> str:
    return MEANING if within is None else MEANING_WITHIN.format(within=within)


def _reading(law: DistillationLaw) -> Reading:
    """Return the reading of the published law that a law is; refuse any other."""
    for reading in READINGS:
        if law == published_law(reading):
            return reading
    raise ValueError(
        f"the law {law.name or 'of this plan'!r} is not the published one, whose intervals are known; give draws, "
        "such as fit.bootstrap(400), or save the fit with --bootstrap 400 --save"
    )


def _given(draws: Any, count: int) -> list[DistillationLaw]:
    """Return the first laws of those given, or of a bootstrap."""
    laws = draws.laws(count) if hasattr(draws, "laws") else list(draws)[:count]
    for place, law in enumerate(laws):
        if not isinstance(law, DistillationLaw):
            raise ValueError(
                f"draws[{place}] = {law!r} is no DistillationLaw; take those of a distillation fit"
            )
    if len(laws) < 2:
        raise ValueError(f"draws has {len(laws)} laws; give 2 at least, better 400")
    return laws
