"""The two laws in coordinates that runs can tell apart, with exact first and second derivatives.

Coefficients as printed are a poor choice for a search: A and alpha, or c1 and d1, trade off over orders of
magnitude. Here the terms are anchored at the centre of the data, slopes are those that the loss shows, and the
break of the distillation law is written so that its limit is a point of the search, not at infinity.
Second derivatives have a simple structure: the smooth maximum of the two terms has a Hessian of rank one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw

# An exponent that data can show; the outer exponent; and ln of a term at the centre of the data.
SLOPE = (1e-3, 2.0)
GAMMA = (0.1, 4.0)
LEVEL = (-40.0, 20.0)


@dataclass(frozen=True)
class _Terms:
    """ln (A / N^alpha + B / D^beta)^gamma, and what its derivatives by (a, b, p, q, gamma) are made of.

    a and b are gamma ln of the two terms at the centre of the data, p = alpha gamma, q = beta gamma. With x and y
    the centred ln N and ln D, the gradient is (s, t, -s x, -t y, h) and the Hessian bend along along', with
    along = (1, -1, -x, y, -apart).
    """

    value: np.ndarray  # [rows, points], as are the others
    s: np.ndarray  # share of the N term
    t: np.ndarray  # share of the D term
    h: np.ndarray  # entropy of the two shares
    apart: np.ndarray
    bend: np.ndarray

    def gradient(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the derivatives by (a, b, p, q, gamma)."""
        return self.s, self.t, -self.s * x, -self.t * y, self.h


def _terms(a: Any, b: Any, p: Any, q: Any, gamma: Any, x: np.ndarray, y: np.ndarray) -> _Terms:
    """Evaluate the two terms; coefficients are columns [rows, 1], x and y are [points]."""
    u, v = a / gamma - (p / gamma) * x, b / gamma - (q / gamma) * y
    larger = np.maximum(u, v)
    apart = u - v
    u -= larger
    v -= larger
    s, t = np.exp(u), np.exp(v)
    total = s + t
    s /= total
    t /= total
    log = np.log(total, out=total)
    return _Terms(gamma * (larger + log), s, t, log - s * u - t * v, apart, s * t / gamma)


