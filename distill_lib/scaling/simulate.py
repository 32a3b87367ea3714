"""Runs drawn from a known law with noise: to test fits, to teach, and to study a protocol before paying for it.

A loss is drawn as L exp(error): the errors are those of ln L, which is what fits minimise, and the median
of the draws is the law itself. Every draw is decided by its seed, and the first replicate is the table.

The default spread of a run is 0.3 %. Three sources put it there: repeated seeds of our small models scatter
by about that much; the paper states errors of "about 1 % or less" for both laws (Fig 5); and the 354
distilled students that others read off its figures lie 0.24 % (median) and 0.33 % (mean) from the reconciled
law. The last two hold misfit and reading errors too, so 0.4 % is an upper bound. The ratio of that
mean to that median, 1.38, is between those of Student's t with 3 and 4 degrees of freedom (1.44 and 1.35),
not that of a normal law (1.18): ``HEAVY_TAILS`` draws the same spread with such tails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from distill_lib.scaling import _checks
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw


@dataclass(frozen=True)
class Noise:
    """How observed losses scatter about a law; all spreads are standard deviations of ln L.

    Parameters
    ----------
    sd : float
        Spread of a run, such as its seed's.
    cluster_sd : float
        Spread shared by all runs of a cluster (a size, or a teacher): misfit that repeating runs
        does not average out, and the reason to resample by cluster.
    degrees : float
        Degrees of freedom of Student's t, above 2; infinite for normal errors. The spread stays `sd`.
    outliers : float
        Share of runs, in [0, 1], whose error is drawn `outlier_scale` times wider.
    outlier_scale : float
        That factor, 1 at least.
    teacher_sd : float
        Spread of a teacher's real loss about the law; its students feel it (distillation only).
    teacher_error : float
        Spread of a teacher's measured loss about its real one; its students do not feel it, but a fit
        is given the measured one (distillation only).

    Raises
    ------
    ValueError
        For a value out of range, naming it.
    """

    sd: float = 0.003
    cluster_sd: float = 0.0
    degrees: float = np.inf
    outliers: float = 0.0
    outlier_scale: float = 10.0
    teacher_sd: float = 0.0
    teacher_error: float = 0.0

    def __post_init__(self) -> None:
        for name in ("sd", "cluster_sd", "teacher_sd", "teacher_error"):
            _checks.number(name, getattr(self, name), 0.0, 1.0, "it is a share of the loss, such as 0.003")
        _checks.number("degrees", self.degrees, 2.01, np.inf, "at 2 or below there is no spread")
        _checks.number("outliers", self.outliers, 0.0, 1.0, "it is a share of the runs, such as 0.05")
        _checks.number("outlier_scale", self.outlier_scale, 1.0, 1e6, "it widens an error, such as 10")


HEAVY_TAILS = Noise(degrees=4.0)
"""The default spread with tails as heavy as those of the points read off the paper's figures."""


def simulate_supervised(
    grid: pd.DataFrame,
    law: SupervisedLaw,
    *,
    noise: Noise | None = None,
    seed: int = 0,
    cluster: str | Sequence[str] = "N",
) -> pd.DataFrame:
    """Draw the losses of supervised runs.

    Parameters
    ----------
    grid : pandas.DataFrame
        What is trained, one row per run: columns ``N`` (parameters) and ``D`` (tokens), and any others.
    law : SupervisedLaw
        The truth.
    noise : Noise, optional
        How losses scatter; 0.3 % per run, normal, by default.
    seed : int
        Decides the draw.
    cluster : str or sequence of str
        Columns whose values name a cluster of runs.

    Returns
    -------
    pandas.DataFrame
        The grid with ``L`` (nats per token, as observed), ``L_law`` (without noise) and ``cluster`` (a number
        from 0, for cluster bootstraps).

    Raises
    ------
    ValueError
        For missing columns, values out of range or a law of the other kind.

    Examples
    --------
    >>> from distill_lib.scaling.laws import published_law
    >>> from distill_lib.scaling.paper_protocols import supervised_runs
    >>> law = published_law().supervised
    >>> runs = simulate_supervised(supervised_runs(), law, noise=Noise(sd=0.01), seed=1)
    >>> 0.008 < np.log(runs["L"] / runs["L_law"]).std() < 0.012
    True
    """
    losses = supervised_replicates(grid, law, 1, noise=noise, seed=seed, cluster=cluster)
    return grid.assign(L=losses[0], L_law=_supervised_truth(grid, law), cluster=_clusters(grid, cluster))


