"""Students read off the paper's figures by others: where a copy is looked for, and what it must hold.

The 354 points are not ours to publish. What we computed from them is, see `distill_lib.scaling.audit`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from distill_lib.scaling import _checks

POINT_COLUMNS = ("N_S", "D_S", "L_T", "L_S")
"""Columns of a table of distilled students: parameters, tokens, and losses in nats per token."""


def points_path() -> Path | None:
    """Say where the copy of the points lies.

    The folder looked in is the one that the environment variable ``DISTILL_LIB_DATA`` names, else
    ``shared/data`` beside the checkout; in it, ``distillation_points/points.csv``.

    Returns
    -------
    pathlib.Path or None
        The file; None where there is no copy.
    """
    beside_the_checkout = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("DISTILL_LIB_DATA") or beside_the_checkout)
    path = folder / "distillation_points" / "points.csv"
    return path if path.is_file() else None


def find_points() -> pd.DataFrame | None:
    """Look for a copy of the 354 points that others read off the paper's figures, see :func:`points_path`.

    Returns
    -------
    pandas.DataFrame or None
        The checked points, see :func:`check_points`; None where there is no copy.
    """
    path = points_path()
    return None if path is None else check_points(pd.read_csv(path))


def check_points(points: pd.DataFrame) -> pd.DataFrame:
    """Check a table of distilled students.

    Parameters
    ----------
    points : pandas.DataFrame
        With columns ``N_S`` (parameters), ``D_S`` (tokens), ``L_T`` and ``L_S`` (nats per token).

    Returns
    -------
    pandas.DataFrame
        Those columns as floats, rows numbered anew.

    Raises
    ------
    ValueError
        Naming a missing column, or the first value out of range with its row.
    """
    missing = [name for name in POINT_COLUMNS if name not in points]
    if missing:
        raise ValueError(
            f"points has no column {', '.join(missing)}; it takes one row per student: {', '.join(POINT_COLUMNS)}"
        )
    return pd.DataFrame(
        {
            name: np.atleast_1d(_checks.positive(f"points.{name}", points[name], name[0]))
            for name in POINT_COLUMNS
        }
    )
