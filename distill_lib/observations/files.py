"""From a file to a table of fields: separators, byte order marks, missing headers, torn lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from distill_lib import runs
from distill_lib.observations.findings import Finding

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_PARQUET = (".parquet", ".pq")
_TEXT = (".csv", ".tsv", ".txt", "")
_HEAD = 20  # lines that are looked at to find the separator

Source = str | Path | pd.DataFrame | Mapping[str, Any]


@dataclass(frozen=True)
class RawTable:
    """A table as it was found, before anything is known of what it means.

    Parameters
    ----------
    name : str
        What to call it in a message.
    frame : pandas.DataFrame
        The fields; columns have the names of the header, told apart where it repeats one.
    repeated : tuple of str
        Names that the header holds more than once.
    first_line : int, optional
        The line of the first row, where every row is one line.
    findings : list of Finding
        What was odd about the file.
    """

    name: str
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    repeated: tuple[str, ...] = ()
    first_line: int | None = None
    findings: list[Finding] = field(default_factory=list)


def load(source: Source, *, as_text: bool = False) -> RawTable:
    """Read a table without a look at what it means.

    Parameters
    ----------
    source : str, Path, pandas.DataFrame or mapping
        A text file (CSV, or with semicolons, tabs or bars), a Parquet file, a data frame, or columns by name.
    as_text : bool
        Keep the fields of a text file as they are written, for numbers in another notation.

    Returns
    -------
    RawTable
        With findings for what is wrong with the file; its frame is then empty.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        For Parquet without pyarrow.
    ValueError
        For a kind of file that is not read here.
    """
    if not isinstance(source, (str, Path)):
        return _from_frame(pd.DataFrame(source), "table")
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        return _from_frame(runs.read_parquet(path), path.name)
    if suffix not in _TEXT:
        raise ValueError(f"{path.name}: files of kind {suffix!r} are not read; save it as .csv or .parquet")
    return _from_bytes(path.read_bytes(), path.name, as_text)


def _from_frame(frame: pd.DataFrame, name: str) -> RawTable:
    """Take a frame; a named index is a column too."""
    named = [level for level in frame.index.names if level is not None]
    frame = frame.reset_index() if named else frame.reset_index(drop=True)
    names, repeated = _told_apart([str(column) for column in frame.columns])
    frame.columns = pd.Index(names)
    findings = [] if len(frame) else [_no_rows()]
    return RawTable(name, frame, repeated, None, findings)


def _from_bytes(raw: bytes, name: str, as_text: bool) -> RawTable:
    def refused(code: str, message: str, remedy: str, line: int | None = None) -> RawTable:
        return RawTable(name, findings=[Finding("error", code, message, remedy, line=line)])

    if not raw.strip():
        return refused("empty", "the file is empty", "a header such as N,D,L and one line per run are needed")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in raw[:4096]:
        return refused("encoding", "the file is not UTF-8 text (UTF-16, or binary)", "save it as CSV UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        said = f"line {line} holds the byte 0x{raw[error.start]:02x}, which is not UTF-8"
        return refused("encoding", said, "save the table as CSV UTF-8", line)

    findings = []
    if raw.startswith(b"\xef\xbb\xbf"):
        findings.append(Finding("note", "encoding", "the file starts with a byte order mark, passed over"))
    separator = _separator(text)
    if separator != ",":
        findings.append(
            Finding("note", "separator", f"columns are separated by {_SEPARATORS[separator]}, and read so")
        )
    header = [cell.strip() for cell in next(_fields(text, separator))[1]]
    if all(_is_number(cell) for cell in header):
        return refused(
            "header",
            f"the first line holds numbers ({', '.join(header[:4])}), not names",
            "put a header such as N,D,L above it",
            1,
        )
    names, repeated = _told_apart(header)
    wrong = _uneven(text, separator, len(names), limit=_HEAD)
    frame = pd.DataFrame(columns=names)
    if wrong is None:
        try:
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                header=0,
                names=names,
                index_col=False,
                low_memory=False,
                dtype=str if as_text else None,
            )
        except pd.errors.ParserError as error:
            wrong = _uneven(text, separator, len(names)) or Finding("error", "fields", str(error).strip())
        else:
            # Counting is quick; only where it does not come out even is each line looked at.
            if '"' in text or text.count(separator) != (len(names) - 1) * (len(frame) + 1):
                wrong = _uneven(text, separator, len(names))
    if wrong is not None:
        return RawTable(name, findings=[*findings, wrong])
    if frame.empty:
        findings.append(_no_rows())
    one_line_each = len(text.splitlines()) == len(frame) + 1
    return RawTable(name, frame, repeated, 2 if one_line_each else None, findings)


def _no_rows() -> Finding:
    return Finding("error", "empty", "the table has a header and no rows", "one row per run is needed")


def _fields(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of each line that is not blank, with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return ((reader.line_num, fields) for fields in reader if fields and any(map(str.strip, fields)))


def _separator(text: str) -> str:
    """Return the separator that cuts the first lines most evenly: the most fields, equal in all lines."""

    def merit(separator: str) -> tuple[bool, int]:
        counts = [len(fields) for fields, _ in zip(_rows(text, separator), range(_HEAD), strict=False)]
        return counts[0] > 1 and len(set(counts)) == 1, counts[0]

    return max(_SEPARATORS, key=merit)


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    return (fields for _, fields in _fields(text, separator))


def _uneven(text: str, separator: str, width: int, limit: int | None = None) -> Finding | None:
    """Find the lines with other than ``width`` fields; one empty field after the last is let pass."""
    first, count = None, 0
    for row, (line, fields) in enumerate(_fields(text, separator), start=-1):
        if limit is not None and row > limit:
            break
        if len(fields) != width and not (len(fields) == width + 1 and not fields[-1].strip()):
            first = first or (row, line, fields)
            count += 1
    if first is None:
        return None
    row, line, fields = first
    remedy = "is the line torn? mend it"
    if len(fields) > width and separator == ",":
        remedy = (
            "are commas decimal marks, or between thousands? quote such numbers, or separate by semicolons"
        )
    said = f"{len(fields)} fields, where the header has {width}"
    return Finding("error", "fields", said, remedy, None, row, separator.join(fields)[:80], count, line)


def _told_apart(names: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Give repeated and empty names a number, and say which were repeated."""
    seen: dict[str, int] = {}
    unique = []
    for position, name in enumerate(names):
        base = name or f"column {position + 1}"
        seen[base] = seen.get(base, 0) + 1
        unique.append(base if seen[base] == 1 else f"{base} #{seen[base]}")
    return unique, tuple(name for name, count in seen.items() if count > 1)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?(\d[\d .,']*|\.\d+)([eE][+-]?\d+)?|nan|inf", cell.strip()) is not None
