"""Numbers in range: text among the numbers is named, and each column satisfies its schema."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from distill_lib.observations.findings import Finding, at_rows
from distill_lib.observations.headers import OPTIONAL, REQUIRED
from distill_lib.observations.units import UNITS, asking, letter

_FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "g": 1e9, "t": 1e12}
_SUFFIX = r"^\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)\s*(k|m|b|bn|g|t)?\s*$"
_GROUPED = r"^[+-]?\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d+)?$"
_COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"

# What each quantity must be, in the words of a finding.
_RULES: Mapping[str, tuple[float, bool, str]] = {
    "N": (1.0, True, "parameters without embeddings are a raw count such as 1e9"),
    "D": (1.0, True, "training tokens are a raw count such as 2e10"),
    "C": (1.0, True, "compute is a raw count of FLOPs such as 1e21"),
    "L": (0.0, False, "a cross-entropy in nats per token is finite and above 0"),
    "weight": (0.0, True, "a weight is finite and not negative"),
    "vocab_size": (2.0, True, "a vocabulary has two tokens at least"),
}


def _column(symbol: str, needed: bool) -> pa.Column:
    if symbol == "run":
        return pa.Column(nullable=False, required=False)
    low, reached, _ = _RULES[letter(symbol)]
    bound = (
        pa.Check.ge(low, error=f"is below {low:g}")
        if reached
        else pa.Check.gt(low, error=f"is not above {low:g}")
    )
    # Teachers' sizes and tokens may be unknown; what a fit weighs or converts by may not.
    optional = not needed and symbol in ("N_T", "D_T", "C", "vocab_size")
    return pa.Column(
        "float64", [bound, pa.Check.lt(np.inf, error="is infinite")], nullable=optional, required=needed
    )


#: What a frame of observations satisfies; columns that no fit needs may stand beside.
SCHEMAS: Mapping[str, pa.DataFrameSchema] = {
    kind: pa.DataFrameSchema(
        {symbol: _column(symbol, symbol in REQUIRED[kind]) for symbol in (*REQUIRED[kind], *OPTIONAL[kind])}
    )
    for kind in REQUIRED
}


def to_numbers(
    field: pd.Series, symbol: str, *, decimal: str = ".", thousands: str | None = None, suffixed: bool = False
) -> tuple[np.ndarray, np.ndarray, list[Finding]]:
    """Turn a column into numbers.

    Parameters
    ----------
    field : pandas.Series
        The column as it stands in the table.
    symbol : str
        What it holds, for the findings.
    decimal : str
        The decimal mark.
    thousands : str, optional
        The mark between thousands.
    suffixed : bool
        Whether 7B and 350M are numbers.

    Returns
    -------
    numbers : numpy.ndarray of float
        NaN where there is none.
    text : numpy.ndarray of bool
        Rows whose text is no number.
    findings : list of Finding
        At most one per way of writing numbers.
    """
    types = pd.api.types
    real = types.is_numeric_dtype(field.dtype) and not types.is_complex_dtype(field.dtype)
    if real and not types.is_bool_dtype(field.dtype):
        return field.to_numpy(dtype=float, na_value=np.nan), np.zeros(len(field), dtype=bool), []
    empty = field.isna().to_numpy(dtype=bool)
    as_text = field.astype(str).str.strip()
    written = as_text.where(~empty, "nan")
    if thousands:
        written = written.str.replace(thousands, "", regex=False)
    if decimal != ".":
        written = written.str.replace(decimal, ".", regex=False)
    factor: np.ndarray = np.ones(len(field))
    if suffixed:
        parts = written.str.lower().str.extract(_SUFFIX)
        factor = parts[1].map(_FACTORS).fillna(1.0).to_numpy(dtype=float)
        written = parts[0].where(parts[0].notna(), written)
    numbers = pd.to_numeric(written, errors="coerce").to_numpy(dtype=float) * factor
    text = np.isnan(numbers) & ~empty & (written.str.lower() != "nan").to_numpy(dtype=bool)
    if not text.any():
        return numbers, text, []
    return numbers, text, _text_findings(as_text, field, symbol, text)


def _text_findings(as_text: pd.Series, field: pd.Series, symbol: str, text: np.ndarray) -> list[Finding]:
    """Sort cells that are no numbers by what they look like."""
    left = text.copy()
    findings = []
    comma = as_text.str.match(_COMMA).to_numpy(dtype=bool) & left
    grouped = as_text.str.match(_GROUPED).to_numpy(dtype=bool) & left
    both = comma & grouped
    # 1,234 can be either; the other cells of the column decide, else a count is grouped and a loss is not.
    is_decimal = (comma & ~grouped).any() or (not (grouped & ~comma).any() and letter(symbol) == "L")
    comma, grouped = (comma, grouped & ~both) if is_decimal else (comma & ~both, grouped)
    kinds = [
        ("decimal", comma, "has a decimal comma", 'decimal="," (--decimal ,)'),
        (
            "thousands",
            grouped,
            "has marks between thousands",
            'thousands="," (--thousands ,), or the mark used',
        ),
    ]
    if "suffixed" in UNITS.get(letter(symbol), {}):
        suffix = as_text.str.lower().str.match(_SUFFIX).to_numpy(dtype=bool)
        kinds.append(("suffix", suffix, "has a unit in the cell", asking(symbol, "suffixed")))
    kinds.append(
        (
            "text",
            text,
            "is not a number",
            "mend the rows, or leave them out by skip_invalid=True (--skip-invalid)",
        )
    )
    for code, rows, message, remedy in kinds:
        shown = np.flatnonzero(rows & left)
        left &= ~rows
        if shown.size:
            findings.append(at_rows("error", code, symbol, shown, field, message, remedy))
    return findings


def check_values(
    frame: pd.DataFrame,
    kind: str,
    fields: Mapping[str, pd.Series],
    *,
    known: Mapping[str, np.ndarray],
    unit_suspected: frozenset[str] = frozenset(),
    skip_invalid: bool = False,
) -> tuple[np.ndarray, list[Finding]]:
    """Check all values against the schema, and collect all that is wrong.

    Parameters
    ----------
    frame : pandas.DataFrame
        The observations, in raw counts and nats, numbered from 0.
    kind : {"supervised", "distillation"}
        Which schema.
    fields : mapping of str to pandas.Series
        The columns as they stand in the table.
    known : mapping of str to numpy.ndarray of bool
        By symbol, the cells that findings were made of already.
    unit_suspected : frozenset of str
        Columns that seem to be in another unit: values too small follow from that.
    skip_invalid : bool
        Whether invalid rows were asked to be left out: the findings are then warnings.

    Returns
    -------
    bad : numpy.ndarray of bool
        Rows that cannot be used.
    findings : list of Finding
        One for each column and fault.
    """
    bad = np.zeros(len(frame), dtype=bool)
    for cells in known.values():
        bad |= cells
    try:
        SCHEMAS[kind].validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
    else:
        return bad, []
    findings = []
    for (symbol, check), failed in cases.groupby(["column", "check"], sort=False):
        rows = failed["index"].to_numpy(dtype=int)
        if symbol in known:
            rows = rows[~known[symbol][rows]]
        if symbol in unit_suspected and check.startswith("is below"):
            rows = rows[~(frame[symbol].to_numpy()[rows] > 0.0)]  # the others follow from the unit
        if not rows.size:
            continue
        rows = np.sort(rows)
        bad[rows] = True
        rule = _RULES[letter(symbol)][2] if letter(symbol) in _RULES else "name the run of every row"
        remedy = (
            rule
            if skip_invalid
            else f"{rule}: mend the rows, or leave them out by skip_invalid=True (--skip-invalid)"
        )
        # An empty cell is said to be empty by its value.
        said = "where a value is needed" if check == "not_nullable" else str(check)
        findings.append(
            at_rows(
                "warning" if skip_invalid else "error", "value", symbol, rows, fields[symbol], said, remedy
            )
        )
    return bad, findings
