"""Where to begin a fit: a screen of the law's shapes, with its two weights solved for exactly.

For a given shape (E, exponents, break) the law is linear in A and B once L is unfolded, so only the shape is
searched: over a grid for the supervised law, over a low-discrepancy set for the distillation law. The few
shapes that describe the runs best become the starts. Published grids of starts waste most of their work: under
one start in ten reaches the optimum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from scipy.stats import qmc

from distill_lib.scaling.forms import DistillationForm, SupervisedForm
from distill_lib.scaling.newton import huber_loss

Law = TypeVar("Law", SupervisedForm, DistillationForm)

_WIDE = 0.02  # the screen judges by a loss as wide as a poor fit's residuals
_SHAPES = 1024
_ENOUGH = 2_000  # runs that the screen looks at: it only has to tell a good shape from a poor one


def supervised_starts(form: SupervisedForm, log_L: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Return the most promising points of a coarse grid over E, the exponents and gamma.

    Parameters
    ----------
    form : SupervisedForm
        The law at its design points.
    log_L : numpy.ndarray
        Observed log losses, shape [points].
    weights : numpy.ndarray
        Weight of each run, shape [points].
    count : int
        How many starts to return at most.

    Returns
    -------
    numpy.ndarray
        Shape [starts, 6], best first.
    """
    form, log_L, weights = _some(form, log_L, weights)
    low = np.quantile(np.exp(log_L), 0.1)
    grids = [
        np.array([0.0, 0.3, 0.5, 0.65, 0.8, 0.9, 0.97]) * low if form.low[0] < form.high[0] else form.low[:1],
        np.array([0.08, 0.15, 0.25, 0.4, 0.7]),
        np.array([0.08, 0.15, 0.25, 0.4, 0.7]),
        np.array([0.3, 0.45, 0.65, 1.0]) if form.low[5] < form.high[5] else form.low[5:],
    ]
    E, p, q, gamma = (axis.reshape(-1, 1) for axis in np.meshgrid(*grids, indexing="ij"))
    reducible = np.exp(log_L) - E
    a, b = _two_weights(
        np.log(np.maximum(reducible, 1e-300)),
        weights * gamma * np.maximum(reducible, 0.0) / np.exp(log_L),
        -p * form.x,
        -q * form.y,
        gamma,
    )
    theta = np.concatenate([E, a, b, p, q, gamma], axis=1)
    return _best(form, theta, log_L, weights, count)


def distillation_starts(
    form: DistillationForm, log_L: np.ndarray, weights: np.ndarray, count: int
) -> np.ndarray:
    """Return the most promising of many shapes of the distillation law.

    Parameters
    ----------
    form : DistillationForm
        The law at its design points.
    log_L : numpy.ndarray
        Observed log losses of the students, shape [points].
    weights : numpy.ndarray
        Weight of each run, shape [points].
    count : int
        How many starts to return at most.

    Returns
    -------
    numpy.ndarray
        Shape [starts, 9], best first.
    """
    form, log_L, weights = _some(form, log_L, weights)
    #            p     q    gamma  c0   k    s     w
    low = np.array([0.05, 0.05, 0.2, 0.0, -2.0, 2.0, 0.0])
    high = np.array([0.6, 1.0, 1.2, 5.0, 2.0, 30.0, 0.3])
    # A fixed set: a fit is a function of the runs alone.
    shapes = low + qmc.Sobol(len(low), seed=0).random(_SHAPES) * (high - low)
    shapes = np.clip(shapes, form.low[2:], form.high[2:])
    theta = np.concatenate([np.zeros((_SHAPES, 2)), shapes], axis=1)
    p, q, gamma = (shapes[:, [i]] for i in range(3))
    # ln of (A / N^alpha + B / D^beta)^gamma as each run would have it; students better than their teachers,
    # which the law cannot express, have no say here.
    excess = np.exp(log_L) - form.L_T
    wanted = np.log(np.maximum(excess, 1e-300)) + shapes[:, [3]] * form.lean + form.depth(theta)
    a, b = _two_weights(
        wanted,
        weights * gamma * np.maximum(excess, 0.0) / np.exp(log_L),
        -p * form.x,
        -q * form.y,
        gamma,
    )
    theta[:, :1], theta[:, 1:2] = a, b
    return _best(form, theta, log_L, weights, count)


def _some(form: Law, log_L: np.ndarray, weights: np.ndarray) -> tuple[Law, np.ndarray, np.ndarray]:
    """Return so many of the runs that a screen of many shapes stays small; drawn, since tables are often sorted."""
    counted = np.flatnonzero(weights > 0.0)
    if counted.size <= _ENOUGH:
        return form, log_L, weights
    runs = np.sort(np.random.default_rng(0).choice(counted, _ENOUGH, replace=False))
    axes = [name for name in ("x", "y", "lean", "z", "L_T") if hasattr(form, name)]
    part = replace(form, **{name: getattr(form, name)[runs] for name in axes})
    return part, log_L[runs], weights[runs]


def _two_weights(
    wanted: np.ndarray, weight: np.ndarray, by_N: np.ndarray, by_D: np.ndarray, gamma: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Solve gamma ln(A exp(by_N / gamma) + B exp(by_D / gamma)) = wanted for gamma ln A and gamma ln B.

    Least squares in the unfolded terms, weighted so that it is one in ln L to first order.
    """
    target = wanted / gamma
    seen = weight > 0.0
    level = (target * seen).sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    target = np.clip(target - level, -100.0, 100.0)
    # An error of ln L is one of the unfolded terms divided by them.
    share = weight * np.exp(-target)
    left, right = (share * np.exp(np.clip(by / gamma, -100.0, 100.0)) for by in (by_N, by_D))
    xx, yy, xy = (left * left).sum(1), (right * right).sum(1), (left * right).sum(1)
    xz, yz = (left * weight).sum(1), (right * weight).sum(1)
    determinant = np.maximum(xx * yy - xy * xy, 1e-12 * xx * yy) + 1e-300
    A = np.maximum((xz * yy - yz * xy) / determinant, 1e-3 * xz / (xx + 1e-300))
    B = np.maximum((yz * xx - xz * xy) / determinant, 1e-3 * yz / (yy + 1e-300))
    a, b = (gamma * (np.log(np.maximum(part, 1e-300))[:, None] + level) for part in (A, B))
    return a, b


def _best(
    form: SupervisedForm | DistillationForm,
    theta: np.ndarray,
    log_L: np.ndarray,
    weights: np.ndarray,
    count: int,
) -> np.ndarray:
    theta = np.clip(theta, form.low, form.high)
    cost = (weights * huber_loss(form.evaluate(theta)[0] - log_L, _WIDE)).sum(axis=1)
    return theta[np.argsort(cost, kind="stable")[:count]]
