"""Both laws fitted to runs that others published: the 240 Chinchilla runs, and 354 distilled students.

The runs may not be published here, what we computed from them may: `write_fits` records it in
``data/public_fits.csv``, and `read_fits` reads that, which also saves minutes. To make the record anew, with
the runs at hand: ``python -m distill_lib.scaling.public_fits`` (about two minutes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from distill_lib.scaling import criticism, records
from distill_lib.scaling.fits import Fit
from distill_lib.scaling.fitting import fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.points import chinchilla_path, find_chinchilla, find_points, points_path
from distill_lib.scaling.yielding import fit_yielding_law

COMMAND = "python -m distill_lib.scaling.public_fits"
"""What makes the record."""

DRAWS = 4000
"""Resamples behind each interval."""

PAPER_DELTA = 1e-4
"""Width of the Huber loss in the paper (App F)."""

_FILE = "public_fits.csv"


@dataclass(frozen=True)
class PublicFits:
    """What public runs say of the two laws, computed here or recorded.

    Parameters
    ----------
    source : {"computed", "recorded"}
        Whether the runs were at hand.
    intervals : mapping of str to pandas.DataFrame
        By fit, the coefficients with ``value``, ``low`` and ``high`` (90 percent).
    summary : pandas.DataFrame
        By fit: ``runs``, ``objective``, ``delta``, ``mean`` and ``worst`` error in percent, ``agree`` and
        ``starts``, ``condition`` of the curvature, ``sigma``, ``converged`` share of the resamples.
    forms : mapping of str to pandas.DataFrame
        ``"supervised"`` and ``"distillation"``: forms of each law, as :func:`~distill_lib.scaling.criticism.compare` gives them.
    extrapolation : pandas.DataFrame
        By law, and for the distillation law by form: the cut, how many runs were ``fitted`` above it, and the mean error in percent of
        those and of the ``predicted`` ones below.
    yielding : pandas.Series
        kappa and epsilon of the yielding floor, its objective and that of the published form.
    status : mapping of str to str
        By fit, what it says of itself.
    made : mapping of str to str
        SHA-256 of both files, and the command that makes the record.
    """

    source: Literal["computed", "recorded"]
    intervals: Mapping[str, pd.DataFrame]
    summary: pd.DataFrame
    forms: Mapping[str, pd.DataFrame]
    extrapolation: pd.DataFrame
    yielding: pd.Series
    status: Mapping[str, str]
    made: Mapping[str, str]


def compute_fits(runs: pd.DataFrame, students: pd.DataFrame, *, draws: int = DRAWS) -> PublicFits:
    """Compute everything from the runs.

    Parameters
    ----------
    runs : pandas.DataFrame
        Supervised runs with columns N, D and L.
    students : pandas.DataFrame
        Distilled students with columns N_S, D_S, L_T and L_S.
    draws : int
        Resamples behind each interval.

    Returns
    -------
    PublicFits
        Its source is "computed".
    """
    base = published_law().supervised
    N, D, L = (runs[name] for name in ("N", "D", "L"))
    student = [students[name] for name in ("N_S", "D_S", "L_T", "L_S")]
    curves = students.groupby(["N_S", "D_S"]).ngroup().to_numpy()
    distilled = fit_distillation_law(*student, supervised=base, delta=PAPER_DELTA)
    fits: dict[str, tuple[Fit, Any]] = {
        "Chinchilla, gamma = 1": (one := fit_supervised_law(N, D, L), one.bootstrap(draws)),
        "Chinchilla, free gamma": (free := fit_supervised_law(N, D, L, gamma="free"), free.bootstrap(draws)),
        "students, single points resampled": (distilled, distilled.bootstrap(draws)),
        "students, whole curves resampled": (distilled, distilled.bootstrap(draws, clusters=curves)),
    }
    wide = fit_distillation_law(*student, supervised=base)
    yielding = fit_yielding_law(wide)
    sizes = np.round(np.log(N), 1)
    forms = {
        "supervised": criticism.compare(
            criticism.supervised_candidates(), runs, groups=sizes, reference="gamma = 1"
        ),
        "distillation": criticism.compare(
            criticism.distillation_candidates(base), students, groups=curves, reference="published form"
        ),
    }
    return PublicFits(
        source="computed",
        intervals={name: boot.intervals() for name, (_, boot) in fits.items()},
        summary=pd.DataFrame({name: _summary(fit, boot) for name, (fit, boot) in fits.items()}).T,
        forms=forms,
        extrapolation=_extrapolations(runs, students),
        yielding=pd.Series(
            {
                "kappa": yielding.law.kappa,
                "epsilon": yielding.law.epsilon,
                "objective": yielding.objective,
                "published": wide.objective,
            }
        ),
        status={name: fit.status for name, (fit, _) in fits.items()},
        made={},
    )


def write_fits(path: str | Path | None = None, *, draws: int = DRAWS) -> Path:
    """Compute everything from the copies at hand and record it.

    Parameters
    ----------
    path : str or Path, optional
        Where to; ``data/public_fits.csv`` of the checkout by default.
    draws : int
        Resamples behind each interval.

    Returns
    -------
    pathlib.Path
        The record.

    Raises
    ------
    FileNotFoundError
        If a copy is missing.
    """
    runs, students, files = find_chinchilla(), find_points(), (chinchilla_path(), points_path())
    if runs is None or students is None or files[0] is None or files[1] is None:
        raise FileNotFoundError(
            "a copy of the public runs is missing, so there is nothing to record; DISTILL_LIB_DATA names the folder with "
            "epoch_chinchilla/svg_extracted_data.csv and distillation_points/points.csv"
        )
    found = compute_fits(runs, students, draws=draws)
    made = {
        "chinchilla_sha256": records.sha256_of(files[0]),
        "points_sha256": records.sha256_of(files[1]),
        "command": COMMAND,
    }
    parts = {
        "made": pd.DataFrame({"value": made}),
        "status": pd.DataFrame({"value": dict(found.status)}),
        "summary": found.summary,
        "extrapolation": found.extrapolation,
        "yielding": pd.DataFrame({"value": found.yielding}),
        **{f"intervals, {name}": table for name, table in found.intervals.items()},
        **{f"forms, {name}": table for name, table in found.forms.items()},
    }
    path = records.place(_FILE) if path is None else Path(path)
    records.write(path, parts)
    return path


def read_fits(path: str | Path | None = None) -> PublicFits:
    """Read what was recorded.

    Parameters
    ----------
    path : str or Path, optional
        The record; that of the checkout or the installed package by default.

    Returns
    -------
    PublicFits
        Its source is "recorded".
    """
    parts = records.read(records.place(_FILE) if path is None else Path(path), COMMAND)

    def tables(prefix: str, index: str) -> dict[str, pd.DataFrame]:
        chosen = {name.removeprefix(prefix): part for name, part in parts.items() if name.startswith(prefix)}
        return {name: part.astype(float).rename_axis(index=index) for name, part in chosen.items()}

    forms = tables("forms, ", "form")
    for table in forms.values():
        table[["coefficients", "better"]] = table[["coefficients", "better"]].astype(int)
    return PublicFits(
        source="recorded",
        intervals=tables("intervals, ", "coefficient"),
        summary=parts["summary"].astype(float),
        forms=forms,
        extrapolation=parts["extrapolation"].astype(float),
        yielding=parts["yielding"]["value"].astype(float),
        status=records.texts(parts["status"]),
        made=records.texts(parts["made"]),
    )


def _summary(fit: Fit, bootstrap: Any) -> dict[str, float]:
    agree, starts = fit.starts_agreeing
    return {
        "runs": fit.residuals.size,
        "objective": fit.objective,
        "delta": fit.delta,
        "mean": 100.0 * fit.mean_error,
        "worst": 100.0 * float(np.abs(np.expm1(fit.residuals)).max()),
        "agree": agree,
        "starts": starts,
        "condition": fit.curvature.condition,
        "sigma": fit.curvature.sigma,
        "converged": float(bootstrap.converged.mean()),
    }


def _extrapolations(runs: pd.DataFrame, students: pd.DataFrame) -> pd.DataFrame:
    """Fit to high losses and predict low ones, as in Fig 5; the Chinchilla runs are cut at their median."""
    base = published_law().supervised
    rows = {}
    settings = (
        (criticism.supervised_candidates(), runs, "L", float(runs["L"].median())),
        (criticism.distillation_candidates(base, delta=PAPER_DELTA), students, "L_S", 2.3),
    )
    wanted = ("gamma = 1", "free gamma", "published form", "yielding floor, fading")
    for candidates, table, loss, cut in settings:
        chosen = [candidate for candidate in candidates if candidate.name in wanted]
        for name, result in criticism.extrapolate(chosen, table, table[loss] >= cut).items():
            error = 100.0 * result["error"].abs()
            inside = result["fitted"]
            rows[name] = {
                "cut": cut,
                "fitted": float(inside.sum()),
                "error fitted": float(error[inside].mean()),
                "predicted": float((~inside).sum()),
                "error predicted": float(error[~inside].mean()),
                "bias predicted": float(100.0 * result["error"][~inside].mean()),
            }
    return pd.DataFrame(rows).T


if __name__ == "__main__":
    print(f"wrote {write_fits()}")
