"""Records of what was computed from points that may not be published: tables, one number a line.

A record says what made it and the SHA-256 of the points. It lies in ``data/`` of a checkout, and inside an
installed package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

_COLUMNS = ["part", "row", "column", "value"]


def place(file: str) -> Path:
    """Tell where a record lies: inside an installed package if there, else in the checkout.

    Parameters
    ----------
    file : str
        Its name.

    Returns
    -------
    pathlib.Path
        Where it is, or belongs.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "_data" / file
    return inside if inside.is_file() else package.parent / "data" / file


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        As hex digits.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path: Path, parts: Mapping[str, pd.DataFrame]) -> None:
    """Write tables as a record.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    parts : mapping of str to pandas.DataFrame
        The tables by name; numbers keep nine digits.
    """
    lines = [
        (part, row, column, value if isinstance(value, str) else f"{value:.9g}")
        for part, table in parts.items()
        for row, values in table.to_dict(orient="index").items()
        for column, value in values.items()
    ]
    pd.DataFrame(lines, columns=_COLUMNS).to_csv(path, index=False)


def read(path: Path, command: str) -> dict[str, pd.DataFrame]:
    """Read the tables of a record.

    Parameters
    ----------
    path : pathlib.Path
        The record.
    command : str
        What makes it, for the message where it is missing.

    Returns
    -------
    dict of str to pandas.DataFrame
        The tables by name, all text, rows and columns in the order they were written in.

    Raises
    ------
    FileNotFoundError
        If there is no record.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no record at {path}; take it from a full checkout, or make it where the points are at hand: {command}"
        )
    lines = pd.read_csv(path, dtype=str, keep_default_na=False)
    parts = {}
    for part in lines["part"].unique():
        of_it = lines[lines["part"] == part]
        table = of_it.pivot_table(index="row", columns="column", values="value", aggfunc="first", sort=False)
        parts[str(part)] = table[of_it["column"].unique()].rename_axis(index=None, columns=None)
    return parts


def texts(part: pd.DataFrame) -> dict[str, str]:
    """Return the column ``value`` of a part that holds words.

    Parameters
    ----------
    part : pandas.DataFrame
        As :func:`read` returns it.

    Returns
    -------
    dict of str to str
        Value by row.
    """
    return {str(name): str(value) for name, value in part["value"].items()}