def _monomials(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (1, x, y, x x, x y, y y) of the points, shape [points, 6].

    Every derivative of the two terms by (a, b, p, q, gamma) is a sum over points of some weight times one of
    these. One matrix product gives them all, without arrays of shape [rows, coefficients, points].
    """
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


_1, _X, _Y, _XX, _XY, _YY = range(6)

# The sum along along' weight: row, column, power of apart that goes into the weight, monomial, sign.
_ALONG = np.array([
    (0, 0, 0, _1, 1), (0, 1, 0, _1, -1), (0, 2, 0, _X, -1), (0, 3, 0, _Y, 1), (0, 4, 1, _1, -1),
    (1, 1, 0, _1, 1), (1, 2, 0, _X, 1), (1, 3, 0, _Y, -1), (1, 4, 1, _1, 1),
    (2, 2, 0, _XX, 1), (2, 3, 0, _XY, -1), (2, 4, 1, _X, 1),
    (3, 3, 0, _YY, 1), (3, 4, 1, _Y, -1),
    (4, 4, 2, _1, 1),
])  # fmt: skip

# The Hessian of the supervised law by (E, a, b, p, q, gamma): row, column, weight, monomial, sign. The weights are
# listed in SupervisedForm.derivatives; those from 9 on are only wanted where gamma is free.
_SUPERVISED = np.array([
    (0, 0, 7, _1, 1), (0, 1, 3, _1, 1), (0, 2, 4, _1, 1), (0, 3, 3, _X, -1), (0, 4, 4, _Y, -1), (0, 5, 12, _1, 1),
    (1, 1, 0, _1, 1), (1, 2, 1, _1, 1), (1, 3, 0, _X, -1), (1, 4, 1, _Y, -1), (1, 5, 9, _1, 1),
    (2, 2, 2, _1, 1), (2, 3, 1, _X, -1), (2, 4, 2, _Y, -1), (2, 5, 10, _1, 1),
    (3, 3, 0, _XX, 1), (3, 4, 1, _XY, 1), (3, 5, 9, _X, -1),
    (4, 4, 2, _YY, 1), (4, 5, 10, _Y, -1),
    (5, 5, 11, _1, 1),
])  # fmt: skip
_SUPERVISED_GRADIENT = np.array([
    (0, 8, _1, 1), (1, 5, _1, 1), (2, 6, _1, 1), (3, 5, _X, -1), (4, 6, _Y, -1), (5, 13, _1, 1),
])  # fmt: skip


def _sums(weights: Sequence[np.ndarray], monomials: np.ndarray) -> np.ndarray:
    """Return sums over points of each weight times each monomial, shape [weights, rows, 6]."""
    return np.stack([weight @ monomials for weight in weights])


def _symmetric(sums: np.ndarray, table: np.ndarray, size: int) -> np.ndarray:
    """Return symmetric matrices [rows, size, size] whose entries a table names."""
    row, column, weight, monomial, sign = table[table[:, 2] < len(sums)].T
    entries = sums[weight, :, monomial].T * sign
    matrix = np.zeros((sums.shape[1], size, size))
    matrix[:, row, column] = entries
    matrix[:, column, row] = entries
    return matrix


def _gram(left: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return sum over points of weight * left left', shape [rows, coefficients, coefficients]."""
    return np.matmul(left * weight[:, None, :], np.swapaxes(left, 1, 2))


@dataclass(frozen=True)
class SupervisedForm:
    """L(N, D) = E + (A / N^alpha + B / D^beta)^gamma in the coordinates (E, a, b, p, q, gamma).

    Parameters
    ----------
    x, y : numpy.ndarray
        ln N and ln D, less their centres, shape [points].
    centre : tuple of float
        The centres of ln N and ln D.
    low, high : numpy.ndarray
        Bounds, shape [6]; equal where a coefficient is held.
    """

    x: np.ndarray
    y: np.ndarray
    centre: tuple[float, float]
    low: np.ndarray
    high: np.ndarray

    names = ("E", "A", "B", "alpha", "beta", "gamma")

    @cached_property
    def monomials(self) -> np.ndarray:
        """Products of the coordinates of the points, shape [points, 6]."""
        return _monomials(self.x, self.y)

    @classmethod
    def at(cls, N: np.ndarray, D: np.ndarray, highest_E: float, hold: Mapping[str, float]) -> SupervisedForm:
        """Anchor the form at runs.

        Parameters
        ----------
        N, D : numpy.ndarray
            Parameters and tokens, shape [points].
        highest_E : float
            Bound of E.
        hold : mapping
            Values of coefficients that are not fitted; ``E`` or ``gamma``.

        Returns
        -------
        SupervisedForm
            With bounds; held coefficients have equal ones.
        """
        bounds = [(0.0, highest_E), LEVEL, LEVEL, SLOPE, SLOPE, GAMMA]
        for name, value in hold.items():
            bounds[cls.names.index(name)] = (value, value)
        low, high = (np.array(side) for side in zip(*bounds, strict=True))
        log_N, log_D = np.log(N), np.log(D)
        centre = float(log_N.mean()), float(log_D.mean())
        return cls(log_N - centre[0], log_D - centre[1], centre, low, high)

    def part(self, rows: Any) -> SupervisedForm:
        """Return the form for some rows: itself, since all share the points.

        Parameters
        ----------
        rows : slice or numpy.ndarray
            Which rows.

        Returns
        -------
        SupervisedForm
            The same.
        """
        return self

    def evaluate(self, theta: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return ln of the predicted loss, [rows, points], and what the derivatives need.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, 6].

        Returns
        -------
        tuple
            ln L, and a state for :meth:`derivatives`.
        """
        E, a, b, p, q, gamma = (theta[:, [i]] for i in range(6))
        if self.low[5] == self.high[5] == 1.0:  # a plain sum: half the work
            terms = np.exp(a - p * self.x), np.exp(b - q * self.y)
            loss = E + terms[0] + terms[1]
            return np.log(loss), (terms, loss, None)
        whole = _terms(a, b, p, q, gamma, self.x, self.y)
        reducible = np.exp(whole.value)
        loss = E + reducible
        return np.log(loss), (whole, loss, reducible)

    def derivatives(self, state: Any, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and Hessian of an objective of ln L.

        Parameters
        ----------
        state : object
            From :meth:`evaluate`.
        first, second : numpy.ndarray
            Derivatives of the objective by ln L, shape [rows, points].

        Returns
        -------
        tuple of numpy.ndarray
            Shapes [rows, 6] and [rows, 6, 6].
        """
        terms, loss, reducible = state
        by_E = 1.0 / loss
        # With J the gradient of ln L, its Hessian is -J J' + K, where K is (aa, ab, bb) by (a, b).
        if reducible is None:
            by_a, by_b = terms[0] * by_E, terms[1] * by_E
            aa, ab, bb = by_a, 0.0, by_b
        else:
            share = reducible * by_E
            by_a, by_b, bend = share * terms.s, share * terms.t, share * terms.bend
            aa, ab, bb = by_a * terms.s + bend, by_a * terms.t - bend, by_b * terms.t + bend
        left = second - first
        left_E, left_a, left_b = left * by_E, left * by_a, left * by_b
        weights = [
            left_a * by_a + first * aa, left_a * by_b + first * ab, left_b * by_b + first * bb,
            left_E * by_a, left_E * by_b, first * by_a, first * by_b, left_E * by_E, first * by_E,
        ]  # fmt: skip
        if self.low[5] < self.high[5]:
            h, turn = terms.h, bend * terms.apart
            by_gamma = share * h
            weights += [
                left_a * by_gamma + first * (by_a * h - turn), left_b * by_gamma + first * (by_b * h + turn),
                left * by_gamma**2 + first * (by_gamma * h + turn * terms.apart),
                left_E * by_gamma, first * by_gamma,
            ]  # fmt: skip
        sums = _sums(weights, self.monomials)
        coordinate, weight, monomial, sign = _SUPERVISED_GRADIENT[_SUPERVISED_GRADIENT[:, 1] < len(weights)].T
        gradient = np.zeros((len(left), 6))
        gradient[:, coordinate] = sums[weight, :, monomial].T * sign
        return gradient, _symmetric(sums, _SUPERVISED, 6)

    def slopes(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivatives of ln L by the coordinates.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, 6].

        Returns
        -------
        numpy.ndarray
            Shape [rows, 6, points].
        """
        log_L = self.evaluate(theta)[0]
        a, b, p, q, gamma = (theta[:, [i]] for i in range(1, 6))
        terms = _terms(a, b, p, q, gamma, self.x, self.y)
        share = np.exp(terms.value - log_L)
        return np.stack(
            [np.exp(-log_L), *(share * slope for slope in terms.gradient(self.x, self.y))], axis=1
        )

    def coefficients(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Return the paper's coefficients.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, 6].

        Returns
        -------
        dict of str to numpy.ndarray
            Coefficient by name, shape [rows] each.
        """
        E, a, b, p, q, gamma = theta.T
        alpha, beta = p / gamma, q / gamma
        A, B = (
            _weight(c / gamma + e * m) for c, e, m in zip((a, b), (alpha, beta), self.centre, strict=True)
        )
        return {"E": E, "A": A, "B": B, "alpha": alpha, "beta": beta, "gamma": gamma}

    def theta(self, law: SupervisedLaw) -> np.ndarray:
        """Return the coordinates of a law.

        Parameters
        ----------
        law : SupervisedLaw
            The law.

        Returns
        -------
        numpy.ndarray
            Shape [6].
        """
        a = law.gamma * (np.log(law.A) - law.alpha * self.centre[0])
        b = law.gamma * (np.log(law.B) - law.beta * self.centre[1])
        return np.array([law.E, a, b, law.alpha * law.gamma, law.beta * law.gamma, law.gamma])


@dataclass(frozen=True)
class DistillationForm:
    """The distillation law (Eq 8) in the coordinates (a, b, p, q, gamma, c0, k, s, w).

    With z = ln L_T - ln L(N_S, D_S), the break lowers the student's term by ``log(1 + w exp(k + s z)) / w``:
    s = 1 / f1, w = 1 / (c1 f1), and k = ln(c1 f1) - ln(d1) / f1, the combination of c1, f1 and d1 that data can
    tell. At w = 0 it is exp(k + s z): a break whose end is not in sight.

    Parameters
    ----------
    x, y, lean, z : numpy.ndarray
        ln N_S, ln D_S, ln L_T, each less its centre, shape [points]; and z less its centre, shape [points], or
        [rows, points] where the supervised law differs from row to row.
    L_T : numpy.ndarray
        Losses of the teachers, shape [points].
    centre : tuple of float
        The four centres.
    low, high : numpy.ndarray
        Bounds, shape [9]; equal where a coefficient is held.
    """

    x: np.ndarray
    y: np.ndarray
    lean: np.ndarray
    z: np.ndarray
    L_T: np.ndarray
    centre: tuple[float, float, float, float]
    low: np.ndarray
    high: np.ndarray

    names = ("A", "B", "alpha", "beta", "gamma", "c0", "c1", "f1", "d1")

    @cached_property
    def monomials(self) -> np.ndarray:
        """Products of the coordinates of the points, shape [points, 6]."""
        return _monomials(self.x, self.y)

    @classmethod
    def at(
        cls, N_S: np.ndarray, D_S: np.ndarray, L_T: np.ndarray, L_tilde: np.ndarray, *, teacher: str = "full"
    ) -> DistillationForm:
        """Anchor the form at runs.

        Parameters
        ----------
        N_S, D_S, L_T : numpy.ndarray
            Students' parameters and tokens, and their teachers' losses, shape [points].
        L_tilde : numpy.ndarray
            Supervised loss at the same N_S and D_S, shape [points], or [rows, points].
        teacher : {"full", "sharp", "no break", "floor"}
            What of the teacher enters: all of it; all with w = 0, so that c1 drops out; only the power c0; or its
            loss alone, as the floor.

        Returns
        -------
        DistillationForm
            With bounds; held coefficients have equal ones.
        """
        logs = [np.log(N_S), np.log(D_S), np.log(L_T), np.log(L_T) - np.log(L_tilde)]
        centre = tuple(float(values.mean()) for values in logs)
        bounds = [LEVEL, LEVEL, SLOPE, SLOPE, GAMMA, (1e-9, 30.0), (-30.0, 12.0), (0.05, 300.0), (1e-9, 1e3)]
        if teacher == "sharp":
            bounds[8] = (1e-9, 1e-9)
        if teacher in ("no break", "floor"):
            bounds[6:] = [(-80.0, -80.0), (1.0, 1.0), (1e-9, 1e-9)]
        if teacher == "floor":
            bounds[5] = (1e-9, 1e-9)
        low, high = (np.array(side) for side in zip(*bounds, strict=True))
        x, y, lean, z = (values - middle for values, middle in zip(logs, centre, strict=True))
        return cls(x, y, lean, z, L_T, centre, low, high)  # type: ignore[arg-type]

    def part(self, rows: Any) -> DistillationForm:
        """Return the form for some rows of a batch.

        Parameters
        ----------
        rows : slice or numpy.ndarray
            Which rows.

        Returns
        -------
        DistillationForm
            With their z.
        """
        return replace(self, z=self.z[rows]) if self.z.ndim == 2 else self

    def evaluate(self, theta: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return ln of the predicted student loss, [rows, points], and what the derivatives need.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, 9].

        Returns
        -------
        tuple
            ln L_S, and a state for :meth:`derivatives`.
        """
        a, b, p, q, gamma, c0, k, s, w = (theta[:, [i]] for i in range(9))
        terms = _terms(a, b, p, q, gamma, self.x, self.y)
        e = np.exp(np.clip(k + s * self.z, -80.0, 40.0))
        fall, by_u, by_uu, ratio = _saturation(w * e)
        excess = np.exp(terms.value - c0 * self.lean - e * fall)
        loss = self.L_T + excess
        return np.log(loss), (terms, e, by_u, by_uu, ratio, excess / loss)

    def derivatives(self, state: Any, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and Hessian of an objective of ln L_S.

        Parameters
        ----------
        state : object
            From :meth:`evaluate`.
        first, second : numpy.ndarray
            Derivatives of the objective by ln L_S, shape [rows, points].

        Returns
        -------
        tuple of numpy.ndarray
            Shapes [rows, 9] and [rows, 9, 9].
        """
        terms, e, _, by_uu, ratio, share = state
        slopes, by_q, pull = self._excess_slopes(state), e * ratio, first * share
        gradient = np.einsum("bpn,bn->bp", slopes, pull)
        hessian = _gram(slopes, second * share**2 + pull * (1.0 - share))
        bend = pull * terms.bend
        turn = bend * terms.apart
        hessian[:, :5, :5] += _symmetric(_sums([bend, turn, turn * terms.apart], self.monomials), _ALONG, 5)
        # The break's own curvature, by (k, s, w); each entry is a sum over points.
        qq, qw = pull * by_q * ratio, -pull * (e * ratio) ** 2
        ww = pull * e**3 * by_uu
        for i, j, entry in (
            (6, 6, qq), (6, 7, qq * self.z), (7, 7, qq * self.z**2),
            (6, 8, qw), (7, 8, qw * self.z), (8, 8, ww),
        ):  # fmt: skip
            total = entry.sum(axis=1)
            hessian[:, i, j] -= total
            if i != j:
                hessian[:, j, i] -= total
        return gradient, hessian

    def depth(self, theta: np.ndarray) -> np.ndarray:
        """Return by how much the break lowers ln (L_S - L_T).

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, 9].

        Returns
        -------
        numpy.ndarray
            Shape [rows, points]; 0 where the break has no effect.
        """
        k, s, w = (theta[:, [i]] for i in (6, 7, 8))
        e = np.exp(np.clip(k + s * self.z, -80.0, 40.0))
        return np.asarray(e * _saturation(w * e)[0])

    def _excess_slopes(self, state: Any) -> np.ndarray:
        """Return the derivatives of ln (L_S - L_T), [rows, 9, points]."""
        terms, e, by_u, _, ratio, _ = state
        by_q = e * ratio
        slopes = np.empty((len(e), 9, e.shape[1]))
        for i, slope in enumerate(terms.gradient(self.x, self.y)):
            slopes[:, i] = slope
        slopes[:, 5], slopes[:, 6], slopes[:, 7] = -self.lean, -by_q, -by_q * self.z
        slopes[:, 8] = -e * e * by_u
        return slopes

    def slopes(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivatives of ln L_S by the coordinates.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, 9].

        Returns
        -------
        numpy.ndarray
            Shape [rows, 9, points].
        """
        state = self.evaluate(theta)[1]
        return state[-1][:, None, :] * self._excess_slopes(state)

    def coefficients(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Return the paper's coefficients.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape [rows, 9].

        Returns
        -------
        dict of str to numpy.ndarray
            Coefficient by name, shape [rows] each.
        """
        a, b, p, q, gamma, c0, k, s, w = theta.T
        alpha, beta = p / gamma, q / gamma
        log_A = (a + c0 * self.centre[2]) / gamma + alpha * self.centre[0]
        log_B = (b + c0 * self.centre[2]) / gamma + beta * self.centre[1]
        log_d1 = self.centre[3] - (k + np.log(w)) / s
        values = (_weight(log_A), _weight(log_B), alpha, beta, gamma, c0, s / w, 1.0 / s, _weight(log_d1))
        return dict(zip(self.names, values, strict=True))

    def theta(self, law: DistillationLaw) -> np.ndarray:
        """Return the coordinates of a law.

        Parameters
        ----------
        law : DistillationLaw
            The law; its supervised law is taken to be the one the form was anchored with.

        Returns
        -------
        numpy.ndarray
            Shape [9].
        """
        shift = law.c0 * self.centre[2]
        a = law.gamma * (np.log(law.A) - law.alpha * self.centre[0]) - shift
        b = law.gamma * (np.log(law.B) - law.beta * self.centre[1]) - shift
        s, w = 1.0 / law.f1, 1.0 / (law.c1 * law.f1)
        k = s * (self.centre[3] - np.log(law.d1)) - np.log(w)
        return np.array([a, b, law.alpha * law.gamma, law.beta * law.gamma, law.gamma, law.c0, k, s, w])


def _weight(log: np.ndarray) -> np.ndarray:
    """Return exp, within what a float can hold: a term that vanished at the data has no weight to speak of."""
    return np.asarray(np.exp(np.clip(log, -700.0, 700.0)))


def _saturation(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return log(1 + u) / u, its first two derivatives, and 1 / (1 + u); exact to rounding for all u >= 0."""
    ratio = 1.0 / (1.0 + u)
    near = u < 0.01
    v = np.where(near, 1.0, u)
    log = np.log1p(v)
    far_ratio = 1.0 / (1.0 + v)
    value = log / v
    first = (far_ratio - value) / v
    second = -(far_ratio**2 + 2.0 * first) / v
    if near.any():
        # log(1 + u) / u = sum (-u)^n / (n + 1)
        n = np.arange(9.0)
        signs = (-1.0) ** n / (n + 1.0)
        small = np.where(near, u, 0.0)
        polynomials = (signs, signs[1:] * n[1:], signs[2:] * n[2:] * (n[2:] - 1.0))
        series = [np.polynomial.polynomial.polyval(small, c) for c in polynomials]
        value, first, second = (
            np.where(near, exact, closed)
            for exact, closed in zip(series, (value, first, second), strict=True)
        )
    return value, first, second, ratio
