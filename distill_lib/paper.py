"""What the paper printed, as typed tables: one CSV file each under ``data/paper``, read once and checked.

Every row names its place in the paper (equation, table, figure or section). Numbers are in raw units
(parameters, tokens, FLOPs, nats per token) and stand as printed, slips included; how a slip is read is
code, and ``table("errata")`` lists the slips.

>>> from distill_lib import paper
>>> paper.coefficients("supervised")["E"].value
1.22
>>> len(paper.table("architectures"))
33
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Law = Literal["supervised", "distillation"]

# Column kinds: text (may be empty), key (never empty), number, maybe (a number or missing),
# count (a positive whole number), and tuples of the values allowed.
_LAWS = ("supervised", "distillation")
_SCENARIOS = ("best_case", "teacher_inference", "teacher_pretraining", "teacher_pretraining_inference")
_AGAINST = ("data", "teacher_top_1", "teacher_in_student_bins", "student_in_teacher_bins")

SCHEMAS: Mapping[str, Mapping[str, str | tuple[str, ...]]] = MappingProxyType(
    {
        "coefficients": {
            "law": _LAWS, "symbol": "key", "value": "number", "low": "number", "high": "number",
            "meaning": "key", "place": "key",
        },
        "architectures": {
            "name": "key", "n_layers": "count", "d_model": "count", "d_ff": "count", "N": "number",
            "N_total": "number", "flops_forward": "number", "flops_2N": "number",
            "error_2N_percent": "number", "flops_two_term": "number", "error_two_term_percent": "number",
            "remark": "text", "place": "key",
        },
        "scenarios": {
            "scenario": _SCENARIOS, "title": "key", "delta_logits": "number", "delta_pretraining": "number",
            "meaning": "key", "place": "key",
        },
        "allocation": {
            "students": ("small", "large"), "N_S_low": "maybe", "N_S_high": "maybe",
            "budgets": ("small", "large"), "C_low": "maybe", "C_high": "maybe", "most_to": "key",
            "statement": "key", "scenario": _SCENARIOS, "place": "key",
        },
        "contour_ranges": {
            "figure": "key", "quantity": "key", "scenario": (*_SCENARIOS, ""), "N_S": "maybe", "D_S": "maybe",
            "C": "maybe", "low": "number", "high": "number", "unit": "key", "remark": "text",
        },
        "fitted_ranges": {
            "quantity": "key", "low": "number", "high": "number", "unit": "key", "remark": "key",
            "place": "key",
        },
        "figures": {
            "figure": "key", "place": "key", "title": "key", "axes": "key", "message": "key",
            "data": ("law", "law_and_runs", "runs", "training", "closed_form"), "how": "key",
        },
        "tables": {"table": "key", "place": "key", "content": "key", "stored_in": "key"},
        "claims": {
            "claim": "key", "topic": "key", "statement": "key", "value": "maybe", "low": "maybe",
            "high": "maybe", "unit": "text", "source": "text", "place": "key",
        },
        "errata": {"erratum": "key", "place": "key", "printed": "key", "reading": "key", "evidence": "key"},
        "protocols": {
            "protocol": "key", "teachers": "key", "D_T": "text", "students": "text", "D_S": "text",
            "budgets": "text", "identifies": "key", "figures": "key", "remark": "text",
        },
        "hyperparameters": {
            "item": "key", "value": "key", "place": "text",
            "certainty": (
                "stated", "partly stated", "rounding inferred", "inferred", "missing",
                "stated, see erratum e17",
            ),
        },
        "calibration": {
            "figure": "key", "model": ("teacher", "student"), "N_S": "maybe", "D_S": "maybe",
            "target": ("distribution", "top_1", ""), "against": _AGAINST, "N_T": "number",
            "ece_percent": "number", "place": "key",
        },
        "fit_settings": {
            "law": _LAWS, "objective": "key", "huber_delta": "number", "optimiser": "key", "starts": "count",
            "n_runs": "count", "n_runs_extrapolation": "count", "extrapolation_above": "number",
            "interval_percent": "number", "bootstrap_draws": "count", "relative_error_percent": "number",
            "place": "key",
        },
        "fit_starts": {
            "law": _LAWS, "coefficient": "key", "scale": ("plain", "log"), "start": "number", "place": "key",
        },
        "kl_direction": {
            "direction": ("forward", "reverse"), "L_S": "number", "cost_in_V": "count", "N_T": "number",
            "N_S": "number", "place": "key",
        },
        "truncation": {
            "method": ("top_k", "top_p"), "setting": "number", "loss_increase": "number",
            "bound": ("about", "at most"), "lam": "number", "place": "key",
        },
        "patient_teacher": {"aspect": "key", "patient_teacher": "key", "this_paper": "key", "place": "key"},
        "counts": {
            "block": "key", "item": "key", "params": "text", "flops_forward": "text", "place": "key",
        },
    }
)  # fmt: skip


@dataclass(frozen=True)
class Coefficient:
    """One printed coefficient with its 90 % interval.

    Parameters
    ----------
    symbol : str
        As in the paper, the primes of the distillation law included.
    value, low, high : float
        Point estimate and 90 % bootstrap interval, as printed.
    meaning : str
        What it stands for.
    place : str
        Where it is printed.
    """

    symbol: str
    value: float
    low: float
    high: float
    meaning: str
    place: str


def _folder() -> Path:
    """Return the folder of the tables: in a checkout, else inside the installed package."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "data" / "paper", here / "_data" / "paper"):
        if (folder / "coefficients.csv").is_file():
            return folder
    raise FileNotFoundError(
        "the tables of the paper are missing: neither data/paper beside the package nor _data/paper in it "
        "holds coefficients.csv; install distill-lib again, or run from a full checkout"
    )


