"""How a slip in a printed law is found: rival readings against points that the law was not printed with.

The case is B' of Table 6 (erratum e01). A reading is a ``DistillationLaw``; points are a table with
the columns ``N_S``, ``D_S``, ``L_T`` and ``L_S``, one row per distilled student. Nothing here decides:
each function gives one table, and the chapter that calls them argues.

The points may not be published, what we computed from them may: `write_audit` records it in
``data/audit_summary.csv``, and `current_audit` reads that where no copy of the points is at hand.
To make the record anew, with the points at hand: ``python -m distill_lib.scaling.audit``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from distill_lib.scaling import records
from distill_lib.scaling.laws import DistillationLaw, published_law
from distill_lib.scaling.points import POINT_COLUMNS, check_points, find_points, points_path
from distill_lib.scaling.refits import (
    COEFFICIENTS,
    Refit,
    interval_of_B,
    log_errors,
    one_coefficient_repairs,
    refit,
)

__all__ = [
    "COEFFICIENTS",
    "POINT_COLUMNS",
    "Audit",
    "Refit",
    "audit_points",
    "check_points",
    "current_audit",
    "error_table",
    "find_points",
    "interval_of_B",
    "log_errors",
    "one_coefficient_repairs",
    "points_path",
    "read_audit",
    "refit",
    "rival_readings",
    "token_effect",
    "write_audit",
]

COMMAND = "python -m distill_lib.scaling.audit"
"""What makes the record."""

SHARES = np.linspace(0.0, 1.0, 41)
"""Shares of the points at which the distribution of errors is kept."""

_FILE = "audit_summary.csv"


def rival_readings() -> dict[str, DistillationLaw]:
    """Return the readings of B' that have been proposed, by what they say.

    Returns
    -------
    dict of str to DistillationLaw
        ``printed`` first and ``reconciled`` (D_S in thousands of tokens) second. The others: thousands of
        1024, D_S in sequences of the context or in millions, a factor of 100 lost, and a B' that stands
        while beta' is the slip (0.446, which the printed a' = 0.664 excludes).
    """
    printed, reconciled = published_law("printed"), published_law("reconciled")

    def in_units_of(tokens: float, name: str) -> DistillationLaw:
        return replace(printed, B=printed.B * tokens**printed.beta, name=name)

    rivals = [
        in_units_of(1024.0, "units of 1024 tokens"),
        in_units_of(4096.0, "sequences of 4096 tokens"),
        in_units_of(1e6, "millions of tokens"),
        replace(printed, B=100.0 * printed.B, name="a factor of 100 lost"),
        replace(printed, beta=0.446, name="beta' = 0.446"),
    ]
    return {law.name: law for law in (printed, reconciled, *rivals)}


def error_table(points: pd.DataFrame, laws: Mapping[str, DistillationLaw]) -> pd.DataFrame:
    """Compare readings by their relative errors.

    Parameters
    ----------
    points : pandas.DataFrame
        Distilled students.
    laws : mapping of str to DistillationLaw
        The readings by name.

    Returns
    -------
    pandas.DataFrame
        Indexed by name: ``B``, ``beta``, and in percent ``mean``, ``median`` and ``worst`` of the absolute
        and ``bias``, the mean of the signed log errors.
    """
    rows = []
    for name, law in laws.items():
        error = 100.0 * log_errors(points, law)
        size = np.abs(error)
        rows.append((name, law.B, law.beta, size.mean(), np.median(size), size.max(), error.mean()))
    columns = ["reading", "B", "beta", "mean", "median", "worst", "bias"]
    return pd.DataFrame(rows, columns=columns).set_index("reading")


def token_effect(points: pd.DataFrame, laws: Mapping[str, DistillationLaw]) -> pd.DataFrame:
    """Show what more tokens did to students of one size and one teacher, and what each reading says.

    No fit enters: two points with equal N_S and L_T differ in D_S alone. A reading in which D_S hardly
    matters fails here, whatever its other coefficients are.

    Parameters
    ----------
    points : pandas.DataFrame
        Distilled students.
    laws : mapping of str to DistillationLaw
        The readings by name.

    Returns
    -------
    pandas.DataFrame
        One row per N_S and pair of neighbouring D_S that share teachers: ``N_S``, ``D_S_from``, ``D_S_to``,
        ``teachers`` (how many), and the mean change of L_S in nats, ``observed`` and by each reading.
    """
    rows = check_points(points)
    table = []
    for N_S, students in rows.groupby("N_S"):
        for D_from, D_to in itertools.pairwise(sorted(students["D_S"].unique())):
            fewer, more = (
                students[students["D_S"] == D].drop_duplicates("L_T").set_index("L_T")["L_S"]
                for D in (D_from, D_to)
            )
            shared = fewer.index.intersection(more.index)
            if shared.empty:
                continue
            row = {"N_S": N_S, "D_S_from": D_from, "D_S_to": D_to, "teachers": len(shared)}
            row["observed"] = float((more[shared] - fewer[shared]).mean())
            size, L_T = float(students["N_S"].iloc[0]), shared.to_numpy(dtype=float)
            for name, law in laws.items():
                row[name] = float(np.mean(law.loss(size, D_to, L_T) - law.loss(size, D_from, L_T)))
            table.append(row)
    return pd.DataFrame(table, columns=["N_S", "D_S_from", "D_S_to", "teachers", "observed", *laws])


@dataclass(frozen=True)
class Audit:
    """What the points say of the readings of B', computed here or recorded.

    Parameters
    ----------
    source : {"computed", "recorded"}
        Whether the points were at hand.
    points : int
        How many there are.
    weak_to_strong : float
        Share of the students that are better than their teacher, which the law forbids.
    B : tuple of float
        B' fitted alone and the ends of its 90 percent interval, whole curves resampled.
    errors : pandas.DataFrame
        Every reading's errors, as `error_table` gives them.
    repairs : pandas.DataFrame
        What mending one coefficient leaves, as `one_coefficient_repairs` gives it.
    changes : pandas.DataFrame
        What more tokens did, in nats, as `token_effect` gives it without sizes and tokens.
    quantiles : pandas.DataFrame
        Absolute log error in percent by share of the points (index), a column for each reading.
    free : Refit
        All nine coefficients fitted.
    made : mapping of str to str
        SHA-256 of the file of points, and the command that makes the record.
    """

    source: Literal["computed", "recorded"]
    points: int
    weak_to_strong: float
    B: tuple[float, float, float]
    errors: pd.DataFrame
    repairs: pd.DataFrame
    changes: pd.DataFrame
    quantiles: pd.DataFrame
    free: Refit
    made: Mapping[str, str] = field(default_factory=dict)


def audit_points(points: pd.DataFrame, *, sha256: str = "") -> Audit:
    """Compute everything that the points say of the readings of B'.

    Parameters
    ----------
    points : pandas.DataFrame
        Distilled students, see `check_points`.
    sha256 : str
        Hash of the file they were read from.

    Returns
    -------
    Audit
        Its source is "computed".
    """
    rows, laws = check_points(points), rival_readings()
    errors = {name: 100.0 * np.abs(log_errors(rows, law)) for name, law in laws.items()}
    quantiles = pd.DataFrame({name: np.quantile(error, SHARES) for name, error in errors.items()}, SHARES)
    return Audit(
        source="computed",
        points=len(rows),
        weak_to_strong=float((rows["L_S"] < rows["L_T"]).mean()),
        B=interval_of_B(rows),
        errors=error_table(rows, laws),
        repairs=one_coefficient_repairs(rows),
        changes=token_effect(rows, laws).drop(columns=["N_S", "D_S_from", "D_S_to"]),
        quantiles=quantiles.rename_axis("share"),
        free=refit(rows, laws["reconciled"], COEFFICIENTS),
        made={"points_sha256": sha256, "command": COMMAND},
    )


def current_audit() -> Audit:
    """Return the audit: computed where a copy of the points is at hand, else as it was recorded.

    Returns
    -------
    Audit
        Its ``source`` says which.

    Raises
    ------
    FileNotFoundError
        If there are neither points nor a record.
    """
    path = points_path()
    if path is None:
        return read_audit()
    return audit_points(pd.read_csv(path), sha256=records.sha256_of(path))


def write_audit(path: str | Path | None = None) -> Path:
    """Compute the audit and record it.

    Parameters
    ----------
    path : str or Path, optional
        Where to; ``data/audit_summary.csv`` of the checkout by default.

    Returns
    -------
    pathlib.Path
        The record: one number a line, with its part, row and column.

    Raises
    ------
    FileNotFoundError
        If no copy of the points is at hand: a record is not made from a record.
    """
    audit = current_audit()
    if audit.source != "computed":
        raise FileNotFoundError(
            "no copy of the points is at hand, so there is nothing to record; put points.csv into "
            "distillation_points of the folder that DISTILL_LIB_DATA names"
        )
    free = {name: getattr(audit.free.law, name) for name in audit.free.free}
    parts = {
        "made": pd.DataFrame({"value": audit.made}),
        "all": pd.DataFrame({"value": {"points": audit.points, "weak_to_strong": audit.weak_to_strong}}),
        "B": pd.DataFrame({"value": dict(zip(("best", "low", "high"), audit.B, strict=True))}),
        "errors": audit.errors,
        "repairs": audit.repairs,
        "changes": audit.changes,
        "quantiles": audit.quantiles.set_axis([f"{share:g}" for share in SHARES]),
        "free": pd.DataFrame({"value": free | {"objective": audit.free.objective, "mean": audit.free.mean}}),
    }
    path = records.place(_FILE) if path is None else Path(path)
    records.write(path, parts)
    return path


def read_audit(path: str | Path | None = None) -> Audit:
    """Read the recorded audit.

    Parameters
    ----------
    path : str or Path, optional
        The record; that of the checkout or the installed package by default.

    Returns
    -------
    Audit
        Its source is "recorded".

    Raises
    ------
    FileNotFoundError
        If there is no record.
    """
    parts = records.read(records.place(_FILE) if path is None else Path(path), COMMAND)

    def numbers(name: str, index: str | None = None) -> pd.DataFrame:
        return parts[name].astype(float).rename_axis(index=index)

    single = {name: numbers(name)["value"].to_dict() for name in ("all", "B", "free")}
    coefficients = {name: single["free"][name] for name in COEFFICIENTS}
    law = replace(published_law("reconciled"), name="refit", **coefficients)
    quantiles, changes = numbers("quantiles", "share"), numbers("changes").reset_index(drop=True)
    return Audit(
        source="recorded",
        points=int(single["all"]["points"]),
        weak_to_strong=single["all"]["weak_to_strong"],
        B=(single["B"]["best"], single["B"]["low"], single["B"]["high"]),
        errors=numbers("errors", "reading"),
        repairs=numbers("repairs", "coefficient"),
        changes=changes.astype({"teachers": int}),
        quantiles=quantiles.set_axis(quantiles.index.astype(float)).rename_axis("share"),
        free=Refit(law, COEFFICIENTS, single["free"]["objective"], single["free"]["mean"]),
        made=records.texts(parts["made"]),
    )


if __name__ == "__main__":
    print(f"wrote {write_audit()}")
