"""What a plan is, how it reads, and why its verdict is what it is; :mod:`planning` makes plans."""

from __future__ import annotations

import dataclasses
import functools
import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill_lib.scaling import formulas
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.wording import count

TIE = 1e-3
"""Losses closer than this many nats per token count as equal in a verdict."""


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
    def reason(self) -> dict[str, float]:
        """Advantage in two parts: ``teacher``, from a free best teacher, less ``bill``, the cost of this one.

        A free teacher would leave the student all the tokens of supervised training. Nats per token.
        """
        L_free = self.law.best_teacher(self.N_S, max(self.D_supervised, 1.0))[1]
        return {"teacher": self.L_supervised - float(L_free), "bill": self.L_S - float(L_free)}

    @functools.cached_property
    def verdict(self) -> str:
        """Whether to distil, and why, in one sentence."""
        if self.goal == "target":
            return self._verdict_for_target()
        gap, parts = self.advantage, self.reason
        setting = "on these tokens" if self.goal == "tokens" else "with this budget"
        fewer = f"the student sees {count(self.D_S)} tokens, {count(self.D_supervised)} without a teacher"
        if abs(gap) < TIE:
            return f"Either will do: distilled and supervised students end within {TIE:g} nats {setting}."
        if gap > 0.0:
            cost = f", of which its bill takes back {parts['bill']:.3f}" if parts["bill"] > TIE else ""
            return (
                f"Distil: {setting} it wins {gap:.3f} nats, since the best teacher is worth "
                f"{parts['teacher']:.3f} nats{cost} ({fewer})."
            )
        if parts["teacher"] <= TIE:
            return (
                f"Train supervised: {setting} distilling loses {-gap:.3f} nats, since with "
                f"{count(self.D_supervised)} tokens the data teach as well as the best free teacher."
            )
        return (
            f"Train supervised: {setting} distilling loses {-gap:.3f} nats, since the teacher is worth "
            f"{parts['teacher']:.3f} nats but its bill costs {parts['bill']:.3f} ({fewer})."
        )

    def _verdict_for_target(self) -> str:
        if not math.isfinite(self.C_supervised):
            return (
                "Distil: supervised training cannot reach this loss at this size, whatever the tokens "
                f"(its floor is {float(self.law.supervised.floor(self.N_S)):.3f} nats)."
            )
        ratio = self.C / self.C_supervised
        tokens = f"{count(self.D_S)} student tokens instead of {count(self.D_supervised)}"
        if abs(ratio - 1.0) < 0.01:
            return f"Either will do: distilling needs {ratio:.2f} times the compute ({tokens})."
        if ratio < 1.0:
            return f"Distil: it needs {ratio:.2f} times the compute of supervised training ({tokens})."
        teacher = (self.flops_logits + self.flops_teacher) / self.C
        why = (
            f"{teacher:.0%} of it goes to the teacher"
            if teacher > 0.05
            else "so near the floor data teach more"
        )
        return f"Train supervised: distilling needs {ratio:.2f} times its compute, and {why} ({tokens})."

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain numbers and words, ready for JSON; NaN and infinity become None.

        Returns
        -------
        dict
            Every field, with ``shares``, ``verdict`` and the law's coefficients.
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "law"}
        fields |= {"warnings": list(self.warnings), "shares": self.shares, "verdict": self.verdict}
        fields["law"] = self.law.to_dict()
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in fields.items()
        }

    def _table(self) -> list[tuple[str, str, str]]:
        """Return rows of (quantity, distilled, supervised)."""
        rows = [
            ("loss (nats/token)", f"{self.L_S:.4f}", _loss(self.L_supervised)),
            ("tokens D_S", count(self.D_S), count(self.D_supervised)),
            ("compute C (FLOPs)", f"{self.C:.3g}", f"{self.C_supervised:.3g}"),
            ("teacher loss L_T", f"{self.L_T:.4f}", ""),
            ("teacher size N_T", count(self.N_T), ""),
            ("teacher tokens D_T", count(self.D_T), ""),
        ]
        labels = {
            "student_training": "share: student training",
            "teacher_logits": "share: teacher logits",
            "teacher_pretraining": "share: teacher training",
            "student_inference": "share: student inference",
        }
        rows += [
            (labels[key], f"{share:.1%}", "")
            for key, share in self.shares.items()
            if share > 0.0 or key != "student_inference"
        ]
        return rows

    def _title(self) -> str:
        scenario = self.scenario.replace("_", " ")
        return f"Student of {count(self.N_S)} parameters, {scenario}, {self.law.name or 'own'} law"

    def __str__(self) -> str:
        lines = [self._title(), f"{'':24} {'distilled':>12} {'supervised':>12}"]
        lines += [f"{name:24} {a:>12} {b:>12}".rstrip() for name, a, b in self._table()]
        lines.append(self.verdict)
        return "\n".join(lines + [f"Note: {warning}" for warning in self.warnings])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th scope='row' style='text-align:left'>{html.escape(name)}</th>"
            f"<td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>"
            for name, a, b in self._table()
        )
        notes = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        return (
            f"<table><caption>{html.escape(self._title())}</caption>"
            f"<thead><tr><th></th><th>distilled</th><th>supervised</th></tr></thead><tbody>{cells}</tbody>"
            f"</table><p>{html.escape(self.verdict)}</p>" + (f"<ul>{notes}</ul>" if notes else "")
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


def optimality_residual(
    plan: Plan,
    bounds: Mapping[str, tuple[float, float]],
    deltas: tuple[float, float],
    terms: tuple[float, float],
    tight: bool,
) -> float:
    """Return how far a plan is from satisfying the first-order (Karush-Kuhn-Tucker) conditions.

    In the logarithms v of (D_S, N_T, D_T), at the optimum some price lam >= 0 of compute makes
    dL_S/dv + lam dlnC/dv zero for each v inside its bounds, not negative at a lower and not positive at an
    upper bound; lam is 0 where compute is left over.

    Parameters
    ----------
    plan : Plan
        A plan with a teacher of known size and tokens.
    bounds : mapping
        Lowest and highest ``D_S``, ``N_T`` and ``D_T``.
    deltas : tuple of float
        What part of logits and of pretraining is paid for.
    terms : tuple of float
        The two terms of F(N).
    tight : bool
        Whether the plan spends all it may, so that lam may be positive. With a target loss: whether the
        target is met exactly; a plan that is better than it must only be as cheap as can be.

    Returns
    -------
    float
        The largest violation, nats per e-fold, at the price that makes it least.
    """
    law, base = plan.law.to_dict(), plan.law.supervised
    excess, by_tokens, by_teacher = formulas.student_term(plan.N_S, plan.D_S, plan.L_T, law)
    gain = math.exp(excess)
    x, y = base.A * plan.N_T**-base.alpha, base.B * plan.D_T**-base.beta
    outer = base.gamma * (x + y) ** (base.gamma - 1.0)
    by_L_T = 1.0 + gain * by_teacher / plan.L_T
    slopes = (
        gain * by_tokens,
        -by_L_T * outer * base.alpha * x,
        -by_L_T * outer * base.beta * y,
    )
    n, (c1, c2) = plan.N_T ** (1.0 / 3.0), terms
    phi = ((n + 2.0 / 3.0 * c1) * n + c2 / 3.0) / ((n + c1) * n + c2)
    F_T = 2.0 * n * ((n + c1) * n + c2)
    logits, training = deltas[0] * F_T * plan.D_S, 3.0 * deltas[1] * F_T * plan.D_T
    bill = plan.flops_student + logits + training
    prices = ((plan.flops_student + logits) / bill, phi * (logits + training) / bill, training / bill)

    def violation(lam: float) -> float:
        worst = 0.0
        for name, slope, price in zip(("D_S", "N_T", "D_T"), slopes, prices, strict=True):
            low, high = bounds[name]
            value, net = getattr(plan, name), slope + lam * price
            down, up = max(net, 0.0), max(-net, 0.0)  # what moving down or up would gain
            can_fall, can_rise = value > low * (1.0 + 1e-9), value < high * (1.0 - 1e-9)
            worst = max(worst, down if can_fall else 0.0, up if can_rise else 0.0)
        return worst

    if plan.goal == "target" and not tight:
        slopes = (0.0, 0.0, 0.0)
        return violation(1.0)
    candidates = [0.0]
    if tight:
        candidates += [max(-s / p, 0.0) for s, p in zip(slopes, prices, strict=True) if p > 0.0]
    return min(violation(lam) for lam in candidates)


def _loss(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "out of reach"
