"""What a plan is asked for: every argument checked, and the answer put together once a plan is found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_lib import paper
from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.laws import READINGS, DistillationLaw, published_law
from distill_lib.scaling.plans import Plan

SCENARIOS = tuple(formulas.SCENARIOS)
"""Names of the four scenarios (Table 2), cheapest teacher first."""

Teacher = float | Sequence[float]


def checked_law(law: DistillationLaw | None) -> DistillationLaw:
    """Return the law to plan with: the one given, or the published one.

    Parameters
    ----------
    law : DistillationLaw or None
        The law a caller gave.

    Returns
    -------
    DistillationLaw
        The law, the reconciled reading of the published one by default.

    Raises
    ------
    ValueError
        For anything else.
    """
    if law is None:
        return published_law()
    if not isinstance(law, DistillationLaw):
        raise ValueError(f"law = {law!r} is no DistillationLaw; take published_law() or a fit's law")
    return law


@dataclass(frozen=True)
class Question:
    """The checked arguments of ``plan``.

    Parameters
    ----------
    N_S : float
        Parameters of the student.
    C : float
        Total compute in FLOPs; infinite where none was given.
    scenario : str
        Who pays for the teacher.
    law : DistillationLaw
        The law to plan with.
    target_loss : float or None
        Wanted student loss, nats per token.
    D_S_bounds : tuple of float
        Least and most student tokens.
    D_S_fixed : bool
        Whether they were given.
    deltas : tuple of float
        The part of logits and of the teacher's training that this student pays for.
    inference : float
        FLOPs of the student's use in its life.
    context, vocabulary : int
        What F(N) counts with.
    accuracy : float
        Relative error of the law's losses.
    fitted_range : mapping
        What the law was fitted on.
    asked : mapping
        The arguments as a plan remembers them.
    """

    N_S: float
    C: float
    scenario: str
    law: DistillationLaw
    target_loss: float | None
    D_S_bounds: tuple[float, float]
    D_S_fixed: bool
    deltas: tuple[float, float]
    inference: float
    context: int
    vocabulary: int
    accuracy: float
    fitted_range: Mapping[str, tuple[float, float]]
    asked: Mapping[str, Any]

    @classmethod
    def checked(cls, **given: Any) -> Question:
        """Check every argument, and that together they ask one question.

        Parameters
        ----------
        **given : object
            The arguments of ``plan``, all of them.

        Returns
        -------
        Question
            The question.

        Raises
        ------
        ValueError
            Naming the argument, the value, the valid range and the remedy.
        """
        law = checked_law(given["law"])
        N_S = _checks.one("N_S", given["N_S"])
        fixed, most, C, target = given["D_S"], given["max_D_S"], given["C"], given["target_loss"]
        if C is not None and target is not None:
            raise ValueError(f"C = {C!r} and target_loss = {target!r} are two questions; give one of them")
        if C is None and target is None and fixed is None:
            raise ValueError("nothing to plan for; give a budget C, a target_loss, or student tokens D_S")
        if fixed is not None and most is not None:
            raise ValueError(f"D_S = {fixed!r} is fixed already; leave out max_D_S = {most!r}")
        low, high = formulas.BOUNDS
        if fixed is not None:
            low = high = _checks.one("D_S", fixed)
        elif most is not None:
            high = min(_checks.one("max_D_S", most, "D"), high)
            low = min(low, high)
        deltas = formulas.SCENARIOS[_checks.choice("scenario", given["scenario"], SCENARIOS)]
        if given["deltas"] is not None:
            if len(given["deltas"]) != 2:
                raise ValueError(f"deltas = {given['deltas']!r}; give two parts (logits, pretraining)")
            logits, pretraining = (
                _checks.number(f"deltas[{i}]", value, 0.0, 1.0, "it is the part this student pays for")
                for i, value in enumerate(given["deltas"])
            )
            deltas = (logits, pretraining)
        sharing = _checks.number(
            "students_sharing", given["students_sharing"], 1.0, 1e12, "count the students, 1 at least"
        )
        context = _checks.number("context", given["context"], 1, 1e9, "give tokens of context, such as 4096")
        vocabulary = _checks.number("vocabulary", given["vocabulary"], 2, 1e9, "count the tokens it has")
        tokens = _checks.number(
            "inference_tokens", given["inference_tokens"], 0.0, 1e30, "give a raw count such as 1e12, or 0"
        )
        return cls(
            N_S=N_S,
            C=math.inf if C is None else _checks.one("C", C),
            scenario=given["scenario"],
            law=law,
            target_loss=None if target is None else _checks.one("target_loss", target, "L"),
            D_S_bounds=(low, high),
            D_S_fixed=fixed is not None,
            deltas=(deltas[0] / sharing, deltas[1] / sharing),
            inference=tokens * formulas.forward_flops(N_S, context, vocabulary),
            context=int(context),
            vocabulary=int(vocabulary),
            accuracy=paper.law_accuracy()
            if given["accuracy"] is None
            else _checks.number(
                "accuracy", given["accuracy"], 0.0, 1.0, "give a relative error such as 0.01 for one percent"
            ),
            fitted_range=_checked_range(given["fitted_range"], law),
            asked={name: _remembered(value) for name, value in given.items() if name not in _NOT_ASKED},
        )

    @property
    def to_spend(self) -> float:
        """What is left of the budget for training."""
        return self.C - self.inference

    @property
    def flops_per_token(self) -> float:
        """FLOPs of a training step per token of the student."""
        return 3.0 * formulas.forward_flops(self.N_S, self.context, self.vocabulary)

    def best(self) -> dict[str, Any]:
        """Return the best plan with a teacher of any size.

        Returns
        -------
        dict
            As ``formulas.plan_student`` returns it.
        """
        return formulas.plan_student(
            self.N_S,
            self.to_spend,
            self.law.to_dict(),
            self.deltas,
            self.context,
            self.vocabulary,
            D_S_bounds=self.D_S_bounds,
            target_loss=self.target_loss,
        )

    def why_infeasible(self) -> str:
        """Return the message of a question without an answer.

        Returns
        -------
        str
            What is out of reach, and what to give instead.
        """
        least, most = self.D_S_bounds
        if self.target_loss is not None:
            floor = float(self.law.best_teacher(self.N_S, most)[1])
            return (
                f"target_loss = {self.target_loss!r} is out of reach: a student of {self.N_S:g} parameters "
                f"gets above {floor:.4f} nats with up to {most:.3g} tokens; ask for more, or a larger student"
            )
        teacher = formulas.BOUNDS[0]
        bill = sum(
            formulas.compute_bill(
                self.N_S, least, teacher, teacher, *self.deltas, self.context, self.vocabulary
            )
        )
        return (
            f"C = {self.C!r} is too small to train anything: with {least:.3g} student tokens and the least "
            f"teacher the bill is {bill + self.inference:.4g} FLOPs, so give C of at least that"
        )

    def answer(self, found: dict[str, Any]) -> Plan:
        """Return the plan with its bill, its supervised counterpart and its warnings.

        Parameters
        ----------
        found : dict
            L_S, D_S, N_T, D_T and L_T of the plan; of a given teacher also its place, ``teacher``.

        Returns
        -------
        Plan
            The plan.
        """
        known = not math.isnan(found["N_T"])
        student, logits, teacher = (
            formulas.compute_bill(
                self.N_S,
                found["D_S"],
                found["N_T"],
                found["D_T"],
                *self.deltas,
                self.context,
                self.vocabulary,
            )
            if known
            else (self.flops_per_token * found["D_S"], 0.0, 0.0)
        )
        D_supervised, goal = self._supervised_tokens(found["D_S"])
        base = self.law.supervised
        # Only the losses of tokens below one are out of the law's reach.
        L_supervised = base.loss(self.N_S, D_supervised) if 1.0 <= D_supervised < math.inf else math.nan
        return Plan(
            N_S=self.N_S,
            scenario=self.scenario,
            C=student
            + (logits if self.deltas[0] else 0.0)
            + (teacher if self.deltas[1] else 0.0)
            + self.inference,
            budget=self.C,
            **{name: float(found[name]) for name in ("L_S", "D_S", "N_T", "D_T", "L_T")},
            L_supervised=float(L_supervised),
            D_supervised=D_supervised,
            C_supervised=self.flops_per_token * D_supervised + self.inference,
            flops_student=student,
            flops_logits=logits if self.deltas[0] else 0.0,
            flops_teacher=teacher if self.deltas[1] else 0.0,
            flops_inference=self.inference,
            law=self.law,
            warnings=_extrapolations({"N_S": self.N_S, **found}, self.fitted_range),
            goal=goal,
            accuracy=self.accuracy,
            teacher=found.get("teacher"),
            question=self.asked,
        )

    def _supervised_tokens(self, D_S: float) -> tuple[float, str]:
        """Return the tokens of the supervised counterpart, and what the two have in common."""
        if self.target_loss is not None:
            tokens = float(self.law.supervised.tokens_for_loss(self.N_S, self.target_loss))
            most = formulas.BOUNDS[1] if self.D_S_fixed else self.D_S_bounds[1]
            return (tokens if tokens <= most else math.inf), "target"
        if math.isinf(self.C):
            return D_S, "tokens"
        affordable = self.to_spend / self.flops_per_token
        # A cap on tokens is a cap on data, for either student.
        return min(affordable, self.D_S_bounds[1]), "budget"


_NOT_ASKED = ("law", "accuracy", "fitted_range")  # a plan has fields of its own for them


def _remembered(value: Any) -> Any:
    """Return an argument as plain numbers and tuples, as a plan keeps it."""
    if isinstance(value, (str, int)) or value is None:
        return value
    if hasattr(value, "__len__"):
        return tuple(_remembered(each) for each in value)
    return float(value)


def _checked_range(
    given: Mapping[str, Sequence[float]] | None, law: DistillationLaw
) -> Mapping[str, tuple[float, float]]:
    """Return what the law was fitted on: as given, the paper's for its own law, or nothing."""
    known = paper.fitted_ranges()
    if given is None:
        return known if law.name in READINGS else {}
    checked = {}
    for name, ends in given.items():
        _checks.choice("fitted_range (quantity)", name, known)
        low, high = (_checks.one(f"fitted_range {name}", end, name[0]) for end in _pair(name, ends))
        if low > high:
            raise ValueError(f"fitted_range {name} = ({low:g}, {high:g}) falls; give (lowest, highest)")
        checked[name] = (low, high)
    return checked


def _pair(name: str, ends: Sequence[float]) -> Sequence[float]:
    if not hasattr(ends, "__len__") or len(ends) != 2:
        raise ValueError(f"fitted_range {name} = {ends!r} is no pair; give (lowest, highest)")
    return ends


def _extrapolations(
    found: dict[str, Any], fitted_range: Mapping[str, tuple[float, float]]
) -> tuple[str, ...]:
    """Return a sentence for each quantity outside what the law was fitted on."""
    return tuple(
        f"{name} = {found[name]:.3g} is outside {low:.3g} to {high:.3g}, what the law was fitted on"
        for name, (low, high) in fitted_range.items()
        if not math.isnan(found[name]) and not low <= found[name] <= high
    )
