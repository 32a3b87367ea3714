"""How sure a plan is: intervals of its numbers, what the draws make of its verdict, and what it hangs on."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from distill_lib.scaling import sureness
from distill_lib.scaling.plans import Outcome, Plan
from distill_lib.scaling.sensitivity import Sensitivity
from distill_lib.scaling.tables import aligned, html_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PlanUncertainty:
    """Intervals for the numbers of a plan, and how many draws agree with its verdict.

    Parameters
    ----------
    plan : Plan
        The plan with the law itself.
    source : {"published intervals", "draws"}
        Where the other laws are from.
    level : float
        Coverage of the intervals.
    draws : int
        How many laws were asked.
    without : float
        Share of them that have no answer, such as a target out of reach; intervals and shares leave them out.
    intervals : mapping of str to (float, float, float)
        Value with the law itself, low and high, for each of ``robustness.QUANTITIES``. ``gap`` is the advantage at equal
        means; ``regret`` what is lost, nats per token, by keeping the plan where another law is true.
    wins : float
        Share of the draws in which distilling is ahead, by however little.
    holds : float
        Share of the draws that come to the same outcome: distil, supervised, or too close to call.
    sensitivities : tuple of Sensitivity
        Coefficients by what they move the advantage, the largest first.
    readings : mapping of str to Plan or None
        The plan under each reading of B', for the published law, None where it has no answer; empty for another law.
    meaning : str
        What the draws are.
    """

    plan: Plan
    source: str
    level: float
    draws: int
    without: float
    intervals: Mapping[str, tuple[float, float, float]]
    wins: float
    holds: float
    sensitivities: tuple[Sensitivity, ...]
    readings: Mapping[str, Plan | None]
    meaning: str

    @property
    def _found(self) -> dict[str, Any]:
        """What :mod:`sureness` tells in words."""
        return {
            "intervals": self.intervals,
            "wins": self.wins,
            "holds": self.holds,
            "without": self.without,
            "asked": self.draws,
            "level": self.level,
            "outcome": self.plan.outcome,
        }

    @property
    def outcome(self) -> Outcome:
        """The plan's outcome where enough draws, ``level`` of them, are on its side; else too close to call."""
        return cast(Outcome, sureness.settled(self._found))

    @property
    def survives_readings(self) -> bool | None:
        """Whether the outcome is the same under both readings of B'; None where there is but one."""
        if not self.readings:
            return None
        return sureness.survives_readings(self._readings)

    @property
    def verdict(self) -> str:
        """The outcome with what speaks for it, in one sentence."""
        return sureness.say_verdict(self._found)

    @property
    def sensitivity(self) -> str:
        """What the advantage hangs on, in one sentence."""
        rows = [(each.coefficient, each.low, each.high) for each in self.sensitivities]
        return sureness.say_sensitivity(rows, self.source == "published intervals")

    @property
    def readings_say(self) -> str:
        """Whether the outcome survives both readings of B', in one sentence; empty for another law."""
        return sureness.say_readings(self._readings)

    @property
    def _readings(self) -> list[tuple[str, dict[str, Any] | None]]:
        return [
            (name, None if found is None else {"gap": found.gap, "outcome": found.outcome})
            for name, found in self.readings.items()
        ]

    @property
    def _title(self) -> str:
        return f"The plan under {self.draws} laws " + (
            "drawn from the published intervals" if self.source == "published intervals" else "given as draws"
        )

    def _lines(self) -> list[str]:
        some = sureness.say_without(self._found)
        return [
            line for line in (self.verdict, self.sensitivity, self.readings_say, some, self.meaning) if line
        ]

    def _table(self) -> list[tuple[str, ...]]:
        return sureness.table(self._found)

    def __str__(self) -> str:
        return "\n".join([f"{self._title}:", *aligned(self._table()), *self._lines()])

    def _repr_html_(self) -> str:
        return html_table(self._title, self._table()) + "".join(
            f"<p>{html.escape(line)}</p>" for line in self._lines()
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the intervals as a table.

        Returns
        -------
        pandas.DataFrame
            Indexed by quantity: ``value``, ``low`` and ``high``.
        """
        import pandas as pd

        table = pd.DataFrame.from_dict(dict(self.intervals), orient="index", columns=["value", "low", "high"])
        return table.rename_axis("quantity")

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the plan as plain numbers and words, ready for JSON; NaN and infinity become None.

        Returns
        -------
        dict
            Intervals, shares, sensitivities, readings and the sentences.
        """
        return {
            "source": self.source,
            "level": self.level,
            "draws": self.draws,
            "without": self.without,
            "intervals": {
                name: {key: _finite(end) for key, end in zip(("value", "low", "high"), ends, strict=True)}
                for name, ends in self.intervals.items()
            },
            "wins": _finite(self.wins),
            "holds": _finite(self.holds),
            "outcome": self.outcome,
            "verdict": self.verdict,
            "sensitivities": [dataclasses.asdict(each) for each in self.sensitivities],
            "readings": {
                name: found and {"gap": _finite(found.gap), "L_S": found.L_S, "outcome": found.outcome}
                for name, found in self.readings.items()
            },
            "meaning": self.meaning,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
