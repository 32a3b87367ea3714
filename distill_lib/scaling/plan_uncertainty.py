"""How sure a plan is: intervals of its numbers, what the draws make of its verdict, and what it hangs on."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill_lib.scaling.plans import Outcome, Plan
from distill_lib.scaling.sensitivity import Sensitivity
from distill_lib.scaling.tables import aligned, html_table
from distill_lib.scaling.wording import count as words

if TYPE_CHECKING:
    import pandas as pd

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
"""Numbers of a plan that get an interval."""

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

_VERBS = {"distil": "distil", "supervised": "train supervised"}


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
        Value with the law itself, low and high, for each of ``QUANTITIES``. ``gap`` is the advantage at equal
        means; ``regret`` what is lost, nats per token, by keeping the plan where another law is true.
    wins : float
        Share of the draws in which distilling is ahead, by however little.
    holds : float
        Share of the draws that come to the same outcome: distil, supervised, or too close to call.
    sensitivities : tuple of Sensitivity
        Coefficients by what they move the advantage, the largest first.
    readings : mapping of str to Plan
        The plan under each reading of B', for the published law; empty for another.
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
    readings: Mapping[str, Plan]
    meaning: str

    @property
    def outcome(self) -> Outcome:
        """The plan's outcome where enough draws, ``level`` of them, are on its side; else too close to call."""
        ahead = {"distil": self.wins, "supervised": 1.0 - self.wins}.get(self.plan.outcome, 0.0)
        return self.plan.outcome if ahead >= self.level else "too close to call"

    @property
    def survives_readings(self) -> bool | None:
        """Whether the outcome is the same under both readings of B'; None where there is but one."""
        if not self.readings:
            return None
        return len({found.outcome for found in self.readings.values()}) == 1

    @property
    def verdict(self) -> str:
        """The outcome with what speaks for it, in one sentence."""
        _, low, high = self.intervals["gap"]
        said = {"distil": "Distil", "supervised": "Train supervised"}.get(self.outcome, "Too close to call")
        value = _nats(self.intervals["gap"][0])
        by = f"advantage {value} nats, {100 * self.level:g} % of the draws between {_nats(low)} and {_nats(high)}"
        leans = self.plan.outcome != "too close to call" and self.outcome == "too close to call"
        lean = f", though the law alone says to {_VERBS[self.plan.outcome]}" if leans else ""
        agree = f"the law's outcome ({self.plan.outcome}) holds in {self.holds:.0%}"
        return (
            f"{said}{lean}: {by}; distilling is ahead in {self.wins:.0%} of {self.draws} draws, and {agree}."
        )

    @property
    def sensitivity(self) -> str:
        """What the advantage hangs on, in one sentence."""
        if not self.sensitivities:
            return ""
        first, *others = self.sensitivities[:3]
        alone = (
            "one half-width of its interval"
            if self.source == "published intervals"
            else "one half-width of its spread, others moving along,"
        )
        rest = " and ".join(f"{each.coefficient} ({each.size:.3f})" for each in others)
        return (
            f"Most depends on {first.coefficient}: {alone} moves the advantage by {_nats(first.low)} or "
            f"{_nats(first.high)} nats" + (f"; then {rest}." if rest else ".")
        )

    @property
    def readings_say(self) -> str:
        """Whether the outcome survives both readings of B', in one sentence; empty for another law."""
        if not self.readings:
            return ""
        each = "; ".join(
            f"{name}: advantage {_nats(found.gap)} nats, {found.outcome}"
            for name, found in self.readings.items()
        )
        survives = "survives" if self.survives_readings else "does not survive"
        return f"The outcome {survives} both readings of B' ({each})."

    @property
    def _title(self) -> str:
        return f"The plan under {self.draws} laws " + (
            "drawn from the published intervals" if self.source == "published intervals" else "given as draws"
        )

    def _lines(self) -> list[str]:
        some = f"{self.without:.0%} of the draws have no answer and are left out." if self.without else ""
        return [
            line for line in (self.verdict, self.sensitivity, self.readings_say, some, self.meaning) if line
        ]

    def _table(self) -> list[tuple[str, ...]]:
        shown = [name for name in QUANTITIES if self._is_open(name)]
        low, high = (f"{50.0 * (1.0 + side * self.level):.3g} %" for side in (-1.0, 1.0))
        header = ("", "plan", f"low ({low})", f"high ({high})")
        return [
            header,
            *((LABELS[name], *(_write(name, end) for end in self.intervals[name])) for name in shown),
        ]

    def _is_open(self, name: str) -> bool:
        """Whether a number is one that the question left open and that is known."""
        value, low, high = self.intervals[name]
        same = all(math.isclose(end, value, rel_tol=1e-9) for end in (low, high))
        return not (math.isnan(low) or same)

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
                name: {"gap": _finite(found.gap), "L_S": found.L_S, "outcome": found.outcome}
                for name, found in self.readings.items()
            },
            "meaning": self.meaning,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _nats(value: float) -> str:
    return f"{value:+.3f}" if math.isfinite(value) else ("unlimited" if value > 0 else "unknown")


def _write(name: str, value: float) -> str:
    if name in ("gap", "regret"):
        return _nats(value)
    if name.startswith("L"):
        return f"{value:.4f}" if math.isfinite(value) else "out of reach"
    return f"{value:.3g}" if name.startswith("C") and math.isfinite(value) else words(value)
