"""A fitted law with all that is needed to judge it, to question it and to fit it again."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks, formulas, newton
from distill_lib.scaling.diagnosis import TRUSTWORTHY, Curvature
from distill_lib.scaling.forms import DistillationForm, SupervisedForm
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw
from distill_lib.scaling.uncertainty import KINDS, Bootstrap, Kind, as_columns, resampled_weights

Progress = Callable[[int], None]

_PIECE = 256  # resamples between two reports of progress


@dataclass(frozen=True, eq=False)
class Problem:
    """What was fitted: a form at its design points, the observations, their weights and the objective.

    Parameters
    ----------
    form : SupervisedForm or DistillationForm
        The law at its design points.
    log_L : numpy.ndarray
        Observed log losses, shape [runs].
    weights : numpy.ndarray
        Weight of each run, shape [runs].
    delta : float
        Width of the Huber loss.
    scale : float
        Size of the residuals, from which the width of the loss is narrowed in a refit.
    """

    form: SupervisedForm | DistillationForm
    log_L: np.ndarray
    weights: np.ndarray
    delta: float
    scale: float

    def solve(
        self,
        start: np.ndarray,
        *,
        log_L: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        scales: Sequence[float] = (1.0,),
        progress: Progress | None = None,
    ) -> newton.Solutions:
        """Fit again: other weights, other losses, other starts, all rows at once.

        Parameters
        ----------
        start : numpy.ndarray
            Shape [rows, coordinates].
        log_L, weights : numpy.ndarray, optional
            Observations and weights, shape [runs] or [rows, runs].
        scales : sequence of float
            Where the narrowing of the loss begins, in units of the residuals. Rows that did not converge try the
            next one, and keep the lower end.
        progress : callable, optional
            Called with the number of rows done since the last call.

        Returns
        -------
        newton.Solutions
            One row per start.
        """
        log_L = self.log_L if log_L is None else log_L
        weights = self.weights if weights is None else weights
        done = []
        for begin in range(0, len(start), _PIECE):
            rows = slice(begin, begin + _PIECE)
            best = self._descend(start, rows, log_L, weights, scales[0])
            for scale in scales[1:]:
                again = begin + np.flatnonzero(~best.converged)
                if again.size:
                    found = self._descend(start, again, log_L, weights, scale)
                    best = best.better(found, again - begin)
            done.append(best)
            if progress is not None:
                progress(len(best.objective))
        return newton.Solutions.join(done)

    def _descend(
        self, start: np.ndarray, rows: Any, log_L: np.ndarray, weights: np.ndarray, scale: float
    ) -> newton.Solutions:
        return newton.minimise(
            self.form.part(rows),
            start[rows],
            log_L[rows] if log_L.ndim == 2 else log_L,
            weights[rows] if weights.ndim == 2 else weights,
            newton.stages(self.delta, scale * self.scale),
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted law with what is needed to judge it.

    Parameters
    ----------
    law : SupervisedLaw or DistillationLaw
        The coefficients of least objective.
    objective : float
        Sum of Huber losses of the residuals of log loss.
    promise : float
        Relative decrease of the objective that a full Newton step from here promises: the gradient norm, measured
        by the curvature. Next to nothing at an optimum.
    residuals : numpy.ndarray
        ln of predicted over observed loss, one per run.
    status : str
        ``"trustworthy"``, ``"weakly identified: ..."`` or ``"failed: ..."``, with the reasons in plain words.
    starts_agreeing : tuple of int
        How many starts reached this optimum, of how many.
    curvature : Curvature
        Spectrum, standard errors, and the weakest direction.
    delta : float
        Width of the Huber loss on log loss.
    theta : numpy.ndarray
        The optimum in the coordinates of the search.
    problem : Problem
        What was fitted.
    """

    law: Any
    objective: float
    promise: float
    residuals: np.ndarray
    status: str
    starts_agreeing: tuple[int, int]
    curvature: Curvature
    delta: float
    theta: np.ndarray = field(repr=False)
    problem: Problem = field(repr=False)

    @property
    def trusted(self) -> bool:
        """Whether nothing was found wrong with the fit."""
        return self.status == TRUSTWORTHY

    @property
    def mean_error(self) -> float:
        """Mean absolute relative error over the runs."""
        return float(np.abs(np.expm1(self.residuals)).mean())

    @property
    def coefficients(self) -> dict[str, float]:
        """Fitted coefficient by name."""
        return {name: getattr(self.law, name) for name in self.problem.form.names}

    def __str__(self) -> str:
        agree, starts = self.starts_agreeing
        lines = (
            ", ".join(f"{name} {value:.5g}" for name, value in self.coefficients.items()),
            f"objective {self.objective:.6g} over {self.residuals.size} runs (Huber {self.delta:g}); {agree} of "
            f"{starts} starts agree",
            f"mean error {self.mean_error:.2%}, largest {np.abs(np.expm1(self.residuals)).max():.2%}",
            f"status: {self.status}",
        )
        return "\n".join(textwrap.fill(line, 76, subsequent_indent="  ") for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the fit as plain values that survive JSON.

        Returns
        -------
        dict
            ``kind``, ``law``, ``objective``, ``promise``, ``status``, ``starts_agreeing``, ``delta``, ``runs``,
            ``mean_error`` and ``standard_errors`` of ln of each coefficient (None where a bound was met).
        """
        errors = self.curvature.standard_errors.items()
        return {
            "kind": "supervised" if isinstance(self.law, SupervisedLaw) else "distillation",
            "law": self.law.to_dict(),
            "objective": self.objective,
            "promise": self.promise,
            "status": self.status,
            "starts_agreeing": list(self.starts_agreeing),
            "delta": self.delta,
            "runs": int(self.residuals.size),
            "mean_error": self.mean_error,
            "standard_errors": {name: error if np.isfinite(error) else None for name, error in errors},
        }

    def influence(self) -> pd.DataFrame:
        """Leave out each run in turn and fit again, exactly.

        Returns
        -------
        pandas.DataFrame
            One row per run: its ``residual``; ``left_out``, ln of predicted over observed loss by the law fitted without
            it; the relative change of each coefficient; and ``moved``, the largest relative change of any
            predicted loss.
        """
        runs = self.residuals.size
        weights = np.repeat(self.problem.weights[None], runs, axis=0)
        np.fill_diagonal(weights, 0.0)
        found = self.problem.solve(np.repeat(self.theta[None], runs, axis=0), weights=weights)
        predicted = self.problem.form.evaluate(found.theta)[0]
        mine = self.residuals + self.problem.log_L
        table = {"residual": self.residuals, "left_out": np.diagonal(predicted) - self.problem.log_L}
        for name, values in self.problem.form.coefficients(found.theta).items():
            table[name] = values / self.coefficients[name] - 1.0 if self.coefficients[name] else values
        table["moved"] = np.abs(np.expm1(predicted - mine)).max(axis=1)
        return pd.DataFrame(table)

    def _resample(
        self, draws: int, seed: int, clusters: ArrayLike | None, kind: Kind | None
    ) -> tuple[Kind, dict[str, np.ndarray]]:
        """Return what was resampled, and the weights or the losses of all draws."""
        draws = int(_checks.number("draws", draws, 1, 1e6, "it is a number of resamples, such as 4000"))
        kind = kind or ("case" if clusters is None else "cluster")
        _checks.choice("kind", kind, KINDS)
        if (kind == "cluster") != (clusters is not None):
            raise ValueError(f"kind = {kind!r}: labels in clusters are given for 'cluster', and only there")
        rng, runs = np.random.default_rng(seed), self.residuals.size
        if kind == "residual":
            # Errors are drawn from the residuals, less their median, and put on the fitted losses.
            errors = np.median(self.residuals) - self.residuals
            drawn = rng.choice(errors, size=(draws, runs))
            return kind, {"log_L": self.residuals + self.problem.log_L + drawn}
        return kind, {"weights": self.problem.weights * resampled_weights(runs, draws, rng, clusters)}


@dataclass(frozen=True, eq=False)
class SupervisedFit(Fit):
    """A fitted supervised law; see :class:`Fit` for its fields."""

    law: SupervisedLaw
    gamma: float | Literal["free"] = "free"

    def bootstrap(
        self,
        draws: int = 4000,
        *,
        seed: int = 0,
        clusters: ArrayLike | None = None,
        kind: Kind | None = None,
        weights: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> Bootstrap:
        """Fit the law to resamples of the runs.

        Parameters
        ----------
        draws : int
            How many.
        seed : int
            Seed of the resampling.
        clusters : array_like, optional
            Label of each run; runs of one label (checkpoints of one run, runs of one size) are drawn together.
        kind : {"case", "cluster", "residual"}, optional
            What to resample: runs, clusters of runs (the default where labels are given), or residuals.
        weights : numpy.ndarray, optional
            Counts of each run in each draw, shape [draws, runs], in place of a resampling made here.
        progress : callable, optional
            Called with the number of draws done since the last call.

        Returns
        -------
        Bootstrap
            The laws, and intervals for what follows from them.

        Raises
        ------
        ValueError
            For unknown kinds, or labels or weights of another length than the runs.
        """
        if weights is not None:
            sample = {"weights": self.problem.weights * _counts(weights, self.residuals.size)}
            kind = "case"
        else:
            kind, sample = self._resample(draws, seed, clusters, kind)
        rows = len(next(iter(sample.values())))
        found = self.problem.solve(
            np.repeat(self.theta[None], rows, axis=0), progress=progress, scales=(0.25, 1.0), **sample
        )
        table = pd.DataFrame(self.problem.form.coefficients(found.theta))
        return Bootstrap(self.law, table, None, kind, found.converged)


@dataclass(frozen=True, eq=False)
class DistillationFit(Fit):
    """A fitted distillation law; see :class:`Fit` for its fields.

    ``supervised_fit`` is the fit of the supervised law, where one was given: a bootstrap then carries its
    uncertainty along.
    """

    law: DistillationLaw
    supervised_fit: SupervisedFit | None = None

    def bootstrap(
        self,
        draws: int = 4000,
        *,
        seed: int = 0,
        clusters: ArrayLike | None = None,
        kind: Kind | None = None,
        supervised: Bootstrap | None = None,
        progress: Progress | None = None,
    ) -> Bootstrap:
        """Fit the law to resamples of the students, each with its own supervised law where that was fitted too.

        Parameters
        ----------
        draws : int
            How many.
        seed : int
            Seed of the resampling.
        clusters : array_like, optional
            Label of each student; students of one label (one teacher, one size) are drawn together.
        kind : {"case", "cluster", "residual"}, optional
            What to resample: students, clusters of them (the default where labels are given), or residuals.
        supervised : Bootstrap, optional
            Draws of the supervised law to go with the draws here; by default those of ``supervised_fit``, if any.
        progress : callable, optional
            Called with the number of draws done since the last call.

        Returns
        -------
        Bootstrap
            The laws, and intervals for what follows from them.

        Raises
        ------
        ValueError
            For unknown kinds, labels of another length than the students, or too few supervised draws.
        """
        kind, sample = self._resample(draws, seed, clusters, kind)
        rows = len(next(iter(sample.values())))
        if supervised is None and self.supervised_fit is not None:
            # Another stream: the two stages have runs of their own.
            supervised = self.supervised_fit.bootstrap(rows, seed=seed + 1_000_003)
        problem, bases = self.problem, None
        if supervised is not None:
            if len(supervised) < rows:
                raise ValueError(
                    f"supervised has {len(supervised)} draws for {rows}; give as many, or ask for fewer"
                )
            bases = supervised.coefficients.iloc[:rows]
            problem = replace(problem, form=self._with_bases(bases))
        found = problem.solve(
            np.repeat(self.theta[None], rows, axis=0), progress=progress, scales=(0.25, 1.0), **sample
        )
        table = pd.DataFrame(self.problem.form.coefficients(found.theta))
        return Bootstrap(self.law, table, bases, kind, found.converged)

    def _with_bases(self, bases: pd.DataFrame) -> DistillationForm:
        """Return the form with the supervised law of each draw."""
        form = self.problem.form
        assert isinstance(form, DistillationForm)
        N, D = np.exp(form.x + form.centre[0]), np.exp(form.y + form.centre[1])
        L_tilde = np.asarray(formulas.supervised_loss(N, D, as_columns(bases)))
        return replace(form, z=np.log(form.L_T) - np.log(L_tilde) - form.centre[3])


def _counts(weights: Any, runs: int) -> np.ndarray:
    counts = np.asarray(weights, dtype=float)
    if counts.ndim != 2 or counts.shape[1] != runs or not np.isfinite(counts).all() or (counts < 0.0).any():
        raise ValueError(
            f"weights has shape {list(counts.shape)}; give counts of 0 or more, one row per draw and one column per "
            f"run: [draws, {runs}]"
        )
    return counts
