"""What a plan is, how it reads, and why its verdict is what it is; :mod:`planning` makes plans."""

from __future__ import annotations

import dataclasses
import functools
import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

import distill_lib
from distill_lib import paper
from distill_lib.scaling import formulas, verdicts
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.storage import LogitStorage, logit_storage
from distill_lib.scaling.tables import aligned, html_table
from distill_lib.scaling.wording import count

if TYPE_CHECKING:
    from distill_lib.scaling.plan_uncertainty import PlanUncertainty

FORMAT = "distill-lib plan 1"
"""Mark of every plan that was written down; a change of what follows raises the number."""

Outcome = Literal["distil", "supervised", "too close to call"]

_INFINITE = ("budget", "D_supervised", "C_supervised")  # what None in a file stands for; NaN elsewhere
_DERIVED = ("shares", "outcome", "verdict", "advantage")  # written down, but not read back
_BESIDE = ("format", "report")  # what a file may hold beside the plan


@dataclass(frozen=True)
class Plan:
    """A way to spend compute on a student of a given size, and what it gives.

    Parameters
    ----------
    N_S : float
        Parameters of the student.
    scenario : str
        Who pays for the teacher.
    C : float
        What the plan spends, FLOPs, the student's lifetime inference included.
    budget : float
        What it was allowed to spend; infinite for a target loss or fixed tokens alone.
    L_S, D_S : float
        Loss and tokens of the student.
    N_T, D_T, L_T : float
        Parameters, tokens and loss of the teacher. NaN for what is not known of an existing teacher.
    L_supervised, D_supervised, C_supervised : float
        The student trained without a teacher: with the same budget, to the same loss, or on the same
        tokens, whichever was fixed.
    flops_student, flops_logits, flops_teacher, flops_inference : float
        Where C goes: student training, teacher logits, teacher training, use of the student.
    law : DistillationLaw
        The law it was planned with.
    residual : float
        How far the optimality (Karush-Kuhn-Tucker) conditions are from holding: nats per e-fold of N_T,
        D_T or D_S that could be gained to first order. NaN where the teacher was picked from a list.
    warnings : tuple of str
        Inputs and results outside what the published laws were fitted on, each with its range.
    goal : {"budget", "target", "tokens"}
        What was fixed.
    accuracy : float
        Relative error of the law's losses. Two losses closer than this share count as equal in the outcome
        and in the verdict: the law cannot tell them apart. The paper states one percent for both its laws.
    teacher : int or None
        Place in the list of given teachers of the one that was picked.
    question : mapping
        The arguments that were asked with, apart from the law.
    """

    N_S: float
    scenario: str
    C: float
    budget: float
    L_S: float
    D_S: float
    N_T: float
    D_T: float
    L_T: float
    L_supervised: float
    D_supervised: float
    C_supervised: float
    flops_student: float
    flops_logits: float
    flops_teacher: float
    flops_inference: float
    law: DistillationLaw
    residual: float = math.nan
    warnings: tuple[str, ...] = ()
    goal: str = "budget"
    accuracy: float = paper.law_accuracy()
    teacher: int | None = None
    question: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def shares(self) -> dict[str, float]:
        """Parts of C by what they are spent on; they add up to 1."""
        return {
            "student_training": self.flops_student / self.C,
            "teacher_logits": self.flops_logits / self.C,
            "teacher_pretraining": self.flops_teacher / self.C,
            "student_inference": self.flops_inference / self.C,
        }

    @property
    def advantage(self) -> float:
        """Nats per token that distillation wins over supervised training; negative where it loses."""
        return self.L_supervised - self.L_S

    @functools.cached_property
    def gap(self) -> float:
        """Nats per token by which distilling is ahead at equal means; negative where it is behind.

        With a target loss both students reach the same loss, so the supervised one gets the compute of the
        plan here; otherwise the gap is the advantage. Infinite where supervised training cannot get there.
        """
        return float(verdicts.gap(vars(self), self.law.to_dict()))

    @functools.cached_property
    def outcome(self) -> Outcome:
        """What the plan comes to: distil, train supervised, or too close to call for the law."""
        return cast(Outcome, verdicts.outcome(vars(self), self.law.to_dict()))

    @functools.cached_property
    def reason(self) -> dict[str, float]:
        """Advantage in two parts: ``teacher``, from a free best teacher, less ``bill``, the cost of this one.

        A free teacher would leave the student all the tokens of supervised training. Nats per token.
        """
        return dict(verdicts.reason(vars(self), self.law.to_dict()))

    @functools.cached_property
    def verdict(self) -> str:
        """Whether to distil, and why, in one sentence."""
        return verdicts.verdict(vars(self), self.law.to_dict(), self.question.get("max_D_S"))

    def logits(self, top_k: int | None = None, dtype: str = "bfloat16") -> LogitStorage:
        """Return what it takes to store the teacher's logits for all tokens of the student.

        Parameters
        ----------
        top_k : int, optional
            Keep only so many of the largest of each row.
        dtype : {"float32", "float16", "bfloat16", "float8"}
            Type of the values.

        Returns
        -------
        LogitStorage
            Print it for a sentence.
        """
        vocabulary = self.question.get("vocabulary", formulas.VOCABULARY)
        return logit_storage(self.D_S, vocabulary=vocabulary, top_k=top_k, dtype=dtype)

    # What is built on plans answers through the public face: it lies above this module.

    def plot(self, **options: Any) -> tuple[Any, Any]:
        """Draw loss against compute, distilled and supervised, and loss against the teacher's loss.

        Parameters
        ----------
        **options : object
            ``decades``, ``points`` and ``L_T``, as ``figures.plan_charts`` takes them.

        Returns
        -------
        tuple of matplotlib.figure.Figure and numpy.ndarray
            As ``figures.plan_charts`` returns them.
        """
        fig, axes = distill_lib.figures.plan_charts(self, **options)
        return fig, axes

    def uncertainty(self, draws: Any = None, **options: Any) -> PlanUncertainty:
        """Carry the law's uncertainty to every number of the plan, and to its verdict.

        Parameters
        ----------
        draws : sequence of DistillationLaw or Bootstrap, optional
            Laws that the law may just as well be; by default drawn from the intervals of Table 6.
        **options : object
            ``level``, ``seed``, ``count``, ``widen`` and ``within``, as ``plan_uncertainty`` takes them.

        Returns
        -------
        PlanUncertainty
            Print it for a table.
        """
        return distill_lib.plan_uncertainty(self, draws, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain numbers and words, ready for JSON; NaN and infinity become None.

        Returns
        -------
        dict
            Every field, with ``shares``, ``outcome``, ``verdict`` and the law's coefficients.
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields |= {"format": FORMAT, "warnings": list(self.warnings), "law": self.law.to_dict()}
        fields |= {"question": _plain(self.question)}
        fields |= {name: getattr(self, name) for name in _DERIVED}
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in fields.items()
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Return the plan as JSON text, from which :meth:`from_dict` makes the same plan again.

        Parameters
        ----------
        indent : int, optional
            Spaces of each level; None for one line.

        Returns
        -------
        str
            The text, without NaN or infinity.
        """
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """Return the plan that :meth:`to_dict` described.

        Parameters
        ----------
        values : mapping
            As read from JSON; what follows from the fields, such as the verdict, is not read.

        Returns
        -------
        Plan
            Equal to the first in every field.

        Raises
        ------
        ValueError
            If it is no plan: for another format, and for missing or unknown fields.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        if values.get("format") != FORMAT:
            raise ValueError(
                f"format = {values.get('format')!r} is no plan ({FORMAT!r}); save one with to_json"
            )
        missing = [name for name in names if name not in values]
        unknown = sorted(set(values) - {*names, *_DERIVED, *_BESIDE})
        if missing or unknown:
            raise ValueError(
                f"a plan takes {', '.join(names)}; missing: {', '.join(missing) or 'none'}; "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        fields = {name: values[name] for name in names}
        for name in names:
            if fields[name] is None and name != "teacher":
                fields[name] = math.inf if name in _INFINITE else math.nan
        fields["law"] = DistillationLaw.from_dict(values["law"])
        fields["warnings"] = tuple(values["warnings"])
        fields["question"] = {name: _tuples(value) for name, value in values["question"].items()}
        return cls(**fields)

    def _table(self) -> list[tuple[str, str, str]]:
        """Return rows of (quantity with its unit, distilled, supervised)."""
        parts = {
            "student training": (self.flops_student, self.C_supervised - self.flops_inference),
            "teacher logits": (self.flops_logits, 0.0),
            "teacher training": (self.flops_teacher, 0.0),
            "student inference": (self.flops_inference, self.flops_inference),
        }
        return [
            ("student loss L_S (nats/token)", f"{self.L_S:.4f}", _loss(self.L_supervised)),
            ("student tokens D_S", count(self.D_S), count(self.D_supervised)),
            ("teacher loss L_T (nats/token)", f"{self.L_T:.4f}", ""),
            ("teacher size N_T (parameters)", count(self.N_T), ""),
            ("teacher tokens D_T", count(self.D_T), ""),
            ("compute C (FLOPs)", f"{self.C:.3g}", f"{self.C_supervised:.3g}"),
            *(
                (f"  for {name}", _part(here, self.C), _part(there, self.C_supervised))
                for name, (here, there) in parts.items()
                if here > 0.0 or name != "student inference"
            ),
        ]

    def _title(self) -> str:
        scenario = self.scenario.replace("_", " ")
        return f"Student of {count(self.N_S)} parameters, {scenario}, {self.law.name or 'own'} law"

    def __str__(self) -> str:
        lines = aligned([("", "distilled", "supervised"), *self._table()])
        return "\n".join(
            [self._title(), *lines, self.verdict, *(f"Note: {warning}" for warning in self.warnings)]
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        return (
            html_table(self._title(), [("", "distilled", "supervised"), *self._table()])
            + f"<p>{html.escape(self.verdict)}</p>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )


@dataclass(frozen=True)
class PlanMap:
    """Plans for every pair of a student size and a budget; arrays have shape [sizes, budgets].

    Cells whose budget cannot pay for the least plan hold NaN.

    Parameters
    ----------
    N_S : numpy.ndarray
        Student sizes, shape [sizes].
    C : numpy.ndarray
        Budgets in FLOPs, shape [budgets].
    scenario : str
        Who pays for the teacher.
    L_S, D_S, N_T, D_T, L_T : numpy.ndarray
        The best plans.
    L_supervised, D_supervised : numpy.ndarray
        Supervised training with the same budgets.
    shares : mapping of str to numpy.ndarray
        Parts of the compute, by the names of :attr:`Plan.shares`.
    law : DistillationLaw
        The law planned with.
    """

    N_S: np.ndarray
    C: np.ndarray
    scenario: str
    L_S: np.ndarray
    D_S: np.ndarray
    N_T: np.ndarray
    D_T: np.ndarray
    L_T: np.ndarray
    L_supervised: np.ndarray
    D_supervised: np.ndarray
    shares: Mapping[str, np.ndarray]
    law: DistillationLaw

    @property
    def advantage(self) -> np.ndarray:
        """Nats per token that distillation wins over supervised training; negative where it loses."""
        return self.L_supervised - self.L_S


def _part(flops: float, whole: float) -> str:
    """Write a part of the compute with its share."""
    return f"{flops:.3g} ({flops / whole:6.1%})" if 0.0 < flops < math.inf else f"{flops:g}"


def _plain(value: Any) -> Any:
    """Return mappings, tuples and numbers as JSON knows them."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    """Turn the lists of JSON back into tuples."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _loss(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "out of reach"
