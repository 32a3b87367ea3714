"""From any table of runs to observations that a fit can take, or to all the reasons why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from distill_lib import runs
from distill_lib.observations import own_runs
from distill_lib.observations.design import design_findings
from distill_lib.observations.files import RawTable, Source, load
from distill_lib.observations.findings import Finding
from distill_lib.observations.headers import OPTIONAL, REQUIRED, Headers, recognise
from distill_lib.observations.result import Kind, Observations
from distill_lib.observations.units import UnitCheck, asking, by_symbol, convert, letter
from distill_lib.observations.values import check_values, to_numbers
from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.architecture import forward_flops

TokensFrom = Literal["6ND", "exact"]


def read_observations(
    source: Source,
    kind: Kind = "supervised",
    *,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    tokens_from: TokensFrom | None = None,
    decimal: str = ".",
    thousands: str | None = None,
    vocabulary: float | None = None,
    bytes_per_token: float | None = None,
    skip_invalid: bool = False,
) -> Observations:
    """Read any table of runs into observations for a fit, and say all that is odd about it.

    Headers in common words are recognised; what was taken for what is in the result. Rows are counted from 0
    below the header. A table that cannot be used raises nothing here: its errors are findings, and
    :meth:`~distill_lib.observations.result.Observations.require` raises them together.

    Parameters
    ----------
    source : str, Path, pandas.DataFrame or mapping
        A text file (CSV, or with semicolons, tabs or bars), a Parquet file, a data frame, or columns by name.
        Our own runs table is recognised, and split by objective.
    kind : {"supervised", "distillation"}
        N, D and L; or N_S, D_S, L_T and L_S.
    columns : mapping of str to str, optional
        Symbol by header, such as ``{"Model Size": "N"}``, for headers that are not recognised or ambiguous.
    units : mapping of str to str, optional
        Unit by symbol or letter, such as ``{"N": "billions", "L": "bits"}``; raw counts and nats by default.
        ``"raw"`` and ``"nats"`` vouch for values that look otherwise.
    tokens_from : {"6ND", "exact"}, optional
        Compute tokens from the training compute: C / (6 N), or C / (3 F(N)) with the two-term count of
        forward FLOPs at the paper's context and vocabulary (Eq 66-69).
    decimal : str
        Decimal mark of numbers that are text.
    thousands : str, optional
        Mark between thousands of numbers that are text.
    vocabulary : float, optional
        Tokens in the vocabulary: losses above ln of it are then found. A column of the table does as well.
    bytes_per_token : float, optional
        Mean length of a token, for losses per byte.
    skip_invalid : bool
        Leave out rows with empty or impossible cells, instead of refusing the table.

    Returns
    -------
    Observations
        The usable rows, what they were read from, what was left out and why, and the findings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        For Parquet without pyarrow.
    ValueError
        For an argument that is not one of those above, naming it and the valid ones.

    Examples
    --------
    >>> table = {"Model Size": [0.1, 0.4, 1.6], "tokens": [2e9, 8e9, 3e10], "loss": [3.5, 3.0, 2.6]}
    >>> read_observations(table).errors[0].remedy
    'units={"N": "billions"} (--unit N=billions); or one of raw, thousands, millions, trillions, suffixed'
    """
    _checks.choice("kind", kind, REQUIRED)
    if tokens_from is not None:
        _checks.choice("tokens_from", tokens_from, ("6ND", "exact"))
    if decimal == thousands:
        raise ValueError(f"decimal and thousands are both {decimal!r}; they must differ")
    if vocabulary is not None:
        vocabulary = _checks.number(
            "vocabulary", vocabulary, 2, 1e9, "give the number of tokens in the vocabulary"
        )
    declared = by_symbol(units, [*REQUIRED[kind], *OPTIONAL[kind]])
    for symbol, unit in declared.items():
        convert(np.empty(0), letter(symbol), unit, bytes_per_token)  # refuses what is missing

    raw = load(source, as_text=decimal != "." or thousands is not None)
    reading = _Reading(raw, kind)
    if raw.frame.columns.empty:
        return reading.result()
    own = runs.recognises(raw.frame.columns)
    if own:
        if columns or units or tokens_from:
            said = "this is a runs table of ours: its columns and units are fixed"
            reading.findings.append(
                Finding("error", "options", said, "leave out columns, units and tokens_from")
            )
        if not reading.take_own(source):
            return reading.result()
        columns, declared, tokens_from = own_runs.COLUMNS[kind], {}, None
    D = REQUIRED[kind][1]
    derived = None if tokens_from is None else D
    headers = recognise(
        list(reading.raw.frame.columns), kind, columns, repeated=reading.raw.repeated, derived=derived
    )
    reading.take(headers)
    if derived in headers.columns:
        said = f"the table has {D} in {headers.columns[D]!r}"
        reading.findings.append(Finding("error", "tokens", said, "leave out tokens_from (--tokens-from)", D))
        derived = None
    if not own:
        reading.ask_for_units(headers.units, declared)
    reading.convert(
        declared, bytes_per_token, decimal=decimal, thousands=thousands, skip_invalid=skip_invalid
    )
    if derived is not None:
        reading.derive_tokens(str(tokens_from))
    if not own:
        reading.check_units(declared, vocabulary)
    reading.check(skip_invalid=skip_invalid)
    if own:
        reading.findings += own_runs.mixed_settings(reading.raw.frame.loc[~reading.left])
    return reading.result()


class _Reading:
    """The state of one reading: each step adds columns, findings, and rows to leave out."""

    def __init__(self, raw: RawTable, kind: Kind) -> None:
        self.raw, self.kind = raw, kind
        self.findings = list(raw.findings)
        self.left_out: dict[str, np.ndarray] = {}
        self.left = np.zeros(len(raw.frame), dtype=bool)
        self.headers: dict[str, str] = {}
        self.computed: dict[str, str] = {}
        self.units: dict[str, str] = {}
        self.numbers: dict[str, np.ndarray] = {}
        self.text: dict[str, np.ndarray] = {}
        self.suspected: frozenset[str] = frozenset()

    def take_own(self, source: Source) -> bool:
        """Take a runs table of ours; False if it is not valid."""
        try:
            frame = own_runs.checked(source, self.raw.frame)
        except runs.RunsTableError as error:
            said = str(error).removeprefix(f"{self.raw.name}: ")
            self.findings.append(Finding("error", "runs_table", said))
            self._leave_out("the runs table is not valid", ~self.left)
            return False
        self.raw = replace(self.raw, frame=frame, repeated=())
        left_out, findings = own_runs.set_aside(frame, self.kind)
        for reason, rows in left_out.items():
            self._leave_out(reason, np.isin(np.arange(len(frame)), rows))
        self.findings += findings
        return True

    def take(self, headers: Headers) -> None:
        self.headers = headers.columns
        self.findings += headers.findings

    def ask_for_units(self, named: Mapping[str, str], declared: Mapping[str, str]) -> None:
        """Refuse a unit that the header names and the caller does not: nothing is converted unasked."""
        for symbol, unit in named.items():
            if unit != "nats" and symbol not in declared:
                said = f"the header {self.headers[symbol]!r} says {unit}"
                self.findings.append(Finding("error", "unit", said, asking(symbol, unit), symbol))
                self.suspected |= {symbol}

    def convert(
        self,
        declared: Mapping[str, str],
        bytes_per_token: float | None,
        *,
        decimal: str,
        thousands: str | None,
        skip_invalid: bool,
    ) -> None:
        for symbol, header in self.headers.items():
            if symbol == "run":
                continue
            unit = declared.get(symbol, "raw")
            numbers, text, found = to_numbers(
                self.raw.frame[header],
                symbol,
                decimal=decimal,
                thousands=thousands,
                suffixed=unit == "suffixed",
            )
            if skip_invalid:
                found = [replace(f, severity="warning") if f.code == "text" else f for f in found]
            self.findings += found
            self.text[symbol] = text
            if unit not in ("raw", "nats"):
                self.units[symbol] = unit
            self.numbers[symbol] = convert(numbers, letter(symbol), unit, bytes_per_token)

    def derive_tokens(self, tokens_from: str) -> None:
        N, D = REQUIRED[self.kind][:2]
        if N not in self.numbers or "C" not in self.numbers:
            return
        sizes = np.where(self.numbers[N] >= 1.0, self.numbers[N], np.nan)
        if tokens_from == "6ND":
            formula, per_token = f"C / (6 {N})", 6.0 * sizes
        else:
            setting = f"context {formulas.CONTEXT} and vocabulary {formulas.VOCABULARY}"
            formula = f"C / (3 F({N})), F with {setting}"
            per_token = np.full(sizes.shape, np.nan)
            usable = np.isfinite(sizes)
            if usable.any():
                per_token[usable] = 3.0 * np.asarray(forward_flops(sizes[usable]))
        self.numbers[D] = self.numbers["C"] / per_token
        self.computed[D] = formula
        said = f"{D} is computed as {formula}, not measured"
        self.findings.append(Finding("note", "tokens", said, "", D))

    def check_units(self, declared: Mapping[str, str], vocabulary: float | None) -> None:
        known = self.numbers.get("vocab_size", vocabulary)
        found = UnitCheck(self.numbers, self._fields(), declared, known, self.computed, self.suspected).run()
        self.suspected |= {str(finding.column) for finding in found}
        if "C" in self.suspected:
            self.suspected |= set(self.computed)
        self.findings += found

    def check(self, *, skip_invalid: bool) -> None:
        """Look for impossible values, then at what the valid rows can tell."""
        if set(REQUIRED[self.kind]) - set(self.numbers):
            self._leave_out("the table lacks a column that is needed", ~self.left)
            return
        frame = self._frame()
        inside = np.flatnonzero(~self.left)
        bad, found = check_values(
            frame.iloc[inside].reset_index(drop=True),
            self.kind,
            {symbol: field.iloc[inside] for symbol, field in self._fields().items()},
            known={symbol: text[inside] for symbol, text in self.text.items()},
            unit_suspected=self.suspected,
            skip_invalid=skip_invalid,
        )
        self.findings += [replace(f, row=int(inside[f.row])) if f.row is not None else f for f in found]
        self._leave_out("invalid values", np.isin(np.arange(len(frame)), inside[bad]))
        valid = frame.loc[~self.left]
        if len(valid) or not any(f.severity == "error" for f in self.findings):
            self.findings += design_findings(valid, self.kind)

    def _leave_out(self, reason: str, rows: np.ndarray) -> None:
        if rows.any():
            self.left_out[reason] = np.flatnonzero(rows)
            self.left = self.left | rows

    def _fields(self) -> dict[str, pd.Series]:
        fields = {symbol: self.raw.frame[header] for symbol, header in self.headers.items()}
        return fields | {s: pd.Series(self.numbers[s]) for s in self.numbers if s not in fields}

    def _others(self) -> list[str]:
        used = set(self.headers.values())
        return [name for name in self.raw.frame.columns if name not in used]

    def _frame(self) -> pd.DataFrame:
        """Put the columns together: what is needed first, then what is known, then the rest by its own name."""
        known = {
            s: self.numbers[s] for s in (*REQUIRED[self.kind], *OPTIONAL[self.kind]) if s in self.numbers
        }
        if "run" in self.headers:
            known["run"] = self.raw.frame[self.headers["run"]].to_numpy()
        frame = pd.DataFrame(known, index=pd.RangeIndex(len(self.raw.frame), name="row"))
        others = self.raw.frame[self._others()]
        others = others.rename(columns={name: f"{name} (not used)" for name in others if name in known})
        return pd.concat([frame, others.set_axis(frame.index)], axis=1)

    def result(self) -> Observations:
        complete = not set(REQUIRED[self.kind]) - set(self.numbers)
        frame = (
            self._frame().loc[~self.left]
            if complete
            else pd.DataFrame(columns=list(REQUIRED[self.kind]), dtype=float)
        )
        order = (*REQUIRED[self.kind], *OPTIONAL[self.kind])
        first = self.raw.first_line
        located = [
            replace(f, line=f.row + first)
            if first is not None and f.row is not None and f.line is None
            else f
            for f in self.findings
        ]
        return Observations(
            source=self.raw.name,
            kind=self.kind,
            frame=frame,
            columns={symbol: self.headers[symbol] for symbol in order if symbol in self.headers},
            computed=self.computed,
            units=self.units,
            other_columns=tuple(self._others()),
            rows_read=len(self.raw.frame),
            left_out=self.left_out,
            findings=tuple(located),
        )
