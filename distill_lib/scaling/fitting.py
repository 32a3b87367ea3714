"""Fit the two laws to runs: certified optima, and plain words on how far they are to be trusted.

The objective is the paper's: the sum of Huber losses of the residuals of log loss (App F). A screen proposes
starts (:mod:`~distill_lib.scaling.starts`), all of them are followed to their optimum at once
(:mod:`~distill_lib.scaling.newton`), and the result says how many agree, what the curvature shows and what the runs
leave open (:mod:`~distill_lib.scaling.diagnosis`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks, diagnosis, newton
from distill_lib.scaling.fits import DistillationFit, Problem, SupervisedFit
from distill_lib.scaling.forms import GAMMA, DistillationForm, SupervisedForm
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw
from distill_lib.scaling.starts import distillation_starts, supervised_starts

Teacher = Literal["full", "sharp", "no break", "floor"]
TEACHERS: tuple[Teacher, ...] = ("full", "sharp", "no break", "floor")
"""How much of the teacher enters a distillation law: the published form, and three simpler ones."""

_FIRST_WIDTH = 0.05  # least squares for all but wild runs: from afar a narrow Huber loss is a cone
_MORE = 10
_RUNS_PER_COEFFICIENT = 3  # with fewer, standard errors to first order are known to be too small
_SUPERVISED_STARTS, _DISTILLATION_STARTS = 16, 48


def fit_supervised_law(
    N: ArrayLike,
    D: ArrayLike,
    L: ArrayLike,
    *,
    gamma: float | Literal["free"] = 1.0,
    E: float | Literal["free"] = "free",
    delta: float = 1e-3,
    weights: ArrayLike | None = None,
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
    E : float or "free"
        Irreducible loss, where it is known; a language of known entropy has such a one.
    delta : float
        Residuals of log loss beyond this count linearly; the paper takes 1e-4.
    weights : array_like, optional
        Weight of each run in the objective, shape [runs]; 1 by default.

    Returns
    -------
    SupervisedFit
        Law, objective, residuals, curvature, and a status that says when not to trust it.

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
    (0.35, 'trustworthy')
    """
    runs = _columns(N=N, D=D, L=L)
    hold = {}
    if gamma != "free":
        hold["gamma"] = _checks.number("gamma", gamma, *GAMMA, "or 'free' to fit it")
    # Half of the losses lie below: one run that is too low by mistake must not push E down.
    middle = float(np.median(runs["L"]))
    if E != "free":
        hold["E"] = _checks.number("E", E, 0.0, middle, "or 'free' to fit it; it lies below the losses")
    form = SupervisedForm.at(runs["N"], runs["D"], middle, hold)
    problem, found, agreeing = _solve(form, runs["L"], delta, weights, supervised_starts, _SUPERVISED_STARTS)
    failures = _flaws(N=runs["N"], D=runs["D"])
    law = SupervisedLaw(**_first(form.coefficients(found.theta)), name="fit")
    return SupervisedFit(law=law, gamma=gamma, **_judge(problem, found, agreeing, failures))


def fit_distillation_law(
    N_S: ArrayLike,
    D_S: ArrayLike,
    L_T: ArrayLike,
    L_S: ArrayLike,
    *,
    supervised: SupervisedLaw | SupervisedFit,
    delta: float = 1e-3,
    weights: ArrayLike | None = None,
    teacher: Teacher = "full",
) -> DistillationFit:
    """Fit the distillation law to students (Eq 8, App F.2), the second of the paper's two stages.

    Parameters
    ----------
    N_S : array_like
        Non-embedding parameters of the students, shape [runs].
    D_S : array_like
        Distillation tokens, shape [runs].
    L_T : array_like
        Losses of their teachers, nats per token, shape [runs].
    L_S : array_like
        Measured losses of the students, nats per token, shape [runs].
    supervised : SupervisedLaw or SupervisedFit
        The first stage. With a fit, a bootstrap of the result carries the first stage's uncertainty along.
    delta : float
        Residuals of log loss beyond this count linearly; the paper takes 1e-4.
    weights : array_like, optional
        Weight of each run in the objective, shape [runs]; 1 by default.
    teacher : {"full", "sharp", "no break", "floor"}
        The published form; or the break without its end (c1 without limit), the power of L_T alone, or the
        teacher's loss as a floor alone.

    Returns
    -------
    DistillationFit
        Law, objective, residuals, curvature, and a status that says when not to trust it.

    Raises
    ------
    ValueError
        For values out of range (naming the first), unequal lengths, or fewer runs than coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from distill_lib.scaling.laws import published_law
    >>> truth = published_law()
    >>> N, D, L_T = (axis.ravel() for axis in np.meshgrid([2e8, 6e8, 2e9], [4e9, 2e10, 1e11], [1.9, 2.1, 2.4, 2.8]))
    >>> fit = fit_distillation_law(N, D, L_T, truth.loss(N, D, L_T), supervised=truth.supervised)
    >>> bool(np.abs(fit.residuals).max() < 1e-6)
    True
    """
    runs = _columns(N_S=N_S, D_S=D_S, L_T=L_T, L_S=L_S)
    _checks.choice("teacher", teacher, TEACHERS)
    first = supervised if isinstance(supervised, SupervisedFit) else None
    base = first.law if first is not None else supervised
    if not isinstance(base, SupervisedLaw):
        raise ValueError(
            f"supervised = {supervised!r} is neither a SupervisedLaw nor its fit; fit one first: "
            "fit_supervised_law(N, D, L)"
        )
    L_tilde = np.asarray(base.loss(runs["N_S"], runs["D_S"]))
    form = DistillationForm.at(runs["N_S"], runs["D_S"], runs["L_T"], L_tilde, teacher=teacher)
    problem, found, agreeing = _solve(
        form, runs["L_S"], delta, weights, distillation_starts, _DISTILLATION_STARTS
    )
    failures = _flaws(N_S=runs["N_S"], D_S=runs["D_S"], L_T=runs["L_T"])
    if (runs["L_S"] <= runs["L_T"]).all():
        failures.append("every student is better than its teacher, which this form cannot express")
    law = DistillationLaw(**_first(form.coefficients(found.theta)), supervised=base, name="fit")
    judged = _judge(problem, found, agreeing, failures)
    return DistillationFit(law=law, supervised_fit=first, **judged)


