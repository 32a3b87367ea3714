"""The published way to fit a scaling law: SciPy's L-BFGS-B with finite differences, from a grid of starts.

Hoffmann et al. 2022 (Approach 3) and Besiroglu et al. 2024 minimise the sum of Huber losses of log loss in the
coordinates (a, b, e, alpha, beta), with A = exp a and so on, and ln L a log-sum-exp of three terms. Written anew from
their description, with SciPy's default tolerances; more leanly than theirs, so that the ratios are rather too small
than too large. For bootstraps, which start at the optimum, these tolerances stop the search where it started, so the
same search with tight ones is there too, and BFGS with an exact gradient, as in Epoch's bootstraps. The distillation
law has no public fitter; to it the same optimiser is applied in the coordinates of our search, with values from the
printed formula and none of our derivatives.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from distill_lib.scaling import formulas, newton
from distill_lib.scaling.fits import DistillationFit

NAMES = ("E", "A", "B", "alpha", "beta")


class Found(NamedTuple):
    """Ends of several searches, and the processor time of them all in seconds."""

    objective: np.ndarray
    x: np.ndarray
    seconds: float

    @property
    def coefficients(self) -> dict[str, np.ndarray]:
        """Coefficient by name, one value per search."""
        a, b, e, alpha, beta = self.x.T
        return dict(zip(NAMES, (np.exp(e), np.exp(a), np.exp(b), alpha, beta), strict=True))


def grid_of_starts() -> np.ndarray:
    """Return the 4,500 published starts in the order (a, b, e, alpha, beta)."""
    weights, exponents = np.arange(0.0, 26.0, 5.0), np.arange(0.0, 2.1, 0.5)
    return np.array(
        list(itertools.product(weights, weights, np.arange(-1.0, 1.1, 0.5), exponents, exponents))
    )


def objective(x, log_N, log_D, log_L, weights, delta: float) -> float:
    """Return the sum of Huber losses of log loss at (a, b, e, alpha, beta)."""
    a, b, e, alpha, beta = x
    u, v = a - alpha * log_N, b - beta * log_D
    highest = np.maximum(np.maximum(u, v), e)
    residual = highest + np.log(np.exp(u - highest) + np.exp(v - highest) + np.exp(e - highest)) - log_L
    return float((weights * newton.huber_loss(residual, delta)).sum())


def objective_and_slope(x, log_N, log_D, log_L, weights, delta: float) -> tuple[float, np.ndarray]:
    """Return the same objective with its gradient."""
    a, b, e, alpha, beta = x
    u, v = a - alpha * log_N, b - beta * log_D
    highest = np.maximum(np.maximum(u, v), e)
    s, t, r = np.exp(u - highest), np.exp(v - highest), np.exp(e - highest)
    total = s + t + r
    residual = highest + np.log(total) - log_L
    clipped = np.clip(residual, -delta, delta)
    pull = weights * clipped / total
    by_a, by_b = pull * s, pull * t
    slope = [by_a.sum(), by_b.sum(), (pull * r).sum(), -(by_a * log_N).sum(), -(by_b * log_D).sum()]
    return float((weights * clipped * (residual - 0.5 * clipped)).sum()), np.array(slope)


TIGHT = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000, "maxfun": 100_000}

#: Name of a way, the function it minimises, and what SciPy is told.
WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "L-BFGS-B, finite differences": (objective, {"method": "L-BFGS-B"}),
    "the same, tight tolerances": (objective, {"method": "L-BFGS-B", "options": TIGHT}),
    "BFGS, exact gradient": (objective_and_slope, {"method": "BFGS", "jac": True}),
}
PUBLISHED = "L-BFGS-B, finite differences"


def search(starts: np.ndarray, N, D, L, weights: np.ndarray, delta: float, way: str = PUBLISHED) -> Found:
    """Follow each start to its end; ``weights`` are [runs], or [starts, runs]."""
    logs = [np.log(values) for values in (N, D, L)]
    rows = np.broadcast_to(weights, (len(starts), len(logs[0])))
    function, told = WAYS[way]
    begin = time.process_time()
    ends = [
        minimize(function, start, args=(*logs, row, delta), **told)
        for start, row in zip(starts, rows, strict=True)
    ]
    seconds = time.process_time() - begin
    return Found(np.array([end.fun for end in ends]), np.stack([end.x for end in ends]), seconds)


def start_at(coefficients: dict[str, float]) -> np.ndarray:
    """Return a law as a start."""
    E, A, B, alpha, beta = (coefficients[name] for name in NAMES)
    return np.array([np.log(A), np.log(B), np.log(E), alpha, beta])


def search_distillation(starts: np.ndarray, fit: DistillationFit) -> Found:
    """Follow each start to its end on the distillation law, through the same falling widths as our solver."""
    problem, base = fit.problem, fit.law.supervised.to_dict()
    form, log_L = problem.form, problem.log_L
    N_S, D_S = (np.exp(axis + middle) for axis, middle in zip((form.x, form.y), form.centre, strict=False))

    def total(theta: np.ndarray, delta: float) -> float:
        values = {name: float(value[0]) for name, value in form.coefficients(theta[None]).items()}
        L_S = formulas.distillation_loss(N_S, D_S, form.L_T, {**values, "supervised": base}, np)
        return float(newton.huber_loss(np.log(L_S) - log_L, delta).sum())

    bounds = [(low, high) for low, high in zip(form.low, form.high, strict=True)]
    tight = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 3000, "maxfun": 60_000}
    begin, ends = time.process_time(), []
    for start in starts:
        theta = np.clip(start, form.low, form.high)
        for width in newton.stages(problem.delta, problem.scale):
            # The sum is scaled to about one, so that no tolerance in absolute terms stops it early.
            unit = max(total(theta, width), 1e-300)
            end = minimize(
                lambda x, width=width, unit=unit: total(x, width) / unit,
                theta,
                method="L-BFGS-B",
                bounds=bounds,
                options=tight,
            )
            theta = end.x
        ends.append((total(theta, problem.delta), theta))
    seconds = time.process_time() - begin
    return Found(np.array([value for value, _ in ends]), np.stack([theta for _, theta in ends]), seconds)
