"""Compute-optimal distillation: one plan, or a whole map of them.

``plan`` answers: with this student and this much compute, which teacher, how many tokens, what loss, and
is it worth it? The mathematics is :func:`distill_lib.scaling.formulas.plan_student`; here inputs are
checked, existing teachers compared, and the answer is explained and certified.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distill_lib import paper
from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.laws import READINGS, DistillationLaw, published_law
from distill_lib.scaling.optimality import optimality_residual
from distill_lib.scaling.plans import Plan, PlanMap

__all__ = ["SCENARIOS", "Plan", "PlanMap", "plan", "plan_map", "replan"]

SCENARIOS = tuple(formulas.SCENARIOS)
"""Names of the four scenarios (Table 2), cheapest teacher first."""

Teacher = float | Sequence[float]


def plan(
    N_S: float,
    C: float | None = None,
    scenario: str = "teacher_inference",
    law: DistillationLaw | None = None,
    *,
    target_loss: float | None = None,
    D_S: float | None = None,
    max_D_S: float | None = None,
    teachers: Sequence[Teacher] | None = None,
    students_sharing: float = 1.0,
    deltas: tuple[float, float] | None = None,
    inference_tokens: float = 0.0,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
    accuracy: float | None = None,
    fitted_range: Mapping[str, Sequence[float]] | None = None,
) -> Plan:
    """Plan a distillation: the teacher and the tokens that suit a student best.

    Give a budget ``C`` for the least loss it buys, or a ``target_loss`` for the least compute that reaches
    it, or ``D_S`` alone for the best teacher on these tokens whatever it costs. N_T, D_T and D_S lie
    between 1e6 and 1e17 as in the paper (App D.4.1).

    Parameters
    ----------
    N_S : float
        Non-embedding parameters of the student.
    C : float, optional
        Total compute in FLOPs.
    scenario : {"best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference"}
        Which of the teacher's costs count (Table 2).
    law : DistillationLaw, optional
        The law to plan with; the published one, reconciled, by default.
    target_loss : float, optional
        Wanted student loss in nats per token; instead of ``C``.
    D_S : float, optional
        Student tokens, fixed.
    max_D_S : float, optional
        Most student tokens there are, for instance the size of a corpus.
    teachers : sequence, optional
        Existing teachers to choose from: each a loss, or (N_T, D_T), or (N_T, D_T, L_T) with a measured
        loss. Without it the teacher is free to be designed.
    students_sharing : float
        Number of students like this one that share one teacher and one pass of its (stored) logits: the
        scenario's deltas are divided by it.
    deltas : tuple of float, optional
        The part of the logits and of the teacher's training that this student pays for, 0 to 1 each,
        instead of those of the scenario.
    inference_tokens : float
        Tokens the student will process in its life, at F(N_S) each; they are added to the bill.
    context : int
        Tokens of context in F(N).
    vocabulary : int
        Vocabulary in F(N), and the number of choices of a uniform guess.
    accuracy : float, optional
        Relative error of the law's losses, below which two of them count as equal in the verdict; by default
        one percent, which the paper states for both its laws. Of a fit, take its ``mean_error``.
    fitted_range : mapping, optional
        Lowest and highest N_S, D_S, N_T, D_T and L_T that the law was fitted on, as far as they are known, for
        the warnings; by default those of the paper for its own law.

    Returns
    -------
    Plan
        Print it for a table.

    Raises
    ------
    ValueError
        Naming the argument, the value, the valid range and the remedy; also for budgets too small to
        train anything, targets out of reach, and teachers worse than a uniform guess.

    Examples
    --------
    >>> p = plan(N_S=1e9, C=1e21, scenario="teacher_inference")
    >>> round(p.L_S, 3), round(p.L_supervised, 3)
    (2.217, 2.222)
    """
    question = _Question.checked(
        N_S=N_S,
        C=C,
        scenario=scenario,
        law=law,
        target_loss=target_loss,
        D_S=D_S,
        max_D_S=max_D_S,
        students_sharing=students_sharing,
        deltas=deltas,
        inference_tokens=inference_tokens,
        context=context,
        vocabulary=vocabulary,
        accuracy=accuracy,
        fitted_range=fitted_range,
        teachers=teachers,
    )
    if teachers is not None:
        return _plan_with_existing(question, teachers)
    found = question.best()
    if not found["feasible"]:
        raise ValueError(question.why_infeasible())
    answer = question.answer(found)
    residual = optimality_residual(
        answer,
        {"D_S": question.D_S_bounds, "N_T": formulas.BOUNDS, "D_T": formulas.BOUNDS},
        question.deltas,
        formulas.flop_terms(question.context, question.vocabulary),
        tight=(
            found["C"] > question.to_spend * (1.0 - 1e-9)
            if question.target_loss is None
            else found["L_S"] > question.target_loss * (1.0 - 1e-9)
        ),
    )
    return dataclasses.replace(answer, residual=residual)


def replan(earlier: Plan, law: DistillationLaw | None = None, **changes: Any) -> Plan:
    """Ask the question of an earlier plan again, of another law or with other arguments.

    Parameters
    ----------
    earlier : Plan
        A plan that ``plan`` made.
    law : DistillationLaw, optional
        Another law; that of the earlier plan by default.
    **changes : object
        Arguments of ``plan`` that are to be different.

    Returns
    -------
    Plan
        The new plan.

    Raises
    ------
    ValueError
        As ``plan`` does, and for a plan that does not say what was asked.
    """
    if not earlier.question:
        raise ValueError("this plan does not say what was asked; make it with plan(...)")
    asked: dict[str, Any] = {"accuracy": earlier.accuracy, **earlier.question, **changes}
    return plan(law=earlier.law if law is None else law, **asked)


def plan_map(
    N_S: ArrayLike,
    C: ArrayLike,
    scenario: str = "teacher_inference",
    law: DistillationLaw | None = None,
    *,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
) -> PlanMap:
    """Plan for every pair of a student size and a budget at once (Figs 8, 9, 17-32).

    Parameters
    ----------
    N_S : array_like
        Student sizes in parameters, one axis.
    C : array_like
        Budgets in FLOPs, one axis.
    scenario : {"best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference"}
        Which of the teacher's costs count.
    law : DistillationLaw, optional
        The law to plan with; the published one, reconciled, by default.
    context : int
        Tokens of context in F(N).
    vocabulary : int
        Vocabulary in F(N).

    Returns
    -------
    PlanMap
        Arrays of shape [sizes, budgets]; NaN where a budget cannot pay for the least plan.

    Raises
    ------
    ValueError
        Naming the first offending value, or an argument with more than one axis.
    """
    deltas = formulas.SCENARIOS[_checks.choice("scenario", scenario, SCENARIOS)]
    law = checked_law(law)
    sizes, budgets = (
        np.atleast_1d(_checks.positive(name, value)) for name, value in (("N_S", N_S), ("C", C))
    )
    for name, value in (("N_S", sizes), ("C", budgets)):
        if value.ndim > 1:
            raise ValueError(f"{name} has shape {list(value.shape)}; give one axis, the map is their product")
    size, budget = np.broadcast_arrays(sizes[:, None], budgets[None, :])
    found = formulas.plan_student(size, budget, law.to_dict(), deltas, context, vocabulary, ops=np)
    found = {
        name: np.where(found["feasible"], np.broadcast_to(value, size.shape), np.nan)
        for name, value in found.items()
        if name != "feasible"
    }
    student, logits, teacher = formulas.compute_bill(
        size, found["D_S"], found["N_T"], found["D_T"], *deltas, context, vocabulary
    )
    D_supervised = budget / (3.0 * formulas.forward_flops(size, context, vocabulary))
    D_supervised = np.where(D_supervised >= 1.0, np.minimum(D_supervised, formulas.BOUNDS[1]), np.nan)
    total = student + logits + teacher
    return PlanMap(
        N_S=sizes,
        C=budgets,
        scenario=scenario,
        **{name: found[name] for name in ("L_S", "D_S", "N_T", "D_T", "L_T")},
        L_supervised=formulas.supervised_loss(size, D_supervised, law.supervised.to_dict()),
        D_supervised=D_supervised,
        shares={
            "student_training": student / total,
            "teacher_logits": logits / total,
            "teacher_pretraining": teacher / total,
            "student_inference": 0.0 * total,
        },
        law=law,
    )


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


# ---------------------------------------------------------------- how a plan is asked for


@dataclass(frozen=True)
class _Question:
    """The checked arguments of :func:`plan`."""

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
    def checked(cls, **given: Any) -> _Question:
        """Check every argument, and that together they ask one question."""
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
        """Return the best plan with a teacher of any size."""
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
        """Return the message of a question without an answer."""
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
        """Return the plan with its bill, its supervised counterpart and its warnings."""
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


def _plan_with_existing(question: _Question, teachers: Sequence[Teacher]) -> Plan:
    """Compare all given teachers and return the plan with the best one."""
    if not hasattr(teachers, "__len__") or len(teachers) == 0:
        raise ValueError(f"teachers = {teachers!r}; give a list of losses, (N_T, D_T) or (N_T, D_T, L_T)")
    rows = [_teacher_row(question, i, teacher) for i, teacher in enumerate(teachers)]
    law, (low, high) = question.law.to_dict(), question.D_S_bounds
    best, best_value = None, math.inf
    for place, (N_T, D_T, L_T) in enumerate(rows):
        F_T = 0.0 if math.isnan(N_T) else formulas.forward_flops(N_T, question.context, question.vocabulary)
        training = 3.0 * F_T * D_T * question.deltas[1] if question.deltas[1] else 0.0
        per_token = question.flops_per_token + question.deltas[0] * F_T
        if question.target_loss is not None:
            D_S = formulas.tokens_for_loss(question.N_S, L_T, question.target_loss, law, (low, high))
            possible, value = math.isfinite(D_S), per_token * D_S + training
        else:
            affordable = (question.to_spend - training) / per_token
            D_S = min(max(affordable, low), high)
            possible = affordable >= low * (1.0 - 1e-12)
            value = formulas.distillation_loss(question.N_S, D_S, L_T, law)
        if possible and value < best_value:
            L_S = formulas.distillation_loss(question.N_S, D_S, L_T, law)
            best = {"L_S": L_S, "D_S": D_S, "N_T": N_T, "D_T": D_T, "L_T": L_T, "teacher": place}
            best_value = value
    if best is None:
        raise ValueError(
            "no given teacher serves: "
            + (
                f"target_loss = {question.target_loss!r} is out of reach with each of them"
                if question.target_loss is not None
                else f"C = {question.C!r} cannot pay for one of them and {low:.3g} student tokens"
            )
            + "; give a better target, a larger budget, or other teachers"
        )
    return question.answer(best)


def _teacher_row(question: _Question, index: int, teacher: Teacher) -> tuple[float, float, float]:
    """Return (N_T, D_T, L_T) of one given teacher, NaN for what is not known and not needed."""
    name = f"teachers[{index}]"
    N_T = D_T = math.nan
    if np.ndim(teacher) == 0:
        if any(question.deltas):
            raise ValueError(
                f"{name} = {teacher!r} is a loss alone, but scenario {question.scenario!r} charges for the "
                "teacher; give (N_T, D_T) or (N_T, D_T, L_T), or plan the best_case"
            )
        L_T = _checks.one(name, teacher, "L")
    else:
        values = list(np.ravel(np.asarray(teacher, dtype=object)))
        if len(values) not in (2, 3):
            raise ValueError(f"{name} = {teacher!r}; give a loss, (N_T, D_T) or (N_T, D_T, L_T)")
        N_T, D_T = _checks.one(f"{name} N_T", values[0], "N"), _checks.one(f"{name} D_T", values[1], "D")
        L_T = (
            _checks.one(f"{name} L_T", values[2], "L")
            if len(values) == 3
            else float(question.law.supervised.loss(N_T, D_T))
        )
    uniform = math.log(question.vocabulary)
    if uniform < L_T:
        raise ValueError(
            f"{name} has L_T = {L_T!r}, worse than guessing uniformly; valid is up to {uniform:.4g} nats per "
            f"token, ln({question.vocabulary}): is the loss in bits, or summed over several tokens?"
        )
    return N_T, D_T, L_T


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