def _columns(**arguments: ArrayLike) -> dict[str, np.ndarray]:
    """Return the runs as arrays of one length."""
    runs = {name: np.atleast_1d(_checks.positive(name, value)) for name, value in arguments.items()}
    if len({values.shape for values in runs.values()}) > 1 or next(iter(runs.values())).ndim != 1:
        names = list(runs)
        shapes = {name: list(values.shape) for name, values in runs.items()}
        raise ValueError(
            f"{', '.join(names[:-1])} and {names[-1]} have shapes {shapes}; give one value of each per run, on one axis"
        )
    return runs


def _solve(
    form: Any,
    L: np.ndarray,
    delta: float,
    weights: ArrayLike | None,
    screen: Callable[..., np.ndarray],
    starts: int,
) -> tuple[Problem, newton.Solutions, tuple[int, int]]:
    """Follow every start to its optimum; return the best, and how many agree with it."""
    delta = _checks.number("delta", delta, 1e-12, 1e3, "it is a width on log loss, such as 1e-3")
    weight = _weights(weights, L.size)
    fitted = int((form.low < form.high).sum())
    if (weight > 0.0).sum() < fitted:
        raise ValueError(
            f"{(weight > 0.0).sum()} runs cannot fix {fitted} coefficients; add runs, or hold a coefficient"
        )
    log_L = np.log(L)
    begin = screen(form, log_L, weight, starts)
    rough = newton.minimise(form, begin, log_L, weight, (_FIRST_WIDTH,))
    best = int(rough.objective.argmin())
    residuals = form.evaluate(rough.theta[[best]])[0][0] - log_L
    scale = max(diagnosis.residual_scale(residuals, fitted, weight), 1e-12)
    problem = Problem(form, log_L, weight, delta, scale)
    found = problem.solve(rough.theta)
    best = int(found.objective.argmin())
    for _ in range(_MORE):  # a flat valley may take more steps to its lowest point, or to a bound
        if found.converged[best]:
            break
        further = newton.minimise(form, found.theta[[best]], log_L, weight, (delta,))
        found = found.better(further, np.array([best]))
    floor = 1e-20 * weight.sum()  # residuals of 1e-10 are rounding
    agreeing = int((found.objective <= found.objective[best] * (1.0 + 1e-6) + floor).sum())
    return problem, found.take([best]), (agreeing, len(begin))


def _weights(weights: ArrayLike | None, runs: int) -> np.ndarray:
    if weights is None:
        return np.ones(runs)
    given = np.asarray(weights, dtype=float)
    bad = ~np.isfinite(given) | (given < 0.0)
    if given.shape != (runs,):
        raise ValueError(f"weights has shape {list(given.shape)}; give one for each of {runs} runs")
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"weights[{first}] = {float(given[first])!r} is out of range; weights are finite, 0 or more"
        )
    return given


def _judge(
    problem: Problem, found: newton.Solutions, agreeing: tuple[int, int], failures: list[str]
) -> dict[str, Any]:
    """Return the fields that every fit has beside its law."""
    theta = found.theta[0]
    residuals = problem.form.evaluate(found.theta)[0][0] - problem.log_L
    # Where a law goes through every run, there is no decrease left to promise.
    exact = float(np.abs(residuals).max()) < 1e-9
    promise = 0.0 if exact else float(found.promise[0])
    curvature = diagnosis.curvature(problem.form, theta, residuals, problem.weights)
    runs, fitted = int((problem.weights > 0.0).sum()), int((problem.form.low < problem.form.high).sum())
    few = runs < _RUNS_PER_COEFFICIENT * fitted and not exact
    doubts = (
        [f"{runs} runs for {fitted} coefficients are few: resample them (bootstrap) first"] if few else []
    )
    return {
        "objective": float(found.objective[0]),
        "promise": promise,
        "residuals": residuals,
        "status": diagnosis.status(
            curvature,
            promise=promise,
            agreeing=agreeing[0],
            starts=agreeing[1],
            failures=failures,
            doubts=doubts,
        ),
        "starts_agreeing": agreeing,
        "curvature": curvature,
        "delta": problem.delta,
        "theta": theta,
        "problem": problem,
    }


def _flaws(**columns: np.ndarray) -> list[str]:
    """Say what in the design of the runs leaves a law without a chance."""
    words = {
        "N": "sizes N", "D": "token counts D", "N_S": "student sizes N_S", "D_S": "token counts D_S",
        "L_T": "teacher losses L_T",
    }  # fmt: skip
    wrong = []
    sizes, tokens = list(columns.values())[:2]
    if np.ptp(np.log(tokens / sizes)) < 0.02 and np.ptp(np.log(sizes)) > 0.02:
        wrong.append("all runs have the same tokens per parameter: what N does and what D does is one")
    for name, values in columns.items():
        distinct = np.unique(np.round(np.log(values), 6)).size
        if distinct < 3:
            wrong.append(
                f"only {distinct} distinct {words[name]}: three at least are needed to see a power law"
            )
    return wrong


def _first(values: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in values.items()}
