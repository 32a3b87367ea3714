"""Is the form right? Simpler and richer forms of a law, judged by runs that they were not fitted to.

A form with more coefficients always fits better; what counts is how well it predicts whole groups of runs that
were held out, and runs beyond the range it was fitted on. An information criterion stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from distill_lib.scaling import _checks
from distill_lib.scaling.fitting import Teacher, fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import SupervisedLaw
from distill_lib.scaling.newton import huber_loss
from distill_lib.scaling.yielding import fit_yielding_law

Predict = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """A form that could describe runs.

    Parameters
    ----------
    name : str
        What the form is called in tables.
    coefficients : int
        How many numbers are fitted.
    fit : callable
        Takes a table of runs, returns a function from such a table to predicted losses.
    loss : str
        The column that is predicted.
    """

    name: str
    coefficients: int
    fit: Callable[[pd.DataFrame], Predict]
    loss: str


def supervised_candidates(*, delta: float = 1e-3, E: float | None = None) -> list[Candidate]:
    """List forms of the supervised law, for tables with columns N, D and L.

    Parameters
    ----------
    delta : float
        Width of the Huber loss on log loss.
    E : float, optional
        The irreducible loss where it is known: adds the forms that hold it.

    Returns
    -------
    list of Candidate
        No irreducible loss, gamma = 1 (Hoffmann et al. 2022), and free gamma (the paper).
    """

    def form(name: str, coefficients: int, **options: Any) -> Candidate:
        def fit(runs: pd.DataFrame) -> Predict:
            law = fit_supervised_law(runs["N"], runs["D"], runs["L"], delta=delta, **options).law
            return lambda rows: np.asarray(law.loss(rows["N"], rows["D"]))

        return Candidate(name, coefficients, fit, "L")

    forms = [
        form("E = 0, free gamma", 5, E=0.0, gamma="free"),
        form("gamma = 1", 5, gamma=1.0),
        form("free gamma", 6, gamma="free"),
    ]
    if E is not None:
        forms += [
            form("known E, gamma = 1", 4, E=E, gamma=1.0),
            form("known E, free gamma", 5, E=E, gamma="free"),
        ]
    return forms


def distillation_candidates(supervised: SupervisedLaw, *, delta: float = 1e-3) -> list[Candidate]:
    """List forms of the distillation law, for tables with columns N_S, D_S, L_T and L_S.

    Parameters
    ----------
    supervised : SupervisedLaw
        The law of supervised training, which enters through L(N_S, D_S).
    delta : float
        Width of the Huber loss on log loss.

    Returns
    -------
    list of Candidate
        From no teacher at all to the published form, and beyond: teachers' losses off by a constant, and a floor
        that yields under weak teachers.
    """

    def published(rows: pd.DataFrame, teacher: Teacher = "full", offset: float = 0.0) -> Any:
        return fit_distillation_law(
            rows["N_S"], rows["D_S"], rows["L_T"] + offset, rows["L_S"],
            supervised=supervised, delta=delta, teacher=teacher,
        )  # fmt: skip

    def no_teacher(rows: pd.DataFrame) -> Predict:
        law = fit_supervised_law(rows["N_S"], rows["D_S"], rows["L_S"], gamma="free", delta=delta).law
        return lambda new: np.asarray(law.loss(new["N_S"], new["D_S"]))

    def with_teacher(teacher: Teacher) -> Callable[[pd.DataFrame], Predict]:
        return lambda rows: _losses(published(rows, teacher).law)

    def shifted(rows: pd.DataFrame) -> Predict:
        found = minimize_scalar(
            lambda offset: float(published(rows, offset=offset).objective),
            bounds=(-0.06, 0.06), method="bounded", options={"xatol": 2e-3},
        )  # fmt: skip
        offset = float(found.x)
        law = published(rows, offset=offset).law
        return lambda new: _losses(law)(new.assign(L_T=new["L_T"] + offset))

    def yielding(fades: bool) -> Callable[[pd.DataFrame], Predict]:
        return lambda rows: _losses(fit_yielding_law(published(rows), fades=fades).law)

    return [
        Candidate("no teacher", 6, no_teacher, "L_S"),
        Candidate("teacher as floor", 5, with_teacher("floor"), "L_S"),
        Candidate("no break", 6, with_teacher("no break"), "L_S"),
        Candidate("break without end", 8, with_teacher("sharp"), "L_S"),
        Candidate("published form", 9, with_teacher("full"), "L_S"),
        Candidate("teachers off by a constant", 10, shifted, "L_S"),
        Candidate("yielding floor", 10, yielding(False), "L_S"),
        Candidate("yielding floor, fading", 11, yielding(True), "L_S"),
    ]


def compare(
    candidates: Sequence[Candidate],
    runs: pd.DataFrame,
    *,
    groups: ArrayLike,
    reference: str,
    folds: int = 8,
    delta: float = 1e-3,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare forms by an information criterion and by runs that they were not fitted to.

    Parameters
    ----------
    candidates : sequence of Candidate
        The forms.
    runs : pandas.DataFrame
        The runs, with the columns that the forms need.
    groups : array_like
        Label of each run; runs of one label are held out together. Runs of one curve share their errors, and
        holding out single ones would reward a form for learning them.
    reference : str
        Name of the form that the others are compared with.
    folds : int
        How many parts the groups are held out in.
    delta : float
        Width of the Huber loss on log loss.
    seed : int
        Seed of the division into parts.

    Returns
    -------
    pandas.DataFrame
        Indexed by form: ``coefficients``, ``objective``, ``fitted`` (mean absolute error in percent),
        ``BIC`` less that of the reference (errors taken as Laplace and independent, which flatters rich
        forms), ``held_out`` (mean absolute error in percent of the groups held out) and ``better``, the
        number of groups it predicts better than the reference.

    Raises
    ------
    ValueError
        For an unknown reference, or fewer groups than folds.
    """
    _checks.choice("reference", reference, [candidate.name for candidate in candidates])
    labels, members = np.unique(np.asarray(groups), return_inverse=True)
    if labels.size < folds:
        raise ValueError(f"groups has {labels.size} distinct labels for folds = {folds}; take fewer folds")
    runs = runs.reset_index(drop=True)
    part = np.random.default_rng(seed).permutation(labels.size)[members] % folds
    rows, held_out = {}, {}
    for candidate in candidates:
        observed = runs[candidate.loss].to_numpy(dtype=float)
        fitted = np.log(candidate.fit(runs)(runs) / observed)
        outside = np.empty(len(runs))
        for fold in range(folds):
            out = part == fold
            outside[out] = np.log(candidate.fit(runs[~out])(runs[out]) / observed[out])
        objective = float(huber_loss(fitted, delta).sum())
        bic = 2.0 * len(runs) * np.log(objective) + candidate.coefficients * np.log(len(runs))
        held_out[candidate.name] = pd.Series(np.abs(outside)).groupby(members).mean()
        mean = 100.0 * np.abs(np.expm1(fitted)).mean(), 100.0 * np.abs(np.expm1(outside)).mean()
        rows[candidate.name] = (candidate.coefficients, objective, mean[0], bic, mean[1])
    columns = ["coefficients", "objective", "fitted", "BIC", "held_out"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("form")
    table["BIC"] = table["BIC"].to_numpy() - rows[reference][3]
    table["better"] = [int((held_out[name] < 0.999 * held_out[reference]).sum()) for name in table.index]
    table.attrs["groups"] = int(labels.size)
    return table


def extrapolate(
    candidates: Sequence[Candidate], runs: pd.DataFrame, fitted: ArrayLike
) -> Mapping[str, pd.DataFrame]:
    """Fit to some runs and predict the others, as Fig 5 does from high losses to low ones.

    Parameters
    ----------
    candidates : sequence of Candidate
        The forms.
    runs : pandas.DataFrame
        The runs, with the columns that the forms need.
    fitted : array_like of bool
        Which runs to fit to; the others are predicted.

    Returns
    -------
    mapping of str to pandas.DataFrame
        By form: ``observed`` and ``predicted`` losses of all runs, their relative ``error``, and whether a run
        was ``fitted``.

    Raises
    ------
    ValueError
        If nothing is left to predict.
    """
    inside = np.asarray(fitted, dtype=bool)
    if inside.shape != (len(runs),) or inside.all() or not inside.any():
        raise ValueError(
            f"fitted picks {int(inside.sum())} of {len(runs)} runs; pick some to fit, and leave some to predict"
        )
    tables = {}
    for candidate in candidates:
        predicted = candidate.fit(runs[inside])(runs)
        observed = runs[candidate.loss].to_numpy(dtype=float)
        tables[candidate.name] = pd.DataFrame(
            {
                "observed": observed,
                "predicted": predicted,
                "error": predicted / observed - 1.0,
                "fitted": inside,
            }
        )
    return tables


def _losses(law: Any) -> Predict:
    return lambda rows: np.asarray(law.loss(rows["N_S"], rows["D_S"], rows["L_T"]))
