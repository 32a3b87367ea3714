"""The capacity gap in closed form: a kernel student that learns from a kernel teacher (App C.1).

The target is a sum of orthonormal functions with coefficients alpha. A teacher may use the first m of them
and has a norm of at most T; a student uses the first n, has a norm of at most D, and sees the teacher only.
Both minimise their distance; everything follows from shrinking coefficients (Lemmas C.1 and C.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks


@dataclass(frozen=True)
class KernelRegression:
    """A target in an orthonormal basis, with what bounds teacher and student.

    Parameters
    ----------
    coefficients : numpy.ndarray
        Coefficients alpha of the target, shape [basis].
    T : float
        Largest norm of a teacher.
    D : float
        Largest norm of a student, at most T.

    Raises
    ------
    ValueError
        For coefficients that are no finite numbers, or norms out of order.
    """

    coefficients: np.ndarray
    T: float = 5.0
    D: float = 4.5

    def __post_init__(self) -> None:
        alpha = np.asarray(self.coefficients, dtype=float)
        if alpha.ndim != 1 or len(alpha) == 0 or not np.all(np.isfinite(alpha)):
            raise ValueError(f"coefficients of shape {list(alpha.shape)}; give one axis of finite numbers")
        if not 0.0 < self.D <= self.T < np.inf:
            raise ValueError(
                f"D = {self.D!r} and T = {self.T!r} are out of order; the lemmas need 0 < D <= T, both finite"
            )
        object.__setattr__(self, "coefficients", alpha)

    def teacher_error(self, m: ArrayLike) -> _checks.Real:
        """Distance of the best teacher from the target (Lemma C.1).

        Parameters
        ----------
        m : array_like
            Basis functions of the teacher.

        Returns
        -------
        float or numpy.ndarray
            The error e_T, shape of ``m``.

        Raises
        ------
        ValueError
            For m that is no whole number from 1 to the size of the basis.
        """
        within = self._energy("m", m)
        return _plain(self._distance(self._teacher_scale(within), within))

    def student_error(self, m: ArrayLike, n: ArrayLike) -> _checks.Real:
        """Distance from the target of the best student of the best teacher (Lemma C.2).

        Parameters
        ----------
        m, n : array_like
            Basis functions of the teacher and of the student; they broadcast.

        Returns
        -------
        float or numpy.ndarray
            The error e_S.

        Raises
        ------
        ValueError
            For sizes that are no whole numbers from 1 to the size of the basis.
        """
        teacher, student = self._energy("m", m), self._energy("n", n)
        shared = np.minimum(teacher, student)  # of the first min(m, n) functions
        scale = self._teacher_scale(teacher)
        with np.errstate(divide="ignore"):
            shrink = np.minimum(1.0, self.D / (scale * np.sqrt(shared)))
        return _plain(self._distance(scale * shrink, shared))

    def rise(self, n: ArrayLike) -> _checks.Real:
        """How much worse a student is with the largest teacher than with its best one: the capacity gap.

        Parameters
        ----------
        n : array_like
            Basis functions of the student.

        Returns
        -------
        float or numpy.ndarray
            Difference of two errors e_S, 0 or more, shape of ``n``.

        Raises
        ------
        ValueError
            For n that is no whole number from 1 to the size of the basis.
        """
        sizes = np.asarray(n)
        teachers = np.arange(1, len(self.coefficients) + 1)
        errors = np.asarray(self.student_error(teachers, sizes[..., None]))
        return _plain(errors[..., -1] - errors.min(axis=-1))

    @property
    def best_teacher_ends(self) -> float:
        """Ratio m / n up to which, on average, the student's error is lowest: (T / D)^2, from m = n on."""
        return (self.T / self.D) ** 2

    def _energy(self, name: str, size: ArrayLike) -> np.ndarray:
        """Return S_k, the sum of alpha_i^2 over the first k functions."""
        size, basis = np.asarray(size), len(self.coefficients)
        if size.dtype.kind not in "iu" or size.size == 0 or size.min() < 1 or size.max() > basis:
            raise ValueError(f"{name} = {size.tolist()!r} must be whole numbers from 1 to {basis}, the basis")
        return np.cumsum(self.coefficients**2)[size - 1]

    def _teacher_scale(self, within: np.ndarray) -> np.ndarray:
        """Return C, how far the teacher must shrink its coefficients."""
        with np.errstate(divide="ignore"):
            return np.minimum(1.0, self.T / np.sqrt(within))

    def _distance(self, scale: np.ndarray, within: np.ndarray) -> np.ndarray:
        """Distance from the target of its own first coefficients, scaled."""
        outside = np.maximum(np.cumsum(self.coefficients**2)[-1] - within, 0.0)
        return np.sqrt((scale - 1.0) ** 2 * within + outside)


def _plain(value: np.ndarray) -> _checks.Real:
    return float(value) if np.ndim(value) == 0 else value


def draw_target(size: int = 1000, *, seed: int = 0, T: float = 5.0, D: float = 4.5) -> KernelRegression:
    """Draw a target as in Figure 10: coefficients uniform between -1 and 1.

    Parameters
    ----------
    size : int
        Basis functions; the paper takes 1000.
    seed : int
        Seed of the draw; the paper does not state its own.
    T, D : float
        Largest norms of teacher and student.

    Returns
    -------
    KernelRegression
        The problem.
    """
    return KernelRegression(np.random.default_rng(seed).uniform(-1.0, 1.0, size), T, D)


def draw_rises(
    n: ArrayLike, *, T: float = 5.0, D: float = 4.5, draws: int = 50, size: int = 1000, seed: int = 0
) -> np.ndarray:
    """Measure the capacity gap of students over many targets.

    Parameters
    ----------
    n : array_like
        Basis functions of the students, shape [students].
    T, D : float
        Largest norms of teacher and student.
    draws : int
        How many targets.
    size : int
        Basis functions.
    seed : int
        Seed of the first target; the others follow. Equal seeds draw equal targets for every T and D.

    Returns
    -------
    numpy.ndarray
        What :meth:`KernelRegression.rise` returns of each target, shape [draws, students].

    Raises
    ------
    ValueError
        For norms or sizes out of range.
    """
    draws = _checks.whole("draws", draws, 1)
    students = np.atleast_1d(np.asarray(n))
    return np.stack([draw_target(size, seed=seed + k, T=T, D=D).rise(students) for k in range(draws)])
