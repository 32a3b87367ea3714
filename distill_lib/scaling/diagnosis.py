"""Whether a fit is to be trusted, in plain words: what the runs pin down, and what they leave open.

To first order a fit is linear: with the sensitivities J (change of ln L per change of a coordinate) and errors
of relative size sigma, the coordinates have the covariance sigma^2 (J'J)^-1. Its weakest direction says which
coefficients can move together without the runs noticing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill_lib.scaling.forms import DistillationForm, SupervisedForm

Law = SupervisedForm | DistillationForm

TRUSTWORTHY = "trustworthy"

_WEAK = 0.25  # standard error, relative, from which a shape coefficient is called weak
_WEIGHTS_WEAK = np.log(10.0)  # A and B stand at N = 1 and D = 1, far from any run
_NORMAL_MAD = 1.4826  # standard deviation of a normal distribution per median absolute deviation


@dataclass(frozen=True)
class Curvature:
    """What the curvature of the objective says about a fit.

    Parameters
    ----------
    spectrum : numpy.ndarray
        Eigenvalues of J'J with columns of unit length, largest first: sloppy directions have small ones.
    standard_errors : dict of str to float
        Of ln of each coefficient, to first order; infinite where a coefficient ended on a bound.
    weakest : dict of str to float
        Change of ln of each coefficient along the weakest direction, one standard error long.
    at_bounds : tuple of str
        Coordinates that ended on a bound of the search.
    sigma : float
        Relative size of the residuals, robustly.
    """

    spectrum: np.ndarray
    standard_errors: dict[str, float]
    weakest: dict[str, float]
    at_bounds: tuple[str, ...]
    sigma: float

    @property
    def condition(self) -> float:
        """Largest over smallest eigenvalue of the spectrum."""
        return float(self.spectrum[0] / max(self.spectrum[-1], 1e-300))


def residual_scale(residuals: np.ndarray, coefficients: int, weights: np.ndarray) -> float:
    """Return the standard deviation of residuals, robustly and allowing for what was fitted.

    Parameters
    ----------
    residuals : numpy.ndarray
        Residuals of log loss, shape [points].
    coefficients : int
        How many coefficients were fitted.
    weights : numpy.ndarray
        Weight of each run; runs without weight do not count.

    Returns
    -------
    float
        Relative size of the errors.
    """
    size = np.abs(residuals[weights > 0.0])
    room = max(size.size - coefficients, 1)
    # Fitting by absolute deviations sets as many residuals to zero as there are coefficients.
    middle = np.sort(size)[min(size.size - 1, coefficients + room // 2)]
    return float(_NORMAL_MAD * middle)


def curvature(form: Law, theta: np.ndarray, residuals: np.ndarray, weights: np.ndarray) -> Curvature:
    """Judge what the runs pin down around an optimum.

    Parameters
    ----------
    form : SupervisedForm or DistillationForm
        The law at its design points.
    theta : numpy.ndarray
        The optimum, shape [coordinates].
    residuals : numpy.ndarray
        ln of predicted over observed loss, shape [points].
    weights : numpy.ndarray
        Weight of each run, shape [points].

    Returns
    -------
    Curvature
        Spectrum, standard errors and the weakest direction.
    """
    fitted = form.low < form.high
    margin = 1e-6 * np.maximum(np.abs(theta), 1e-3)
    bound = fitted & ((theta <= form.low + margin) | (theta >= form.high - margin))
    free = np.flatnonzero(fitted & ~bound)
    sigma = max(residual_scale(residuals, int(fitted.sum()), weights), 1e-15)
    J = np.sqrt(weights)[:, None] * form.slopes(theta[None])[0].T[:, free]
    length = np.maximum(np.linalg.norm(J, axis=0), 1e-300)
    values, axes = np.linalg.eigh((J / length).T @ (J / length))
    values = np.maximum(values, 1e-16)
    covariance = sigma**2 * (axes / values) @ axes.T / np.outer(length, length)
    to_logs = _log_coefficients_by_theta(form, theta, free)
    logs = to_logs @ covariance @ to_logs.T
    errors = np.sqrt(np.maximum(np.diag(logs), 0.0))
    spread, directions = np.linalg.eigh(logs)
    weakest = np.sqrt(max(spread[-1], 0.0)) * directions[:, -1]
    lost = _lost_to_bounds(form, np.flatnonzero(bound))
    names = form.names
    return Curvature(
        spectrum=values[::-1],
        standard_errors={
            name: float(np.inf if name in lost else e) for name, e in zip(names, errors, strict=True)
        },
        weakest={
            name: float(0.0 if name in lost else w * np.sign(weakest[np.abs(weakest).argmax()]))
            for name, w in zip(names, weakest, strict=True)
        },
        at_bounds=tuple(_bound_name(form, i) for i in np.flatnonzero(bound)),
        sigma=sigma,
    )


def status(
    found: Curvature,
    *,
    promise: float,
    agreeing: int,
    starts: int,
    failures: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> str:
    """Say in plain words how far a fit is to be trusted.

    Parameters
    ----------
    found : Curvature
        What the curvature says.
    promise : float
        Relative decrease of the objective that another step promises.
    agreeing, starts : int
        How many starts reached this optimum, of how many.
    failures : sequence of str
        What is known to make the fit worthless.
    doubts : sequence of str
        What is known to make it weak.

    Returns
    -------
    str
        ``"trustworthy"``, or ``"weakly identified: ..."`` or ``"failed: ..."`` with the reasons.
    """
    failed = list(failures)
    if promise > 1e-4:
        failed.append("the search stopped before it converged")
    if agreeing < 2 <= starts:
        failed.append(f"only {agreeing} of {starts} starts reached this optimum: there may be a better one")
    if failed:
        return "failed: " + "; ".join(failed)
    weak = [*doubts, *(f"{place}: the runs do not fix it" for place in found.at_bounds)]
    loose = {
        name: error
        for name, error in found.standard_errors.items()
        if np.isfinite(error) and error > (_WEIGHTS_WEAK if name in ("A", "B") else _WEAK)
    }
    if loose:
        factors = ", ".join(f"{name} to a factor of {_factor(error)}" for name, error in loose.items())
        weak.append(f"{factors}; {_together(found)}")
    return "weakly identified: " + "; ".join(weak) if weak else TRUSTWORTHY


def _together(found: Curvature) -> str:
    """Name the coefficients that move together along the weakest direction."""
    largest = max(abs(change) for change in found.weakest.values())
    moving = [(name, c) for name, c in found.weakest.items() if abs(c) > 0.05 * largest and abs(c) > 0.02]
    changes = ", ".join(f"{name} {'x' if c > 0 else '/'} {_factor(c)}" for name, c in moving)
    return f"these move together unnoticed: {changes}"


def _factor(change: float) -> str:
    factor = float(np.exp(min(abs(change), 700.0)))
    return f"{factor:.2g}" if factor < 1e4 else f"{factor:.0e}"


def _log_coefficients_by_theta(form: Law, theta: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return d ln(coefficient) / d theta by central differences, [coefficients, free coordinates]."""
    step = 1e-6 * np.maximum(np.abs(theta[free]), 1e-2)
    moved = np.repeat(theta[None], 2 * len(free), axis=0)
    moved[np.arange(len(free)), free] += step
    moved[len(free) + np.arange(len(free)), free] -= step
    logs = np.log(np.maximum(np.stack(list(form.coefficients(moved).values())), 1e-300))
    return np.asarray((logs[:, : len(free)] - logs[:, len(free) :]) / (2.0 * step))


_BOUND_NAMES: dict[type, tuple[str, ...]] = {
    SupervisedForm: ("E", "the N term", "the D term", "alpha", "beta", "gamma"),
    DistillationForm: (
        "the N_S term", "the D_S term", "alpha", "beta", "gamma", "c0",
        "the place of the break", "f1", "c1",
    ),
}  # fmt: skip


def _bound_name(form: Law, index: Any) -> str:
    name = _BOUND_NAMES[type(form)][int(index)]
    if name == "c1":
        return "the end of the break is out of sight, only k = c1 f1 d1^(-1/f1) of c1 and d1 is seen"
    return f"{name} ended on a bound of the search"


def _lost_to_bounds(form: Law, bound: np.ndarray) -> set[str]:
    """Name the coefficients that a coordinate on its bound leaves without a meaning."""
    if isinstance(form, SupervisedForm):
        return {form.names[int(i)] for i in bound}
    lost = {(*form.names[:6], "c1", "f1", "c1")[int(i)] for i in bound}
    return lost | {"d1"} if lost & {"c1", "f1"} else lost
