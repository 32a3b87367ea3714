"""Supervised laws that other papers printed, as they printed them: ``data/other_laws.csv``.

Both are of the form with gamma = 1, and both describe the runs of Hoffmann et al. 2022. They count compute as
6 N D, with N as those papers count it; their losses belong to another corpus and another tokenizer than this paper's.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pandas as pd

from distill_lib.scaling import _checks, records
from distill_lib.scaling.laws import SupervisedLaw

COEFFICIENTS = ("E", "A", "B", "alpha", "beta")
"""What each of these laws has; its gamma is 1."""

_FILE = "other_laws.csv"


def table(path: str | Path | None = None) -> pd.DataFrame:
    """Return the printed coefficients with their places.

    Parameters
    ----------
    path : str or Path, optional
        The table; that of the checkout or the installed package by default.

    Returns
    -------
    pandas.DataFrame
        One row per number: ``law`` (key of its paper in the list of references), ``symbol``, ``value`` and
        ``place`` in that paper.

    Raises
    ------
    ValueError
        If a law lacks a coefficient, has one twice, or one that is not positive.
    """
    where = records.place(_FILE) if path is None else Path(path)
    rows = pd.read_csv(where, dtype={"law": str, "symbol": str, "value": float, "place": str})
    for law, part in rows.groupby("law"):
        if sorted(part["symbol"]) != sorted(COEFFICIENTS):
            raise ValueError(
                f"{where.name} has {', '.join(part['symbol'])} for {law}; each law has {', '.join(COEFFICIENTS)}, once"
            )
    bad = rows[~(rows["value"] > 0.0)]
    if len(bad):
        row = bad.iloc[0]
        raise ValueError(
            f"{where.name} has {row['symbol']} = {row['value']} for {row['law']}; coefficients are positive, see {row['place']}"
        )
    return rows


def names() -> list[str]:
    """Return the laws there are, in the order of the table.

    Returns
    -------
    list of str
        Keys of the papers in the list of references.
    """
    return [str(name) for name in _read()["law"].unique()]


def law(name: str) -> SupervisedLaw:
    """Return a law as printed.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    SupervisedLaw
        With gamma = 1.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> law("hoffmann2022").beta
    0.28
    """
    _checks.choice("name", name, names())
    rows = _read().query("law == @name")
    values = dict(zip(rows["symbol"], rows["value"].astype(float), strict=True))
    return SupervisedLaw(**values, name=name)


@functools.cache
def _read() -> pd.DataFrame:
    return table()
