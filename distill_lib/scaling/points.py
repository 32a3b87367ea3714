"""Runs that others read off published figures: where a copy is looked for, and what it must hold.

They are not ours to publish. What we computed from them is: see `distill_lib.scaling.audit` and
`distill_lib.scaling.public_fits`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from distill_lib.scaling import _checks

POINT_COLUMNS = ("N_S", "D_S", "L_T", "L_S")
"""Columns of a table of distilled students: parameters, tokens, and losses in nats per token."""


def find_copy(name: str) -> Path | None:
    """Look for a copy of a public table that is not ours to publish.

    The folder looked in is the one that the environment variable ``DISTILL_LIB_DATA`` names, else
    ``shared/data`` beside the checkout.

    Parameters
    ----------
    name : str
        Place of the file in the folder, such as ``"distillation_points/points.csv"``.

    Returns
    -------
    pathlib.Path or None
        The file; None where there is no copy.
    """
    beside_the_checkout = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("DISTILL_LIB_DATA") or beside_the_checkout) / name
    return path if path.is_file() else None


def points_path() -> Path | None:
    """Say where the copy of the points lies, see ``find_copy``.

    Returns
    -------
    pathlib.Path or None
        The file; None where there is no copy.
    """
    return find_copy("distillation_points/points.csv")


def chinchilla_path() -> Path | None:
    """Say where the copy of the Chinchilla runs lies that Besiroglu et al. 2024 read off a figure.

    Returns
    -------
    pathlib.Path or None
        The file; None where there is no copy.
    """
    return find_copy("epoch_chinchilla/svg_extracted_data.csv")


def find_chinchilla() -> pd.DataFrame | None:
    """Look for the runs of Hoffmann et al. 2022, as Besiroglu et al. 2024 read them off a figure.

    As there, the five highest losses are left out, and tokens are C / (6 N).

    Returns
    -------
    pandas.DataFrame or None
        Columns ``N``, ``D``, ``C`` and ``L``, 240 rows; None where there is no copy.
    """
    path = chinchilla_path()
    if path is None:
        return None
    table = pd.read_csv(path).sort_values("loss", kind="stable").iloc[:-5].sort_index()
    N, C = table["Model Size"], table["Training FLOP"]
    return pd.DataFrame({"N": N, "D": C / (6.0 * N), "C": C, "L": table["loss"]}).reset_index(drop=True)


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
