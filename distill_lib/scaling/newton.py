"""Minimise sums of Huber losses for many starts and many samples at once, by Newton's method.

A scaling law is fitted by minimising ``sum_i w_i rho_delta(f_i(theta) - y_i)`` with f the log of the predicted
loss. Starts differ in theta, bootstrap resamples in the weights w, simulated data sets in y; all are rows of
one batch, and every step is taken for the whole batch. Two things make this dependable where quasi-Newton
methods stop early: second derivatives are exact (a law knows its own, see :mod:`~distill_lib.scaling.forms`), and
the width of the Huber loss shrinks in stages, so that the kinks of a narrow one are met close to the optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

# Points times rows that are looked at together: few enough for the cache of a core, enough to outweigh the cost of
# calls (measured).
_CHUNK = 24_000
_PATIENCE = 60  # steps per width
_FLAT = 1e-14  # relative decrease that a step must promise to be worth taking
_CONVERGED = 1e-12  # the same where rounding lets no step be taken any more
# The same for a width that is only passed through. A hundred times as much, and where the last width is nearly that
# of absolute deviations, searches enter it too far away to end.
_NEAR = 1e-5
_DAMPING = 1e-3  # to begin with, in units of a coefficient's own curvature
_LOWEST = 1e-9  # curvatures below this share of the largest are treated as this large


class Form(Protocol):
    """What the solver must know of a law."""

    @property
    def low(self) -> np.ndarray:
        """Lower bounds of theta, shape [coefficients]."""
        ...

    @property
    def high(self) -> np.ndarray:
        """Upper bounds; equal to the lower ones where a coefficient is held."""
        ...

    def part(self, rows: Any) -> Self:
        """Return the form for some rows of a batch.

        Parameters
        ----------
        rows : slice or numpy.ndarray
            Which rows.

        Returns
        -------
        Form
            The form as those rows see it.
        """
        ...

    def evaluate(self, theta: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return ln of the predicted loss, and what the derivatives need again.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, coefficients].

        Returns
        -------
        tuple
            ln of the loss, shape [rows, points], and a state.
        """
        ...

    def derivatives(self, state: Any, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and Hessian of an objective of ln of the loss.

        Parameters
        ----------
        state : object
            From ``evaluate``.
        first, second : numpy.ndarray
            Derivatives of the objective by ln of the loss, shape [rows, points].

        Returns
        -------
        tuple of numpy.ndarray
            Shapes [rows, coefficients] and [rows, coefficients, coefficients].
        """
        ...


@dataclass(frozen=True)
class Solutions:
    """Where the solver ended, one row per start or sample.

    Parameters
    ----------
    theta : numpy.ndarray
        Shape [rows, coefficients].
    objective : numpy.ndarray
        Sum of Huber losses, shape [rows].
    promise : numpy.ndarray
        Decrease of the objective that a full Newton step from here promises, relative to it: the certificate.
    converged : numpy.ndarray
        Whether that is next to nothing.
    """

    theta: np.ndarray
    objective: np.ndarray
    promise: np.ndarray
    converged: np.ndarray

    def take(self, rows: Any) -> Solutions:
        """Return some rows.

        Parameters
        ----------
        rows : slice or numpy.ndarray
            Which ones.

        Returns
        -------
        Solutions
            Those rows.
        """
        return Solutions(self.theta[rows], self.objective[rows], self.promise[rows], self.converged[rows])

    def better(self, other: Solutions, rows: np.ndarray) -> Solutions:
        """Put other ends in place of those of some rows, where they are lower.

        Parameters
        ----------
        other : Solutions
            The other ends.
        rows : numpy.ndarray
            Which rows they are ends of, one index each.

        Returns
        -------
        Solutions
            All rows, the lower end of each.
        """
        lower = other.objective < self.objective[rows]
        fields = []
        for name in _FIELDS:
            mine = getattr(self, name).copy()
            mine[rows[lower]] = getattr(other, name)[lower]
            fields.append(mine)
        return Solutions(*fields)

    @staticmethod
    def join(parts: Sequence[Solutions]) -> Solutions:
        """Put the rows of several solutions below each other.

        Parameters
        ----------
        parts : sequence of Solutions
            At least one.

        Returns
        -------
        Solutions
            All rows.
        """
        if len(parts) == 1:
            return parts[0]
        return Solutions(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


_FIELDS = ("theta", "objective", "promise", "converged")


def huber_loss(residuals: Any, delta: float) -> np.ndarray:
    """Huber loss, elementwise: half the square up to delta, linear beyond.

    Parameters
    ----------
    residuals : array_like
        Residuals of log loss.
    delta : float
        Where the square turns into a line.

    Returns
    -------
    numpy.ndarray
        Shape of ``residuals``; the objective of a fit is its sum, not its mean.
    """
    size = np.abs(residuals)
    inner = np.minimum(size, delta)
    return np.asarray(inner * (size - 0.5 * inner))


def stages(delta: float, scale: float) -> tuple[float, ...]:
    """List the widths of the Huber loss through which to approach a narrow one.

    Parameters
    ----------
    delta : float
        The width wanted.
    scale : float
        Size of the residuals that the best law leaves; a loss several times as wide is least squares.

    Returns
    -------
    tuple of float
        Falling widths, ``delta`` last.
    """
    widths = []
    width = 4.0 * scale
    while width > 1.5 * delta:
        widths.append(width)
        width /= 4.0
    return (*widths, delta)


def minimise(
    form: Form, start: np.ndarray, y: np.ndarray, weights: np.ndarray, widths: Sequence[float]
) -> Solutions:
    """Minimise for every row of a batch.

    Parameters
    ----------
    form : Form
        The law with its design points.
    start : numpy.ndarray
        Shape [rows, coefficients].
    y : numpy.ndarray
        Observed log losses, shape [points] or [rows, points].
    weights : numpy.ndarray
        Weight of each point, shape [points] or [rows, points]; a bootstrap resample is a row of counts.
    widths : sequence of float
        Widths of the Huber loss, gone through in order; the objective is that of the last.

    Returns
    -------
    Solutions
        One row per row of ``start``.
    """
    return _Batch(form, y, weights).descend(np.clip(start, form.low, form.high), widths)


def derivatives(
    form: Form, theta: np.ndarray, y: np.ndarray, weights: np.ndarray, delta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return objective, gradient and Hessian at given coefficients.

    Parameters
    ----------
    form : Form
        The law with its design points.
    theta : numpy.ndarray
        Shape [rows, coefficients].
    y : numpy.ndarray
        Observed log losses, shape [points] or [rows, points].
    weights : numpy.ndarray
        Weights, shaped like ``y``.
    delta : float
        Width of the Huber loss.

    Returns
    -------
    tuple of numpy.ndarray
        Shapes [rows], [rows, coefficients] and [rows, coefficients, coefficients].
    """
    rows = np.arange(len(theta))
    return _Batch(form, y, weights).look(rows, theta, np.full(len(theta), delta))


class _Batch:
    """Rows that are solved together."""

    def __init__(self, form: Form, y: np.ndarray, weights: np.ndarray) -> None:
        self.form, self.y, self.weights = form, y, weights

    def look(
        self, rows: np.ndarray, theta: np.ndarray, delta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return objective, gradient and Hessian of some rows, a chunk at a time."""
        size = max(1, _CHUNK // max(1, self.y.shape[-1]))
        chunks = [slice(begin, begin + size) for begin in range(0, len(rows), size)]
        looks = [self._look(rows[chunk], theta[chunk], delta[chunk, None]) for chunk in chunks]
        if len(looks) == 1:
            return looks[0]
        objective, gradient, hessian = (np.concatenate(parts) for parts in zip(*looks, strict=True))
        return objective, gradient, hessian

    def _look(
        self, rows: np.ndarray, theta: np.ndarray, delta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        form = self.form.part(rows)
        y = self.y[rows] if self.y.ndim == 2 else self.y
        weights = self.weights[rows] if self.weights.ndim == 2 else self.weights
        f, state = form.evaluate(theta)
        residual = f - y
        clipped = np.clip(residual, -delta, delta)
        first = weights * clipped
        # rho = clipped * (residual - clipped / 2): the square inside, the line beyond.
        objective = (first * (residual - 0.5 * clipped)).sum(axis=1)
        gradient, hessian = form.derivatives(state, first, weights * (clipped == residual))
        return objective, gradient, hessian

    def descend(self, theta: np.ndarray, widths: Sequence[float]) -> Solutions:
        """Take damped Newton steps through the widths until no row can gain from another.

        Each row goes through the widths at its own pace, so that none waits for the slowest.
        """
        rows, last = len(theta), len(widths) - 1
        width = np.asarray(widths)
        theta, stage, spent = theta.copy(), np.zeros(rows, dtype=int), np.zeros(rows, dtype=int)
        active = np.arange(rows)
        objective, gradient, hessian = self.look(active, theta, width[stage])
        promise, converged = np.full(rows, np.inf), np.zeros(rows, dtype=bool)
        damping, growth = np.full(rows, _DAMPING), np.full(rows, 4.0)
        while True:
            step, gain, full_gain = _newton_step(
                theta[active], gradient[active], hessian[active], damping[active], self.form
            )
            final = stage[active] == last
            share = full_gain / np.maximum(objective[active], 1e-300)
            promise[active] = share
            level = (share <= np.where(final, _FLAT, _NEAR)) | (full_gain <= 1e-26)
            converged[active] = final & (level | (share <= _CONVERGED))
            stuck = ~level & ((damping[active] >= 1e10) | (spent[active] >= _PATIENCE))
            step[stuck] = 0.0
            over = level | stuck
            going = ~(over & final)
            if not going.all():
                active, step, gain, over = active[going], step[going], gain[going], over[going]
                if active.size == 0:
                    break
            stage[active] += over
            trial = np.clip(theta[active] + step, self.form.low, self.form.high)
            value, slope, bend = self.look(active, trial, width[stage[active]])
            ratio = (objective[active] - value) / np.maximum(gain, 1e-300)
            # A row that has come near the optimum of its width goes there and on to the next width in one step.
            taken = (value < objective[active]) | over
            moved = active[taken]
            theta[moved], objective[moved] = trial[taken], value[taken]
            gradient[moved], hessian[moved] = slope[taken], bend[taken]
            good = taken & (ratio > 0.25)
            # Nielsen's rule: relax by how well the model predicted, tighten faster and faster.
            relax = np.maximum(1.0 / 10.0, 1.0 - (2.0 * np.minimum(ratio, 1.0) - 1.0) ** 3)
            damping[active] = np.maximum(damping[active] * np.where(good, relax, growth[active]), 1e-12)
            growth[active] = np.where(good, 4.0, 2.0 * growth[active])
            damping[active[over]], growth[active[over]] = _DAMPING, 4.0
            spent[active] = np.where(over, 0, spent[active] + 1)
        return Solutions(theta, objective, promise, converged)


def _newton_step(
    theta: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, damping: np.ndarray, form: Form
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the damped step, the decrease it promises, and that which the undamped one promises."""
    free = np.flatnonzero(form.low < form.high)
    low, high = form.low[free], form.high[free]
    theta, gradient, hessian = theta[:, free], gradient[:, free], hessian[:, free[:, None], free]
    held = ((theta <= low) & (gradient > 0.0)) | ((theta >= high) & (gradient < 0.0))
    if held.any():
        gradient = np.where(held, 0.0, gradient)
        hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
    diagonal = np.abs(np.diagonal(hessian, axis1=1, axis2=2))
    # Coefficients are measured in units of their own curvature, so that damping treats them alike.
    unit = np.sqrt(np.maximum(diagonal, 1e-14 * diagonal.max(axis=1, keepdims=True) + 1e-300))
    slope = gradient / unit
    bend, axes = np.linalg.eigh(hessian / (unit[:, :, None] * unit[:, None, :]))
    along = np.einsum("bji,bj->bi", axes, slope)
    # Downhill also where the objective bends the wrong way: take the size of each curvature.
    bend = np.abs(bend)
    bend = np.maximum(bend, _LOWEST * bend.max(axis=1, keepdims=True) + 1e-300)
    shorter = along / (bend + damping[:, None])
    step = np.zeros((len(theta), len(form.low)))
    step[:, free] = -np.einsum("bij,bj->bi", axes, shorter) / unit
    gain = (shorter * along).sum(axis=1) - 0.5 * (shorter**2 * bend).sum(axis=1)
    return step, gain, 0.5 * (along**2 / bend).sum(axis=1)
