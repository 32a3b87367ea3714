"""A table of teachers that exist, read from a file a person wrote."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

from distill_lib.scaling.quantities import Kind, parse_quantity

COLUMNS = ("N_T", "D_T", "L_T")
"""What a table of teachers may hold besides a name."""

LEAST = 1e3
"""Fewest parameters, and tokens, of a teacher: whoever types less has left out a unit."""


class Teacher(NamedTuple):
    """A teacher of a table.

    Parameters
    ----------
    name : str
        Its name, or "teacher 2" for the second row.
    N_T, D_T : float
        Parameters and tokens; NaN where the table has only losses.
    L_T : float
        Measured loss, nats per token; NaN where the supervised law is to say it.
    """

    name: str
    N_T: float
    D_T: float
    L_T: float

    @property
    def given(self) -> float | tuple[float, ...]:
        """As ``plan(teachers=[...])`` takes it."""
        if math.isnan(self.N_T):
            return self.L_T
        return (self.N_T, self.D_T) if math.isnan(self.L_T) else (self.N_T, self.D_T, self.L_T)


def read_teachers(path: str | Path) -> list[Teacher]:
    """Read a table of teachers: columns N_T and D_T, L_T, or all three, and perhaps a name.

    Counts may be typed as people type them, such as 7B and 2T. An empty cell of L_T leaves the loss of this
    teacher to the supervised law.

    Parameters
    ----------
    path : str or Path
        A CSV file with a header.

    Returns
    -------
    list of Teacher
        In the order of the file.

    Raises
    ------
    ValueError
        In one line, naming the column, the row of the file, the value and the remedy.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = [
                (number, row) for number, row in enumerate(csv.reader(file), 1) if any(map(str.strip, row))
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name} is no CSV text ({error}); save the table of teachers as CSV") from None
    if not table:
        raise ValueError(f"{path.name} is empty; write the columns N_T,D_T,L_T and one row for each teacher")
    header = _header(path.name, table[0][1])
    if len(table) == 1:
        raise ValueError(f"{path.name} has a header but no teachers; write one row for each")
    return [
        _teacher(path.name, place, number, header, row) for place, (number, row) in enumerate(table[1:], 1)
    ]


def _header(file: str, cells: list[str]) -> list[str]:
    """Return the names of the columns after checking that they say what a teacher is."""
    header = [cell.strip() for cell in cells]
    unknown = [name for name in header if name not in (*COLUMNS, "name")]
    if unknown:
        raise ValueError(
            f"{file}: unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}, and perhaps name"
        )
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise ValueError(f"{file}: column {twice[0]} stands there twice; keep one")
    sized = {"N_T", "D_T"} <= set(header)
    if not sized and ("N_T" in header or "D_T" in header):
        there, missing = ("N_T", "D_T") if "N_T" in header else ("D_T", "N_T")
        raise ValueError(
            f"{file}: column {there} without {missing}; add {missing}, or give the loss L_T alone"
        )
    if not sized and "L_T" not in header:
        raise ValueError(f"{file}: no column says what a teacher is; give N_T and D_T, or L_T")
    return header


def _teacher(file: str, place: int, number: int, header: list[str], row: list[str]) -> Teacher:
    """Return the teacher of one row of the file."""
    where = f"{file}, row {number}"
    if len(row) != len(header):
        raise ValueError(f"{where}: {len(row)} cells for {len(header)} columns; give each column its cell")
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    numbers = dict.fromkeys(COLUMNS, math.nan)
    for name in COLUMNS:
        if cells.get(name):
            numbers[name] = _loss(where, cells[name]) if name == "L_T" else _count(where, name, cells[name])
        elif name in cells and (name != "L_T" or "N_T" not in cells):
            raise ValueError(f"{where}, column {name} is empty; give it, or leave the row out")
    return Teacher(cells.get("name") or f"teacher {place}", **numbers)


def _count(where: str, name: str, cell: str) -> float:
    kind: Kind = "N" if name == "N_T" else "D"
    value = parse_quantity(cell, kind, f"{where}, column {name}")
    if not LEAST <= value <= 1e17:
        counted = "parameters" if kind == "N" else "tokens"
        raise ValueError(
            f"{where}, column {name} = {cell!r} is out of range: {LEAST:g} to 1e17 {counted}; write 7B for 7 billion"
        )
    return value


def _loss(where: str, cell: str) -> float:
    """Return a loss; that it is no worse than a uniform guess is for the plan to check, which knows the vocabulary."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise ValueError(
            f"{where}, column L_T = {cell!r} is no loss: nats per token, above 0; type a cross-entropy such as 2.1, "
            "or leave the cell empty for that of the supervised law"
        )
    return value
