"""Fit the supervised law to runs, and say in plain words how far the fit is to be trusted.

The objective is the paper's: the sum of Huber losses of the residuals of log loss (App F.1). Starts come
from a screen: for given E and exponents the law is linear in A and B, so a coarse grid over the others is
solved at once, and only the best few starts are polished.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from distill_lib.scaling import _checks
from distill_lib.scaling.laws import SupervisedLaw

# Bounds of (E / lowest loss, exponents, gamma); a fit that ends on one is reported, not trusted.
_E_SHARE = (1e-6, 1.0 - 1e-6)
_EXPONENT = (1e-3, 4.0)
_GAMMA = (0.05, 5.0)
_STARTS = 12


@dataclass(frozen=True)
class SupervisedFit:
    """A fitted supervised law with what is needed to judge it.

    Parameters
    ----------
    law : SupervisedLaw
        The coefficients of least objective.
    objective : float
        Sum of Huber losses of the residuals of log loss.
    residuals : numpy.ndarray
        log of predicted over observed loss, one per run.
    status : str
        ``"good"``, or what is wrong in plain words.
    starts_agreeing : tuple of int
        How many polished starts reached this optimum, of how many.
    gamma : {"free"} or float
        Whether the outer exponent was fitted or fixed.
    delta : float
        Width of the Huber loss on log loss.
    """

    law: SupervisedLaw
    objective: float
    residuals: np.ndarray
    status: str
    starts_agreeing: tuple[int, int]
    gamma: float | Literal["free"]
    delta: float

    @property
    def trusted(self) -> bool:
        """Whether nothing was found wrong with the fit."""
        return self.status == "good"

    def __str__(self) -> str:
        law = self.law
        worst = float(np.abs(self.residuals).max())
        return (
            f"E {law.E:.4f}, A {law.A:.5g}, B {law.B:.5g}, alpha {law.alpha:.4f}, beta {law.beta:.4f}, "
            f"gamma {law.gamma:.4f}; objective {self.objective:.6g} over {self.residuals.size} runs, largest "
            f"error {worst:.2%}; status: {self.status}"
        )


def huber_loss(residuals: ArrayLike, delta: float) -> np.ndarray:
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
    return np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))


def fit_supervised_law(
    N: ArrayLike,
    D: ArrayLike,
    L: ArrayLike,
    *,
    gamma: float | Literal["free"] = 1.0,
    delta: float = 1e-3,
) -> SupervisedFit:
    """Fit L(N, D) = E + (A / N^alpha + B / D^beta)^gamma to runs (Eq 1, App F.1).

    Parameters
    ----------
    N : array_like
        Non-embedding parameters, shape [runs].
    D : array_like
        Tokens, shape [runs].
    L : array_like
        Measured losses, nats per token, shape [runs].
    gamma : float or "free"
        Outer exponent: 1 gives the form of Hoffmann et al. 2022, ``"free"`` fits it as the paper does.
    delta : float
        Residuals of log loss beyond this count linearly; the paper takes 1e-4.

    Returns
    -------
    SupervisedFit
        Law, objective, residuals, and a status that says when not to trust it.

    Raises
    ------
    ValueError
        For values out of range (naming the first), unequal lengths, or fewer runs than coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> truth = SupervisedLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
    >>> N, D = np.meshgrid([1e8, 3e8, 1e9, 3e9], [2e9, 1e10, 5e10])
    >>> fit = fit_supervised_law(N.ravel(), D.ravel(), truth.loss(N, D).ravel())
    >>> round(fit.law.alpha, 4), fit.status
    (0.35, 'good')
    """
    runs = {
        name: np.atleast_1d(_checks.positive(name, value)) for name, value in (("N", N), ("D", D), ("L", L))
    }
    shapes = {name: list(values.shape) for name, values in runs.items()}
    if len({values.shape for values in runs.values()}) > 1 or runs["L"].ndim != 1:
        raise ValueError(f"N, D and L have shapes {shapes}; give one value of each per run, on one axis")
    if gamma != "free":
        gamma = _checks.number("gamma", gamma, *_GAMMA, "or 'free' to fit it")
    delta = _checks.number("delta", delta, 1e-12, 1e3, "it is a width on log loss, such as 1e-3")
    problem = _Problem(runs["N"], runs["D"], runs["L"], gamma, delta)
    if problem.log_L.size < problem.low.size:
        raise ValueError(
            f"{problem.log_L.size} runs cannot fix {problem.low.size} coefficients; add runs, or fix gamma"
        )
    polished = sorted((problem.polish(start) for start in problem.starts()), key=lambda found: found.cost)
    best = polished[0]
    agreeing = sum(bool(found.cost <= best.cost * (1.0 + 1e-6) + 1e-18) for found in polished)
    return SupervisedFit(
        law=problem.law(best.x),
        objective=float(best.cost),
        residuals=problem.residuals(best.x),
        status=problem.status(best, agreeing, len(polished)),
        starts_agreeing=(agreeing, len(polished)),
        gamma=gamma,
        delta=delta,
    )


class _Problem:
    """The least-squares problem in coordinates that are close to independent.

    theta = (share, a, b, p, q[, gamma]): E = share * min(L); at the centre of the data, ln of the two
    terms is a / gamma and b / gamma; p = alpha gamma and q = beta gamma are the slopes that the data show.
    """

    def __init__(self, N: np.ndarray, D: np.ndarray, L: np.ndarray, gamma: float | str, delta: float) -> None:
        self.log_N, self.log_D, self.log_L = np.log(N), np.log(D), np.log(L)
        self.centre = float(self.log_N.mean()), float(self.log_D.mean())
        self.x, self.y = self.log_N - self.centre[0], self.log_D - self.centre[1]
        self.least = float(L.min())
        self.gamma, self.delta = gamma, delta
        free = [_GAMMA] if gamma == "free" else []
        bounds = [_E_SHARE, (-60.0, 60.0), (-60.0, 60.0), _EXPONENT, _EXPONENT, *free]
        self.low, self.high = (np.array(side) for side in zip(*bounds, strict=True))

    def parts(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return (ln predicted, share of E, share of the N term inside, u, v, their LSE)."""
        share, a, b, p, q = theta[:5]
        gamma = self.outer(theta)
        u, v = (a - p * self.x) / gamma, (b - q * self.y) / gamma
        inside = np.logaddexp(u, v)
        log_E = np.log(share * self.least)
        predicted = np.logaddexp(log_E, gamma * inside)
        return predicted, np.exp(log_E - predicted), np.exp(u - inside), u, v, inside

    def outer(self, theta: np.ndarray) -> float:
        """Return gamma, fitted or fixed."""
        return float(theta[5]) if self.gamma == "free" else float(self.gamma)

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """Return ln predicted - ln observed."""
        return self.parts(theta)[0] - self.log_L

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivatives of the residuals by theta, shape [runs, coefficients]."""
        _, of_E, of_N, u, v, inside = self.parts(theta)
        rest = 1.0 - of_E
        columns = [of_E / theta[0], rest * of_N, rest * (1.0 - of_N)]
        columns += [-columns[1] * self.x, -columns[2] * self.y]
        if self.gamma == "free":
            columns.append(rest * (inside - of_N * u - (1.0 - of_N) * v))
        return np.stack(columns, axis=1)

    def starts(self) -> Iterator[np.ndarray]:
        """Yield the most promising points of a coarse grid, A and B solved for linearly at each."""
        gammas = (
            np.array([0.3, 0.45, 0.65, 1.0]) if self.gamma == "free" else np.array([self.outer(self.low)])
        )
        share, p, q, gamma = (
            axis.reshape(-1, 1)
            for axis in np.meshgrid(
                np.array([0.05, 0.3, 0.5, 0.65, 0.8, 0.9, 0.97]),
                np.array([0.08, 0.15, 0.25, 0.4, 0.7]),
                np.array([0.08, 0.15, 0.25, 0.4, 0.7]),
                gammas,
                indexing="ij",
            )
        )
        L = np.exp(self.log_L)
        inside = (L - share * self.least) ** (1.0 / gamma)
        # Errors of log L are errors of `inside` times the slope of log L by it: weight by that.
        weight = gamma * (L - share * self.least) / (inside * L)
        X, Y, Z = weight * np.exp(-p * self.x / gamma), weight * np.exp(-q * self.y / gamma), weight * inside
        xx, yy, xy = (X * X).sum(1), (Y * Y).sum(1), (X * Y).sum(1)
        xz, yz = (X * Z).sum(1), (Y * Z).sum(1)
        determinant = np.maximum(xx * yy - xy * xy, 1e-12 * xx * yy)
        A, B = (xz * yy - yz * xy) / determinant, (yz * xx - xz * xy) / determinant
        A, B = np.maximum(A, 1e-3 * xz / xx), np.maximum(B, 1e-3 * yz / yy)
        columns = [
            share[:, 0],
            gamma[:, 0] * np.log(A),
            gamma[:, 0] * np.log(B),
            p[:, 0],
            q[:, 0],
            gamma[:, 0],
        ]
        thetas = np.stack(columns, axis=1)
        costs = np.array([huber_loss(self.residuals(theta), self.delta).sum() for theta in thetas])
        for index in np.argsort(costs, kind="stable")[:_STARTS]:
            yield np.clip(thetas[index][: self.low.size], self.low, self.high)

    def polish(self, start: np.ndarray) -> Any:
        """Return scipy's result from one start, at the tightest tolerance."""
        return least_squares(
            self.residuals,
            start,
            jac=self.jacobian,
            bounds=(self.low, self.high),
            loss="huber",
            f_scale=self.delta,
            x_scale="jac",
            ftol=1e-15,
            xtol=1e-15,
            gtol=1e-15,
            max_nfev=2000,
        )

    def law(self, theta: np.ndarray) -> SupervisedLaw:
        """Return the law in the paper's coefficients."""
        share, a, b, p, q = (float(value) for value in theta[:5])
        gamma = self.outer(theta)
        alpha, beta = p / gamma, q / gamma
        return SupervisedLaw(
            E=share * self.least,
            A=float(np.exp(a / gamma + alpha * self.centre[0])),
            B=float(np.exp(b / gamma + beta * self.centre[1])),
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            name="fit",
        )

    def status(self, best: Any, agreeing: int, starts: int) -> str:
        """Return 'good', or the reasons not to trust the fit."""
        wrong = []
        for name, values in (("sizes N", self.log_N), ("token counts D", self.log_D)):
            distinct = np.unique(np.round(values, 6)).size
            if distinct < 3:
                wrong.append(f"only {distinct} distinct {name}: three at least are needed to see a power law")
        names = ("E", "A", "B", "alpha", "beta", "gamma")
        for name, value, low, high in zip(names, best.x, self.low, self.high, strict=False):
            margin = 1e-4 * (high - low)
            if value < low + margin or value > high - margin:
                wrong.append(f"{name} ended on a bound of the search: the data do not fix it")
        if best.status <= 0:
            wrong.append("the search stopped before it converged")
        jacobian = self.jacobian(best.x)
        scale = np.linalg.norm(jacobian, axis=0)
        if scale.min() == 0.0 or np.linalg.cond(jacobian / np.maximum(scale, 1e-300)) > 1e6:
            wrong.append("coefficients trade off against each other: the data cannot tell them apart")
        if agreeing < 2 <= starts:
            wrong.append(
                f"only {agreeing} of {starts} starts reached this optimum: there may be a better one"
            )
        return "; ".join(wrong) if wrong else "good"