@functools.cache
def coefficients(law: Law) -> Mapping[str, Coefficient]:
    """Return the printed coefficients of a law, by symbol.

    Parameters
    ----------
    law : {"supervised", "distillation"}
        Which law.

    Returns
    -------
    Mapping of str to Coefficient
        Table 6, in the order of the file; read-only.

    Raises
    ------
    ValueError
        For another name of a law.
    """
    if law not in _LAWS:
        raise ValueError(f"law = {law!r} is unknown; choose one of: {', '.join(_LAWS)}")
    return MappingProxyType(
        {
            row["symbol"]: Coefficient(
                row["symbol"],
                float(row["value"]),
                float(row["low"]),
                float(row["high"]),
                row["meaning"],
                row["place"],
            )
            for row in _rows("coefficients")
            if row["law"] == law
        }
    )


@functools.cache
def fitted_ranges() -> Mapping[str, tuple[float, float]]:
    """Return the range of each quantity that the published laws were fitted on.

    Returns
    -------
    Mapping of str to (float, float)
        Lowest and highest value of N_S, N_T, D_S, D_T and L_T; read-only.
    """
    rows = _rows("fitted_ranges")
    return MappingProxyType({row["quantity"]: (float(row["low"]), float(row["high"])) for row in rows})


def _rows(name: str) -> list[dict[str, str]]:
    # csv rather than pandas: a plan on the command line needs no frame, and so no second of imports.
    with (_folder() / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(name: str) -> pd.DataFrame:
    """Return one table of the paper as a fresh frame with fixed types.

    Parameters
    ----------
    name : str
        A key of ``SCHEMAS``, the name of a file under ``data/paper``.

    Returns
    -------
    pandas.DataFrame
        Text columns hold empty strings, number columns NaN where the paper says nothing.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    if name not in SCHEMAS:
        raise ValueError(f"name = {name!r} is no table of the paper; choose one of: {', '.join(SCHEMAS)}")
    return _read(name).copy()


@functools.cache
def _read(name: str) -> pd.DataFrame:
    import pandas as pd
    import pandera.pandas as pa

    columns = {}
    dtypes: dict[str, type] = {}
    for column, kind in SCHEMAS[name].items():
        dtypes[column] = {"number": float, "maybe": float, "count": int}.get(str(kind), str)
        checks = []
        if isinstance(kind, tuple):
            checks.append(pa.Check.isin(kind))
        elif kind == "key":
            checks.append(pa.Check.str_length(min_value=1))
        elif kind == "count":
            checks.append(pa.Check.gt(0))
        columns[column] = pa.Column(dtypes[column], checks, nullable=kind == "maybe")
    numbers = {column: [""] for column, dtype in dtypes.items() if dtype is not str}
    frame = pd.read_csv(
        _folder() / f"{name}.csv", dtype=dtypes, keep_default_na=False, na_values=numbers, encoding="utf-8"
    )
    return pa.DataFrameSchema(columns, strict=True, ordered=False).validate(frame)


def law_accuracy() -> float:
    """Relative error that the paper states for both laws (Sec 4.4, Fig 5; claim c21).

    Returns
    -------
    float
        Share of the loss; differences below it decide nothing.
    """
    return max(float(row["relative_error_percent"]) for row in _rows("fit_settings")) / 100.0