def supervised_replicates(
    grid: pd.DataFrame,
    law: SupervisedLaw,
    replicates: int,
    *,
    noise: Noise | None = None,
    seed: int = 0,
    cluster: str | Sequence[str] = "N",
) -> np.ndarray:
    """Draw the losses of supervised runs many times over, for studies of coverage.

    Parameters
    ----------
    grid : pandas.DataFrame
        As for :func:`simulate_supervised`.
    law : SupervisedLaw
        The truth.
    replicates : int
        How many draws.
    noise : Noise, optional
        How losses scatter.
    seed : int
        Decides all draws; the first ones do not depend on how many are asked for.
    cluster : str or sequence of str
        Columns whose values name a cluster of runs.

    Returns
    -------
    numpy.ndarray
        Losses, nats per token, shape [replicates, runs]; row 0 is what :func:`simulate_supervised` returns.

    Raises
    ------
    ValueError
        As :func:`simulate_supervised`.
    """
    noise = _noise(noise)
    truth = np.log(_supervised_truth(grid, law))
    clusters = _clusters(grid, cluster)
    return np.exp(truth + np.stack([_errors(rng, noise, clusters) for rng in _generators(seed, replicates)]))


def simulate_distillation(
    grid: pd.DataFrame,
    law: DistillationLaw,
    *,
    noise: Noise | None = None,
    seed: int = 0,
    cluster: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Draw the losses of distilled students, and of their teachers if these scatter too.

    Parameters
    ----------
    grid : pandas.DataFrame
        What is trained, one row per student: columns ``N_S``, ``D_S`` and ``L_T`` (nats per token, by the
        law), and any others; ``N_T`` and ``D_T`` tell teachers of one loss apart.
    law : DistillationLaw
        The truth.
    noise : Noise, optional
        How losses scatter; 0.3 % per student, normal, exact teachers, by default.
    seed : int
        Decides the draw.
    cluster : str or sequence of str, optional
        Columns whose values name a cluster of runs; the teacher by default.

    Returns
    -------
    pandas.DataFrame
        The grid with ``L_S`` (as observed), ``L_T`` (as measured, one value for all students of a teacher),
        ``L_S_law`` and ``L_T_law`` (without noise) and ``cluster``.

    Raises
    ------
    ValueError
        For missing columns, values out of range or a law of the other kind.
    """
    L_S, L_T = distillation_replicates(grid, law, 1, noise=noise, seed=seed, cluster=cluster)
    truth = np.asarray(law.loss(grid["N_S"], grid["D_S"], grid["L_T"]))
    return grid.assign(
        L_T=L_T[0],
        L_S=L_S[0],
        L_T_law=grid["L_T"].to_numpy(dtype=float),
        L_S_law=truth,
        cluster=_clusters(grid, _teacher_columns(grid) if cluster is None else cluster),
    )


def distillation_replicates(
    grid: pd.DataFrame,
    law: DistillationLaw,
    replicates: int,
    *,
    noise: Noise | None = None,
    seed: int = 0,
    cluster: str | Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the losses of distilled students and their teachers many times over.

    Parameters
    ----------
    grid : pandas.DataFrame
        As for :func:`simulate_distillation`.
    law : DistillationLaw
        The truth.
    replicates : int
        How many draws.
    noise : Noise, optional
        How losses scatter.
    seed : int
        Decides all draws; the first ones do not depend on how many are asked for.
    cluster : str or sequence of str, optional
        Columns whose values name a cluster of runs; the teacher by default.

    Returns
    -------
    tuple of numpy.ndarray
        L_S as observed and L_T as measured, nats per token, each of shape [replicates, runs].

    Raises
    ------
    ValueError
        As :func:`simulate_distillation`.
    """
    noise = _noise(noise)
    _require(grid, "N_S", "D_S", "L_T")
    if not isinstance(law, DistillationLaw):
        raise ValueError(f"law = {law!r} is no DistillationLaw; give one, such as published_law()")
    N_S, D_S, L_T = (np.atleast_1d(_checks.positive(name, grid[name])) for name in ("N_S", "D_S", "L_T"))
    teachers = _clusters(grid, _teacher_columns(grid))
    clusters = teachers if cluster is None else _clusters(grid, cluster)
    errors, real, measured = [], [], []
    for rng in _generators(seed, replicates):
        errors.append(_errors(rng, noise, clusters))
        shift, slip = rng.standard_normal((2, int(teachers.max()) + 1))
        real.append(L_T * np.exp(noise.teacher_sd * shift[teachers]))
        measured.append(real[-1] * np.exp(noise.teacher_error * slip[teachers]))
    return np.asarray(law.loss(N_S, D_S, np.stack(real))) * np.exp(np.stack(errors)), np.stack(measured)


def _supervised_truth(grid: pd.DataFrame, law: SupervisedLaw) -> np.ndarray:
    """Return the losses without noise, after a look at grid and law."""
    _require(grid, "N", "D")
    if not isinstance(law, SupervisedLaw):
        raise ValueError(f"law = {law!r} is no SupervisedLaw; of a DistillationLaw, give its `supervised`")
    return np.atleast_1d(law.loss(grid["N"], grid["D"]))


def _noise(noise: Noise | None) -> Noise:
    """Return the noise, or the default one."""
    if noise is not None and not isinstance(noise, Noise):
        raise ValueError(f"noise = {noise!r} is no Noise; give simulate.Noise(sd={noise!r}) or the like")
    return Noise() if noise is None else noise


def _generators(seed: int, replicates: int) -> list[np.random.Generator]:
    """Return one generator per replicate, so that the first ones do not depend on how many there are."""
    seed, replicates = _checks.whole("seed", seed, 0), _checks.whole("replicates", replicates, 1)
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(replicates)]


