"""What the plan of a family of students is, and how it reads; :mod:`families` makes it."""

from __future__ import annotations

import dataclasses
import functools
import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distill_lib import paper
from distill_lib.scaling import formulas
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.plans import Outcome
from distill_lib.scaling.storage import LogitStorage, logit_storage
from distill_lib.scaling.tables import aligned, html_table
from distill_lib.scaling.wording import count

FORMAT = "distill-lib family plan 1"
"""Mark of every family plan that was written down."""


@dataclass(frozen=True)
class FamilyPlan:
    """One teacher for students of several sizes, and how they divide the compute.

    Parameters
    ----------
    N_S, weights : tuple of float
        Parameters of each student, and its weight in the mean; the weights add up to 1.
    scenario : str
        Who pays for the teacher.
    logits_from : {"shared", "each"}
        Whether one pass of the teacher's predictions serves all students, or each has its own.
    C, budget : float
        What the plan spends, FLOPs, the students' lifetime inference included, and what it was allowed to spend;
        infinite for target losses.
    L_S, D_S : tuple of float
        Loss and tokens of each student.
    N_T, D_T, L_T : float
        Parameters, tokens and loss of the teacher; NaN for what is not known of an existing one.
    L_supervised, D_supervised : tuple of float
        The students trained without a teacher: with the same budget, divided as well as can be, or to the same
        losses. Infinite tokens where supervised training cannot get there.
    C_supervised : float
        What that spends.
    flops_students : tuple of float
        Training of each student.
    flops_logits, flops_teacher, flops_inference : float
        Teacher's predictions, its training, and the use of all students.
    gap : float
        Weighted mean of nats per token by which distilling is ahead at equal means; negative where it is behind,
        infinite where supervised training cannot get there.
    law : DistillationLaw
        The law it was planned with.
    goal : {"budget", "targets"}
        What was given.
    shortfall : float
        By how much, at the most, the weighted mean loss misses the least one with this teacher and this compute, by
        weak duality. NaN for target losses, where the tokens of each student follow from the teacher.
    accuracy : float
        Relative error of the law's losses: means closer than this share count as equal.
    teacher : int or None
        Place in the list of given teachers of the one that was picked.
    warnings : tuple of str
        What lies outside the range that the law was fitted on.
    vocabulary : int
        Tokens in the vocabulary, for the storage of logits.
    """

    N_S: tuple[float, ...]
    weights: tuple[float, ...]
    scenario: str
    logits_from: str
    C: float
    budget: float
    L_S: tuple[float, ...]
    D_S: tuple[float, ...]
    N_T: float
    D_T: float
    L_T: float
    L_supervised: tuple[float, ...]
    D_supervised: tuple[float, ...]
    C_supervised: float
    flops_students: tuple[float, ...]
    flops_logits: float
    flops_teacher: float
    flops_inference: float
    gap: float
    law: DistillationLaw
    goal: str = "budget"
    shortfall: float = math.nan
    accuracy: float = paper.law_accuracy()
    teacher: int | None = None
    warnings: tuple[str, ...] = ()
    vocabulary: int = formulas.VOCABULARY

    @property
    def mean_L_S(self) -> float:
        """Weighted mean of the students' losses, nats per token: the objective, where a budget was given."""
        return sum(w * L for w, L in zip(self.weights, self.L_S, strict=True))

    @property
    def mean_L_supervised(self) -> float:
        """Weighted mean of the losses without a teacher, nats per token."""
        return sum(w * L for w, L in zip(self.weights, self.L_supervised, strict=True))

    @property
    def shares(self) -> dict[str, float]:
        """Parts of C by what they are spent on; they add up to 1."""
        return {
            "student_training": sum(self.flops_students) / self.C,
            "teacher_logits": self.flops_logits / self.C,
            "teacher_pretraining": self.flops_teacher / self.C,
            "student_inference": self.flops_inference / self.C,
        }

    @property
    def outcome(self) -> Outcome:
        """What the plan comes to for the family as a whole: distil, train supervised, or too close to call."""
        if abs(self.gap) < self.accuracy * self.mean_L_S:
            return "too close to call"
        return "distil" if self.gap > 0.0 else "supervised"

    @functools.cached_property
    def verdict(self) -> str:
        """Whether to distil the family, in one sentence."""
        who = "it" if self.outcome == "distil" else "distilling"
        why = self._why_for_targets(who) if self.goal == "targets" else self._why(who)
        if self.outcome == "too close to call":
            nats = f"{self.accuracy * self.mean_L_S:.3f}"
            return f"Too close to call, for the law tells losses apart by {nats} nats at best: by its numbers {why}."
        return f"{'Distil' if self.outcome == 'distil' else 'Train supervised'}: {why}."

    def _why(self, who: str) -> str:
        gains = [alone - L for alone, L in zip(self.L_supervised, self.L_S, strict=True)]
        least, most = (gains.index(pick(gains)) for pick in (min, max))
        each = (
            ""
            if len(gains) == 1
            else (
                f", from {gains[least]:+.3f} for the student of {count(self.N_S[least])} to {gains[most]:+.3f} for that of "
                f"{count(self.N_S[most])}"
            )
        )
        verb = "wins" if self.gap > 0.0 else "loses"
        return f"with this budget {who} {verb} {abs(self.gap):.3f} nats in the weighted mean{each}"

    def _why_for_targets(self, who: str) -> str:
        if math.isinf(self.C_supervised):
            out = [count(N) for N, D in zip(self.N_S, self.D_supervised, strict=True) if math.isinf(D)]
            return f"supervised training cannot reach the loss asked of {', '.join(out)}, whatever the tokens"
        return f"{who} needs {self.C / self.C_supervised:.2f} times the compute of supervised training"

    def logits(self, top_k: int | None = None) -> LogitStorage:
        """Return what it takes to keep all that the teacher predicts for the family, in bfloat16.

        Parameters
        ----------
        top_k : int, optional
            How many logits of each token are kept, the largest; all of them by default.

        Returns
        -------
        LogitStorage
            Its bytes, and a sentence.
        """
        tokens = max(self.D_S) if self.logits_from == "shared" else sum(self.D_S)
        return logit_storage(tokens, vocabulary=self.vocabulary, top_k=top_k)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain numbers and words, ready for JSON; NaN and infinity become None.

        Returns
        -------
        dict
            Every field, with the means, ``shares``, ``outcome``, ``verdict`` and the law's coefficients.
        """
        fields: dict[str, Any] = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields |= {"format": FORMAT, "law": self.law.to_dict(), "shares": self.shares}
        fields |= {
            name: getattr(self, name) for name in ("mean_L_S", "mean_L_supervised", "outcome", "verdict")
        }
        return {key: _finite(value) for key, value in fields.items()}

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON text in several lines.

        Returns
        -------
        str
            Without NaN or infinity.
        """
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def _students(self) -> list[tuple[str, ...]]:
        header = ("student", "weight", "tokens D_S", "compute", "loss L_S", "supervised", "its tokens")
        columns = (self.N_S, self.weights, self.D_S, self.flops_students, self.L_S, self.L_supervised)
        return [
            header,
            *(
                (count(N), f"{w:.2g}", count(D), f"{F / self.C:.1%}", f"{L:.4f}", _loss(alone), count(M))
                for N, w, D, F, L, alone, M in zip(*columns, self.D_supervised, strict=True)
            ),
        ]

    def _whole(self) -> list[tuple[str, ...]]:
        alone, use = self.C_supervised - self.flops_inference, self.flops_inference
        parts = [
            ("student training", sum(self.flops_students), alone),
            ("teacher logits", self.flops_logits, 0.0),
            ("teacher training", self.flops_teacher, 0.0),
            *([("student inference", use, use)] if use > 0.0 else []),
        ]
        return [
            ("", "distilled", "supervised"),
            ("weighted mean loss (nats/token)", f"{self.mean_L_S:.4f}", _loss(self.mean_L_supervised)),
            ("teacher loss L_T (nats/token)", f"{self.L_T:.4f}", ""),
            ("teacher size N_T (parameters)", count(self.N_T), ""),
            ("teacher tokens D_T", count(self.D_T), ""),
            ("compute C (FLOPs)", f"{self.C:.3g}", f"{self.C_supervised:.3g}"),
            *((f"  for {name}", f"{here:.3g}", f"{there:.3g}") for name, here, there in parts),
        ]

    @property
    def _title(self) -> str:
        scenario = self.scenario.replace("_", " ")
        passes = "one pass of logits for all" if self.logits_from == "shared" else "logits for each"
        return f"Family of {len(self.N_S)} students, {scenario}, {passes}, {self.law.name or 'own'} law"

    def __str__(self) -> str:
        notes = [f"Note: {warning}" for warning in self.warnings]
        return "\n".join(
            [self._title, *aligned(self._students()), "", *aligned(self._whole()), self.verdict, *notes]
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        return (
            html_table(self._title, self._students())
            + html_table("The family as a whole", self._whole())
            + f"<p>{html.escape(self.verdict)}</p>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )


def _finite(value: Any) -> Any:
    """Return a value with None for NaN and infinity, as JSON knows them."""
    if isinstance(value, tuple):
        return [_finite(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _loss(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "out of reach"
