"""A finding: what is odd about a table, where, and what to type to mend it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""An error forbids a fit, a warning makes one doubtful, a note is for the record."""

SHOWN = 10
"""How many findings of one severity are spelt out; the rest is counted."""


@dataclass(frozen=True)
class Finding:
    """Something to know about a table of runs before it is fitted.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
        Whether it forbids a fit, makes one doubtful, or is for the record.
    code : str
        A short name for programs, such as ``"unit"``; :meth:`~distill_lib.observations.result.Observations.require` can pass over it.
    message : str
        What was found.
    remedy : str
        What to do about it, with the option to type.
    column : str, optional
        The symbol or the header that it is about.
    row : int, optional
        The first row that shows it, counted from 0 below the header.
    value : int, float, str or None
        What stands there, as in the table.
    count : int
        How many rows show it; 0 if it is not about rows.
    line : int, optional
        The line of the file, counted from 1, where rows are lines.
    """

    severity: Severity
    code: str
    message: str
    remedy: str = ""
    column: str | None = None
    row: int | None = None
    value: float | int | str | None = None
    count: int = 0
    line: int | None = None

    def __str__(self) -> str:
        place = [f"column {self.column}"] if self.column is not None else []
        if self.row is not None:
            place.append(f"row {self.row}" + (f" (line {self.line})" if self.line is not None else ""))
        where = ", ".join(place) + ": " if place else ""
        remedy = f"{'' if self.message.endswith('?') else ';'} {self.remedy}" if self.remedy else ""
        return f"{self.severity}: {where}{self.message}{remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain values, for JSON.

        Returns
        -------
        dict
            Value by field.
        """
        return asdict(self)


def at_rows(
    severity: Severity,
    code: str,
    column: str,
    rows: np.ndarray,
    values: pd.Series,
    message: str,
    remedy: str = "",
) -> Finding:
    """Make one finding of all the rows that show the same fault.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
        As for :class:`Finding`.
    code : str
        As for :class:`Finding`.
    column : str
        The column.
    rows : numpy.ndarray of int
        Positions of the rows, one at least.
    values : pandas.Series
        The column as it stands in the table; the value of the first row is named.
    message : str
        What is wrong, to follow the value.
    remedy : str
        What to do.

    Returns
    -------
    Finding
        At the first of the rows, with their count.
    """
    row = int(rows[0])
    value = plain(values.iloc[row])
    said = "empty" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    more = f" ({len(rows)} rows in all)" if len(rows) > 1 else ""
    return Finding(severity, code, f"{said} {message}{more}", remedy, column, row, value, len(rows))


def plain(value: Any) -> float | int | str | None:
    """Turn a cell into a value that JSON can hold.

    Parameters
    ----------
    value : object
        A cell of a table.

    Returns
    -------
    int, float, str or None
        None for an empty cell; infinities and other objects as text.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)) or math.isinf(value):
        return str(value)
    return value


def listing(findings: Iterable[Finding]) -> list[str]:
    """Write findings as lines: errors first, of each severity the first few and the count of the rest.

    Parameters
    ----------
    findings : iterable of Finding
        In the order in which they were made.

    Returns
    -------
    list of str
        One line each.
    """
    by_severity: Mapping[Severity, list[Finding]] = {severity: [] for severity in SEVERITIES}
    for finding in findings:
        by_severity[finding.severity].append(finding)
    lines = []
    for severity, found in by_severity.items():
        lines += [str(finding) for finding in found[:SHOWN]]
        rest = len(found) - SHOWN
        if rest > 0:
            lines.append(f"... and {rest} more {severity}{'s' if rest > 1 else ''}")
    return lines
