"""Do intervals cover what they promise? Fits to simulated runs of a known law, with their bootstraps.

Every replicate is a set of runs on one design with its own errors; all replicates, and all resamples of all
replicates, are rows of one batch. An honest 90 % interval holds the truth in nine replicates of ten.

The studies of the chapters are recorded in ``data/coverage.csv``. To make the record anew:
``python -m distill_lib.scaling.coverage`` (about a minute).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distill_lib.scaling import _checks, formulas, records
from distill_lib.scaling.fits import DistillationFit, Problem, Progress, SupervisedFit
from distill_lib.scaling.fitting import fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import (
    DistillationLaw,
    SupervisedLaw,
    best_teacher,
    compute_optimal,
    published_law,
)
from distill_lib.scaling.paper_protocols import distillation_runs, supervised_runs
from distill_lib.scaling.uncertainty import Kind, resampled_weights

Law = SupervisedLaw | DistillationLaw

COMMAND = "python -m distill_lib.scaling.coverage"
"""What makes the record."""

NOISE = 0.003
"""Relative errors of the recorded studies, as large as seeds make small models differ."""

_FILE = "coverage.csv"


def coverage(
    law: Law,
    design: pd.DataFrame,
    *,
    noise: float,
    replicates: int = 200,
    draws: int = 200,
    level: float = 0.9,
    kind: Kind = "case",
    delta: float = 1e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Measure how often bootstrap intervals hold the truth.

    Parameters
    ----------
    law : SupervisedLaw or DistillationLaw
        The truth. A supervised law is fitted with free gamma unless its gamma is 1.
    design : pandas.DataFrame
        The runs: columns N and D, or N_S, D_S and L_T.
    noise : float
        Standard deviation of the errors of log loss; they are normal and independent.
    replicates : int
        How many sets of runs to simulate.
    draws : int
        How many resamples of each.
    level : float
        Coverage that the intervals promise.
    kind : {"case", "residual"}
        What is resampled.
    delta : float
        Width of the Huber loss on log loss.
    seed : int
        Seed of errors and resamples.
    progress : callable, optional
        Called with the number of resamples done since the last call.

    Returns
    -------
    pandas.DataFrame
        Indexed by quantity (coefficients, combinations, predictions): the ``truth``, ``coverage`` with its standard
        error ``se``, the median ``width`` of the intervals and the median ``error`` of the fits, both relative to
        the truth.

    Raises
    ------
    ValueError
        For arguments out of range, or cluster resamples, for which independent errors have no use.
    """
    noise = _checks.number("noise", noise, 1e-6, 0.5, "it is a relative error such as 0.003")
    level = _checks.number("level", level, 0.01, 0.999, "it is a coverage such as 0.9")
    replicates = int(_checks.number("replicates", replicates, 2, 1e5, "such as 200"))
    draws = int(_checks.number("draws", draws, 10, 1e5, "such as 200"))
    _checks.choice("kind", kind, ("case", "residual"))
    exact = _fit(law, design, delta)
    form, runs = exact.problem.form, exact.residuals.size
    problem = Problem(form, exact.problem.log_L, exact.problem.weights, delta, noise)
    rng = np.random.default_rng(seed)
    truth = np.clip(form.theta(law), form.low, form.high)[None]  # type: ignore[arg-type]
    log_truth = form.evaluate(truth)[0][0]
    log_L = log_truth + noise * rng.standard_normal((replicates, runs))
    fitted = problem.solve(np.repeat(truth, replicates, axis=0), log_L=log_L, scales=(1.0, 4.0))
    start = np.repeat(fitted.theta, draws, axis=0)
    if kind == "case":
        sample = {
            "log_L": np.repeat(log_L, draws, axis=0),
            "weights": resampled_weights(runs, replicates * draws, rng),
        }
    else:
        predicted = form.evaluate(fitted.theta)[0]
        errors = log_L - predicted
        errors -= np.median(errors, axis=1, keepdims=True)
        picked = rng.integers(runs, size=(replicates, draws, runs))
        drawn = np.take_along_axis(errors[:, None, :], picked, axis=2)
        sample = {"log_L": (predicted[:, None, :] + drawn).reshape(replicates * draws, runs)}
    found = problem.solve(start, scales=(0.5,), progress=progress, **sample)
    points, resampled = (_quantities(law, design, form.coefficients(t)) for t in (fitted.theta, found.theta))
    true = _quantities(law, design, form.coefficients(truth))
    tail = 50.0 * (1.0 - level)
    rows = {}
    for name, value in true.items():
        ends = np.percentile(resampled[name].reshape(replicates, draws), [tail, 100.0 - tail], axis=1)
        share = float(((ends[0] <= value[0]) & (value[0] <= ends[1])).mean())
        width = float(np.median((ends[1] - ends[0]) / abs(value[0])))
        error = float(np.median(np.abs(points[name] - value[0])) / abs(value[0]))
        rows[name] = (
            value[0], share, float(np.sqrt(max(share * (1 - share), 0.25 / replicates) / replicates)), width, error,
        )  # fmt: skip
    columns = ["truth", "coverage", "se", "width", "error"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")


def _fit(law: Law, design: pd.DataFrame, delta: float) -> SupervisedFit | DistillationFit:
    """Fit the truth to itself: it gives the form at its design points."""
    if isinstance(law, SupervisedLaw):
        gamma: Any = 1.0 if law.gamma == 1.0 else "free"
        N, D = design["N"], design["D"]
        return fit_supervised_law(N, D, law.loss(N, D), gamma=gamma, delta=delta)
    N_S, D_S, L_T = design["N_S"], design["D_S"], design["L_T"]
    return fit_distillation_law(
        N_S, D_S, L_T, law.loss(N_S, D_S, L_T), supervised=law.supervised, delta=delta
    )


def _quantities(law: Law, design: pd.DataFrame, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what is asked of each fitted law: coefficients, combinations and predictions, shape [laws]."""
    asked = dict(values)
    columns: dict[str, Any] = {name: np.asarray(value)[:, None] for name, value in values.items()}
    asked["a"] = values["beta"] / (values["alpha"] + values["beta"])
    if isinstance(law, SupervisedLaw):
        if law.gamma == 1.0:
            asked.pop("gamma")
        N, D = (float(design[name].max()) for name in ("N", "D"))
        budget = float((6.0 * design["N"] * design["D"]).max())
        asked["L at the largest N and D"] = formulas.supervised_loss(N, D, columns)[:, 0]
        asked["L at 4 N and 4 D"] = formulas.supervised_loss(4.0 * N, 4.0 * D, columns)[:, 0]
        asked["optimal N at 10 C"] = compute_optimal(columns, np.log([10.0 * budget]))[0][:, 0]
        return asked
    columns["supervised"] = law.supervised.to_dict()
    asked["k"] = np.exp(np.log(values["c1"] * values["f1"]) - np.log(values["d1"]) / values["f1"])
    N, D, L_T = (float(np.exp(np.log(design[name]).median())) for name in ("N_S", "D_S", "L_T"))
    best = float(design["L_T"].min())
    asked["L_S in the middle"] = formulas.distillation_loss(N, D, L_T, columns, np)[:, 0]
    asked["L_S at 4 N, 4 D, best teacher"] = formulas.distillation_loss(4.0 * N, 4.0 * D, best, columns, np)[
        :, 0
    ]
    teacher, _ = best_teacher(columns, np.array([N]), np.array([D]))
    asked["best L_T in the middle"] = teacher[:, 0]
    return asked


def write_studies(path: str | Path | None = None, *, replicates: int = 400, draws: int = 200) -> Path:
    """Run the studies of the chapters, on the designs of the paper's own runs, and record them.

    Parameters
    ----------
    path : str or Path, optional
        Where to; ``data/coverage.csv`` of the checkout by default.
    replicates : int
        Sets of runs for the supervised law; a quarter as many for the distillation law.
    draws : int
        Resamples of each.

    Returns
    -------
    pathlib.Path
        The record.
    """
    law = published_law()
    runs, students = supervised_runs(), distillation_runs(law.supervised)
    studies = {
        "supervised, runs resampled": (law.supervised, runs, "case", replicates),
        "supervised, residuals resampled": (law.supervised, runs, "residual", replicates),
        "distillation, students resampled": (law, students, "case", max(2, replicates // 4)),
    }
    parts = {
        name: coverage(truth, design, noise=NOISE, replicates=count, draws=draws, kind=kind)  # type: ignore[arg-type]
        for name, (truth, design, kind, count) in studies.items()
    }
    path = records.place(_FILE) if path is None else Path(path)
    records.write(path, {"made": pd.DataFrame({"value": {"command": COMMAND}}), **parts})
    return path


def read_coverage_studies(path: str | Path | None = None) -> dict[str, pd.DataFrame]:
    """Read the recorded studies.

    Parameters
    ----------
    path : str or Path, optional
        The record; that of the checkout or the installed package by default.

    Returns
    -------
    dict of str to pandas.DataFrame
        By study, a table as :func:`coverage` returns it.
    """
    parts = records.read(records.place(_FILE) if path is None else Path(path), COMMAND)
    return {
        name: table.astype(float).rename_axis("quantity") for name, table in parts.items() if name != "made"
    }


if __name__ == "__main__":
    print(f"wrote {write_studies()}")