def _errors(rng: np.random.Generator, noise: Noise, clusters: np.ndarray) -> np.ndarray:
    """Draw the errors of ln L of one table, shape [runs]."""
    # Every kind is drawn whether used or not: a study that widens one kind keeps the others as they were.
    normal, uniform = rng.standard_normal(clusters.size), rng.random(clusters.size)
    shared = rng.standard_normal(int(clusters.max()) + 1)[clusters]
    size = np.full(clusters.size, noise.sd)
    if np.isfinite(noise.degrees):
        # sqrt(nu / chi2) makes Student's t of a normal; its own spread sqrt(nu / (nu - 2)) is divided out.
        size = size * np.sqrt((noise.degrees - 2.0) / rng.chisquare(noise.degrees, clusters.size))
    size = np.where(uniform < noise.outliers, noise.outlier_scale * size, size)
    return size * normal + noise.cluster_sd * shared


def _require(grid: pd.DataFrame, *columns: str) -> None:
    """Refuse what is no table of runs with these columns."""
    if not isinstance(grid, pd.DataFrame):
        raise ValueError(
            f"grid is a {type(grid).__name__}; give a table with the columns {', '.join(columns)}"
        )
    missing = [name for name in columns if name not in grid]
    if missing:
        raise ValueError(
            f"grid has no column {', '.join(missing)}; it takes one row per run: {', '.join(columns)}"
        )
    if grid.empty:
        raise ValueError("grid has no rows; give one per run")


def _teacher_columns(grid: pd.DataFrame) -> list[str]:
    """Return the columns that tell teachers apart."""
    return ["N_T", "D_T"] if {"N_T", "D_T"} <= set(grid.columns) else ["L_T"]


def _clusters(grid: pd.DataFrame, columns: str | Sequence[str]) -> np.ndarray:
    """Return the number of each row's cluster."""
    names = [columns] if isinstance(columns, str) else list(columns)
    missing = [name for name in names if name not in grid]
    if missing or not names:
        raise ValueError(
            f"cluster = {columns!r} names no column of the grid: it has {', '.join(map(str, grid.columns))}"
        )
    return grid.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
