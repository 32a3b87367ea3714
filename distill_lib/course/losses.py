"""Checkers for a reader's own distillation loss: they compare it with known mistakes, and name the mistake.

A check asks one question, and what an earlier one found is divided out: a loss that is wrong by a factor
everywhere is told so once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from distill_lib.course._mistakes import (
    OTHER_DIRECTIONS,
    OTHER_LABELS,
    TOLERANCE,
    B,
    Loss,
    S,
    V,
    close,
    entropy,
    factor_between,
    gradient_of,
    in_words,
    probe,
    raised,
    right_loss,
)
from distill_lib.course.report import Report

if TYPE_CHECKING:
    from torch import Tensor

_TAU, _LAM = 2.0, 0.3


def check_kd_loss(loss: Loss) -> Report:
    """Check a distillation loss, question by question, and give a hint where it goes wrong.

    The loss wanted is ``(1 - lam) * next-token cross-entropy + lam * tau**2 * KL(teacher || student)``, both
    parts a mean over positions, the second at temperature `tau`. Labels are the next tokens already; positions
    labelled -100 count nowhere; no gradient goes to the teacher.

    Parameters
    ----------
    loss : callable
        Called as ``loss(student_logits, teacher_logits, labels, tau=..., lam=...)`` with tensors [B, S, V],
        [B, S, V] and [B, S] (or [T, V], [T, V] and [T]); returns a scalar tensor.

    Returns
    -------
    Report
        Checks and hints; ``Report.passed`` tells whether all is right.
    """
    return _Examination(loss).report()


def check_kd_gradient(gradient: Loss) -> Report:
    """Check a gradient of the distillation loss that was written down by hand.

    Parameters
    ----------
    gradient : callable
        Called as ``gradient(student_logits, teacher_logits, labels, tau=..., lam=...)`` with tensors [T, V],
        [T, V] and [T]; returns the gradient [T, V] of the mean loss (see :func:`check_kd_loss`) with respect
        to the student's logits.

    Returns
    -------
    Report
        Checks and hints.
    """
    import torch

    student, teacher, labels = (each.flatten(0, 1) for each in probe())
    n = len(labels)
    checks, hints = {}, {}
    for name, tau, lam, factors in (
        (
            "distillation at tau = 1",
            1.0,
            1.0,
            {n: "the loss is a mean over positions: divide by their number"},
        ),
        ("next token", 1.0, 0.0, {n: "the loss is a mean over positions: divide by their number"}),
        ("distillation at another temperature", _TAU, 1.0, _TEMPERATURE_FACTORS),
        ("mixture", _TAU, _LAM, {}),
    ):
        right = gradient_of(right_loss, student, teacher, labels, tau, lam)
        try:
            found = torch.as_tensor(gradient(student, teacher, labels, tau=tau, lam=lam)).double()
        except Exception as error:
            checks[name], hints[name] = False, raised(error)
            continue
        checks[name] = found.shape == right.shape and close(found, right)
        if found.shape != right.shape:
            hints[name] = (
                f"the gradient has shape {list(found.shape)}, the logits {list(right.shape)}: give one "
                "number for each logit"
            )
        elif not checks[name]:
            factor = factor_between(found, right)
            hints[name] = f"tau={tau:g}, lam={lam:g}: your gradient is " + (
                "not along the right one; derive it on a single position first"
                if factor is None
                else in_words(factor, {-1.0: "its sign is wrong"} | factors)
            )
    return Report(checks, hints)


_TEMPERATURE_FACTORS = {
    1 / _TAU**2: "did you forget tau**2?",
    1 / _TAU: "one tau too few: the factor is tau**2, of which the inner derivative takes one",
    _TAU: "one tau too many",
    _TAU**2: "tau**2 seems to be in it twice",
}


class _Examination:
    """One loss before its questions; answers that later questions need are kept."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.student, self.teacher, self.labels = probe()
        self.checks: dict[str, bool] = {}
        self.hints: dict[str, str] = {}

    def report(self) -> Report:
        """Ask all questions; when the first finds no number, the others are not asked."""
        if not self._ask("returns a number", self._number):
            return Report(self.checks, self.hints)
        for name, question in (
            ("lam = 1 distils, lam = 0 does not", self._roles),
            ("zero for identical models", self._zero),
            ("direction", self._direction),
            ("mean over positions", self._mean),
            ("temperature", self._temperature),
            ("next token", self._next_token),
            ("mixture", self._mixture),
            ("teacher is a constant", self._constant),
            ("ignored positions", self._ignored),
            ("excluded tokens", self._excluded),
            ("half precision", self._half),
        ):
            self._ask(name, question)
        return Report(self.checks, self.hints)

    def _ask(self, name: str, question: Callable[[], str | None]) -> bool:
        try:
            hint = question()
        except Exception as error:
            hint = raised(error)
        self.checks[name] = hint is None
        if hint is not None:
            self.hints[name] = hint
        return hint is None

    def _value(self, *, tau: float = 1.0, lam: float = 1.0, **changed: Tensor) -> Tensor:
        student = changed.get("student", self.student)
        teacher = changed.get("teacher", self.teacher)
        labels = changed.get("labels", self.labels)
        value: Tensor = self.loss(student, teacher, labels, tau=tau, lam=lam)
        return value

    def _slope(self, *, tau: float = 1.0, lam: float = 1.0, **changed: Tensor) -> Tensor:
        student = changed.get("student", self.student)
        teacher = changed.get("teacher", self.teacher)
        labels = changed.get("labels", self.labels)
        return gradient_of(self.loss, student, teacher, labels, tau, lam)

    def _number(self) -> str | None:
        import torch

        value = self._value(lam=0.5)
        if not isinstance(value, torch.Tensor):
            return f"expected a tensor, got {type(value).__name__}: return it as it is, without .item()"
        if value.numel() != 1:
            return f"expected one number, got {list(value.shape)}: take the mean over positions"
        if not bool(value.isfinite()):
            return f"the loss is {value.item()} for ordinary logits: is a logarithm taken of a zero?"
        if not gradient_of(self.loss, self.student, self.teacher, self.labels, 1.0, 0.5).abs().sum() > 0:
            return "no gradient reaches the student: was it detached, or turned into a number on the way?"
        return None

    def _roles(self) -> str | None:
        given = self.loss
        one, zero = self._slope(lam=1.0), self._slope(lam=0.0)
        soft = gradient_of(right_loss, self.student, self.teacher, self.labels, 1.0, 1.0)
        hard = gradient_of(right_loss, self.student, self.teacher, self.labels, 1.0, 0.0)
        if factor_between(one, hard) is not None and factor_between(zero, soft) is not None:
            self.loss = lambda *tensors, tau, lam: given(*tensors, tau=tau, lam=1.0 - lam)
            return (
                "lam weighs the wrong part: it is the share of distillation, 1 - lam that of the next token"
            )
        if factor_between(one, hard) is not None:
            return "at lam=1 the loss follows the labels alone: the teacher does not enter"
        if factor_between(one, soft) is None and factor_between(one - zero, soft) is not None:
            self.loss = lambda *tensors, tau, lam: (
                given(*tensors, tau=tau, lam=lam) - lam * given(*tensors, tau=tau, lam=0.0)
            )
            return "lam=1 still contains the next-token part: weigh it by 1 - lam"
        return None

    def _zero(self) -> str | None:
        same = self._value(teacher=self.student).detach()
        if abs(same.item()) < TOLERANCE:
            return None
        of_teacher = entropy(self.student)
        for factor in (1.0, S, B * S, 1 / V):
            if abs(same.item() / factor - of_teacher) < TOLERANCE:
                note = "" if factor == 1.0 else ", times the factor of your mean"
                return (
                    f"a student equal to its teacher gets {same.item():.4f}: the teacher's entropy{note}. This is "
                    "the cross-entropy: its gradient is right, but the value is no divergence, and a log of it "
                    "never reaches zero; subtract the entropy"
                )
        return f"a student equal to its teacher gets {same.item():.4f} instead of 0"

    def _direction(self) -> str | None:
        found = self._slope()
        right = gradient_of(right_loss, self.student, self.teacher, self.labels, 1.0, 1.0)
        if factor_between(found, right) is not None:
            return None
        for name, wrong in OTHER_DIRECTIONS.items():
            if (
                factor_between(found, gradient_of(wrong, self.student, self.teacher, self.labels, 1.0, 1.0))
                is not None
            ):
                return name
        return "tau=1, lam=1: your gradient is not along softmax(student) - softmax(teacher)"

    def _mean(self) -> str | None:
        found, right = (
            self._slope(),
            gradient_of(right_loss, self.student, self.teacher, self.labels, 1.0, 1.0),
        )
        flat = {name: getattr(self, name).flatten(0, 1) for name in ("student", "teacher", "labels")}
        factor, flat_factor = (
            factor_between(found, right),
            factor_between(self._slope(**flat), right.flatten(0, 1)),
        )
        if (
            factor is None or flat_factor is None
        ):  # another direction, which has been told: compare with itself
            factor = factor_between(found.flatten(0, 1), self._slope(**flat)) or 1.0
            flat_factor = 1.0
        rules = {
            S: "batchmean divides by the first axis only: flatten [B, S, V] to [B * S, V] first",
            B * S: "that is a sum over positions: divide by their number",
            1 / V: 'reduction="mean" divides by the vocabulary as well: sum over it, then take the mean',
        }
        if abs(factor - 1.0) > TOLERANCE:
            return f"logits [{B}, {S}, {V}]: your loss is {in_words(factor, rules)}"
        if abs(flat_factor - 1.0) > TOLERANCE:
            return f"logits [{B * S}, {V}]: your loss is {in_words(flat_factor, rules)}"
        return None

    def _temperature(self) -> str | None:
        found, at_one = self._slope(tau=_TAU), self._slope()
        right_at_one = gradient_of(right_loss, self.student, self.teacher, self.labels, 1.0, 1.0)
        right = gradient_of(right_loss, self.student, self.teacher, self.labels, _TAU, 1.0)
        base = factor_between(at_one, right_at_one)
        if base is None:  # another direction: compare with that one
            for wrong in OTHER_DIRECTIONS.values():
                base = factor_between(
                    at_one, gradient_of(wrong, self.student, self.teacher, self.labels, 1.0, 1.0)
                )
                if base is not None:
                    right = gradient_of(wrong, self.student, self.teacher, self.labels, _TAU, 1.0)
                    break
        factor = factor_between(found, right)
        if factor is not None and base is not None:
            factor /= base
            if abs(factor - 1.0) < TOLERANCE:
                return None
            return f"tau={_TAU:g}: your gradient is {in_words(factor, _TEMPERATURE_FACTORS)}"
        if close(found, at_one):
            return f"tau={_TAU:g}: your gradient is that of tau=1; does tau enter at all?"
        softer = {
            "the student's logits": (self.student, self.teacher * _TAU),
            "the teacher's logits": (self.student * _TAU, self.teacher),
        }
        for name, (student, teacher) in softer.items():
            if (
                factor_between(found, gradient_of(right_loss, student, teacher, self.labels, _TAU, 1.0))
                is not None
            ):
                return f"tau={_TAU:g}: only {name} are divided by tau; divide both"
        return f"tau={_TAU:g}: your gradient is not along softmax(student / tau) - softmax(teacher / tau)"

    def _next_token(self) -> str | None:
        found = self._slope(lam=0.0)
        right = gradient_of(right_loss, self.student, self.teacher, self.labels, 1.0, 0.0)
        if not close(found, right):
            for hint, wrong in OTHER_LABELS.items():
                of = gradient_of(wrong, self.student, self.teacher, self.labels, 1.0, 0.0)
                if factor_between(found, of) is not None:
                    return hint
            factor = factor_between(found, right)
            if factor is None:
                return "lam=0: this is not the cross-entropy of the labels"
            return f"lam=0: your loss is {in_words(factor, {B * S: 'that is a sum over positions'})}"
        warm = self._slope(tau=_TAU, lam=0.0)
        if close(warm, right):
            return None
        if close(warm, _TAU**2 * right):
            return "tau**2 multiplies the next-token part too: it belongs to the distillation part alone"
        return "lam=0: the loss changes with tau; the next token is predicted at temperature 1"

    def _mixture(self) -> str | None:
        soft, hard = (self._slope(tau=_TAU, lam=lam) for lam in (1.0, 0.0))
        found = self._slope(tau=_TAU, lam=_LAM)
        if not close(found, (1 - _LAM) * hard + _LAM * soft):
            return f"lam={_LAM:g}: the parts do not mix as (1 - lam) and lam of what they are alone"
        right = gradient_of(right_loss, self.student, self.teacher, self.labels, _TAU, _LAM)
        if not close(found, right) or not self.checks["zero for identical models"]:
            return None  # told already
        value = float(self._value(tau=_TAU, lam=_LAM))
        wanted = float(right_loss(self.student, self.teacher, self.labels, tau=_TAU, lam=_LAM))
        if abs(value / wanted - 1.0) <= 1e-3:
            return None
        return (
            f"tau={_TAU:g}, lam={_LAM:g}: the gradient is right, but the value is {value:.4f} instead of "
            f"{wanted:.4f}: a constant is off, such as the teacher's entropy taken at another temperature or share"
        )

    def _constant(self) -> str | None:
        import torch

        teacher = self.teacher.clone().requires_grad_()
        student = self.student.clone().requires_grad_()
        self._value(student=student, teacher=teacher).backward()
        if teacher.grad is None or not torch.any(teacher.grad):
            return None
        return "a gradient flows to the teacher: take its logits under torch.no_grad(), or detach them"

    def _ignored(self) -> str | None:
        labels = self.labels.clone()
        labels[0, 1:] = -100
        kept = labels != -100
        part = {name: getattr(self, name)[kept] for name in ("student", "teacher", "labels")}
        for lam, name in ((0.0, "next-token"), (1.0, "distillation")):
            found, right = self._slope(labels=labels, lam=lam)[kept], self._slope(**part, lam=lam)
            everything = self._slope(lam=lam)[kept]
            if close(found, right):
                continue
            if close(found, everything):
                return f"positions labelled -100 still count in the {name} part: drop their rows first"
            return f"positions labelled -100: the {name} part is not the mean over the others"
        nothing = self._value(labels=labels.new_full(labels.shape, -100), lam=0.5)
        if nothing.item() != 0.0:
            return (
                f"with every position ignored the loss is {nothing.item()} instead of 0: it divides by none"
            )
        return None

    def _excluded(self) -> str | None:
        import torch

        padded = {name: torch.nn.functional.pad(getattr(self, name), (0, 2), value=-torch.inf)
                  for name in ("student", "teacher")}  # fmt: skip
        value = self._value(student=padded["student"], teacher=padded["teacher"], lam=0.5)
        slope = self._slope(student=padded["student"], teacher=padded["teacher"], lam=0.5)
        if not bool(value.isfinite()):
            return (
                f"two tokens that both models exclude (logits of minus infinity) make the loss {value.item()}: "
                "0 times infinity; leave such tokens out"
            )
        if not bool(slope.isfinite().all()):
            return "with excluded tokens the loss is a number but its gradient is not"
        return None if close(slope[..., :V], self._slope(lam=0.5)) else "excluded tokens change the gradient"

    def _half(self) -> str | None:
        import torch

        student = self.student.repeat(1, 1, 50).to(torch.bfloat16)
        teacher = (self.student + 0.3 * self.teacher).repeat(1, 1, 50).to(torch.bfloat16)
        exact = self._value(student=student.double(), teacher=teacher.double()).item()
        found = float(self._value(student=student, teacher=teacher))
        # A cross-entropy hides the error behind the teacher's entropy: measure it by the divergence.
        divergence = right_loss(student.double(), teacher.double(), self.labels, tau=1.0, lam=1.0).item()
        if abs(found - exact) <= 0.02 * min(abs(exact), divergence):
            return None
        return (
            f"logits in bfloat16: the loss is {found:.4g}, in float64 {exact:.4g}; take the softmax in float32 "
            "(logits.float())"
        )
