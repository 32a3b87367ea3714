"""A distillation law of our own, beside the paper's: the floor yields where the teacher is weak.

The published form never lets a student fall below its teacher, yet Figs 2, 38 and 41 of the paper show such
students, all of teachers worse than what the student reaches alone, and fewer with more tokens (App E.7).
With b = exp(-K) the factor of the break, the form here is::

    L_S = L_T (1 - kappa (20 N_S / D_S)^epsilon (1 - b)) + (student term) b

A strong teacher (b near 1) stays a floor; under a weak one the student ends lower by a share kappa of the loss
at 20 tokens per parameter, which fades with more tokens. At kappa = 0 it is the published form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from distill_lib.scaling import _checks
from distill_lib.scaling.breaks import break_factor
from distill_lib.scaling.fits import DistillationFit
from distill_lib.scaling.forms import DistillationForm
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.newton import huber_loss, stages

TOKENS_PER_PARAMETER = 20.0
"""Where kappa is read."""

_KAPPA, _EPSILON = (-0.2, 0.2), (-1.0, 3.0)


@dataclass(frozen=True)
class YieldingLaw:
    """The distillation law with a floor that yields under weak teachers.

    Parameters
    ----------
    published : DistillationLaw
        The coefficients that both forms share.
    kappa : float
        Share of the loss by which a student ends below a weak teacher, at 20 tokens per parameter.
    epsilon : float
        Power with which that fades as tokens per parameter grow.
    """

    published: DistillationLaw
    kappa: float
    epsilon: float

    def loss(self, N_S: ArrayLike, D_S: ArrayLike, L_T: ArrayLike) -> _checks.Real:
        """Cross-entropy of a distilled student.

        Parameters
        ----------
        N_S, D_S : array_like
            Parameters and tokens of the student.
        L_T : array_like
            Cross-entropy of the teacher, nats per token.

        Returns
        -------
        float or numpy.ndarray
            Nats per token; below L_T where a weak teacher lets the student pass.
        """
        law = self.published
        above = np.asarray(law.loss(N_S, D_S, L_T))
        N_S, D_S, L_T = (np.asarray(part, dtype=float) for part in (N_S, D_S, L_T))
        b = break_factor(law, L_T / np.asarray(law.supervised.loss(N_S, D_S)))
        ratio = D_S / N_S / TOKENS_PER_PARAMETER
        loss = above - L_T * self.kappa * ratio**-self.epsilon * (1.0 - b)
        return float(loss) if loss.ndim == 0 else loss


@dataclass(frozen=True, eq=False)
class YieldingFit:
    """A fitted law with a yielding floor.

    Parameters
    ----------
    law : YieldingLaw
        The coefficients of least objective that were found.
    objective : float
        Sum of Huber losses of the residuals of log loss.
    residuals : numpy.ndarray
        ln of predicted over observed loss, shape [runs].
    """

    law: YieldingLaw
    objective: float
    residuals: np.ndarray


def fit_yielding_law(fit: DistillationFit, *, fades: bool = True) -> YieldingFit:
    """Fit the yielding floor to the students of a fit of the published form, starting from it.

    Parameters
    ----------
    fit : DistillationFit
        The published form at the same students.
    fades : bool
        Whether the gain may fade with tokens per parameter; otherwise epsilon is 0.

    Returns
    -------
    YieldingFit
        The lowest optimum of three starts around the published form; unlike that fit it is not certified.
    """
    problem = fit.problem
    form = problem.form
    assert isinstance(form, DistillationForm)
    ratio = np.exp(form.y + form.centre[1] - form.x - form.centre[0]) / TOKENS_PER_PARAMETER
    root = np.sqrt(problem.weights)
    low = np.concatenate([form.low, [_KAPPA[0], _EPSILON[0]]])
    high = np.concatenate([form.high, [_KAPPA[1], _EPSILON[1]]])
    free = np.concatenate([form.low < form.high, [True, fades]])

    def residuals(values: np.ndarray) -> np.ndarray:
        whole = np.concatenate([fit.theta, [0.0, 0.0]])
        whole[free] = values
        theta, (kappa, epsilon) = whole[None, :9], whole[9:]
        yielded = form.L_T * kappa * ratio**-epsilon * (1.0 - np.exp(-form.depth(theta)[0]))
        loss = np.exp(form.evaluate(theta)[0][0]) - yielded
        return np.asarray(np.log(np.maximum(loss, 1e-3 * form.L_T)) - problem.log_L)

    best = None
    for kappa in (0.0, 0.005, 0.02):
        start = np.concatenate([fit.theta, [kappa, 0.5]])[free]
        # Off the bounds: an interior method cannot start on one.
        room = 1e-6 * (high - low)[free]
        values = np.clip(start, low[free] + room, high[free] - room)
        for width in stages(problem.delta, problem.scale):
            found = least_squares(
                lambda v: root * residuals(v), values, bounds=(low[free], high[free]), loss="huber", f_scale=width,
                x_scale="jac", ftol=1e-12, xtol=1e-12, gtol=1e-12, max_nfev=300,
            )  # fmt: skip
            values = found.x
        objective = float((problem.weights * huber_loss(residuals(values), problem.delta)).sum())
        if best is None or objective < best[0]:
            best = (objective, values)
    assert best is not None
    whole = np.concatenate([fit.theta, [0.0, 0.0]])
    whole[free] = best[1]
    coefficients = {name: float(v[0]) for name, v in form.coefficients(whole[None, :9]).items()}
    law = DistillationLaw(**coefficients, supervised=fit.law.supervised, name="yielding")
    return YieldingFit(YieldingLaw(law, float(whole[9]), float(whole[10])), best[0], residuals(best[1]))
