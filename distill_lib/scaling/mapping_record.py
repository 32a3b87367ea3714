"""The recorded runs of the mapping problem (App C.2), read without torch, and what follows from them.

``data/mapping_problem.csv`` has one row per trained network, with a manifest beside it; the columns are described
in ``data/README.md``. To make or extend it: ``python -m distill_lib.training.mapping_study``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from distill_lib import runs as files
from distill_lib.scaling import _checks, records
from distill_lib.scaling.comparison import mean_interval, rise_from_the_best

COMMAND = "python -m distill_lib.training.mapping_study"
"""What makes the record."""

STUDIES = {"width": "teacher_width", "steps": "teacher_steps"}
"""What a study varies: the width of its teachers (Fig 11), or how long one is trained (Fig 12)."""

WIDEST = 512
"""Width of the teachers of Figure 12 (App C.2)."""

_FILE = "mapping_problem.csv"

_DTYPES = {
    "run": "string", "role": "string", "study": "string", "width": "int64", "N": "int64", "steps": "int64",
    "samples": "int64", "teacher_run": "string", "teacher_width": "Int64", "teacher_steps": "Int64",
    "L_T": "float64", "L": "float64", "L_easy": "float64", "L_hard": "float64", "accuracy": "float64",
    "accuracy_hard": "float64", "kl_teacher": "float64", "positions": "int64", "easy": "float64", "lr": "float64",
    "batch": "int64", "tau": "float64", "lam": "float64", "seed": "int64", "device": "string",
    "seconds": "float64", "commit": "string",
}  # fmt: skip
COLUMNS = tuple(_DTYPES)
"""Columns of the record in order."""

ROLES = ("teacher", "distilled", "supervised")
"""What a network can be."""

_OF_A_TEACHER = ["teacher_run", "teacher_width", "teacher_steps", "L_T"]


class MappingRecordError(ValueError):
    """A record of the mapping problem is not what it should be."""


def record_path() -> Path:
    """Tell where the committed record lies.

    Returns
    -------
    pathlib.Path
        Inside an installed package if there, else in the checkout.
    """
    return records.place(_FILE)


def read_mapping_runs(path: str | Path | None = None) -> pd.DataFrame:
    """Read the recorded runs of the mapping problem.

    Parameters
    ----------
    path : str or Path, optional
        The record; the committed one by default.

    Returns
    -------
    pandas.DataFrame
        One row per network; losses are in nats.

    Raises
    ------
    FileNotFoundError
        If there is no record.
    MappingRecordError
        If a column, a value or the pairing of students with teachers is wrong.
    """
    path = record_path() if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no record at {path}; take it from a full checkout, or make it: {COMMAND}")
    return _parse(path.read_text(encoding="utf-8"), path.name)


def append_run(path: str | Path, row: Mapping[str, Any]) -> pd.DataFrame:
    """Add one run to a record, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The record; made if it is not there.
    row : mapping
        Value by column; what does not apply may be left out.

    Returns
    -------
    pandas.DataFrame
        The record as it is now.

    Raises
    ------
    MappingRecordError
        If the row, or a row that is there, is wrong; the file is then as before.
    """
    path = Path(path)
    unknown = set(row) - set(COLUMNS)
    if unknown:
        raise MappingRecordError(f"{path.name}: unknown column {', '.join(sorted(unknown))}")
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.is_file() else ",".join(COLUMNS) + "\n"
    line = pd.DataFrame([{name: row.get(name) for name in COLUMNS}], dtype=object)
    text = before + line.to_csv(index=False, header=False, lineterminator="\n")
    table = _parse(text, path.name)
    files.replace_file(path, text)
    return table


def student_runs(runs: pd.DataFrame, study: str, **recipe: float) -> pd.DataFrame:
    """Select the distilled students of a study, on one recipe.

    The widest teacher of Figure 11 is one of Figure 12, too: it is the same network, trained for its full length.

    Parameters
    ----------
    runs : pandas.DataFrame
        The record.
    study : {"width", "steps"}
        What differs between the teachers.
    **recipe : float
        ``positions``, ``easy`` or another column of the recipe; by default 16 positions, half of the cases easy.

    Returns
    -------
    pandas.DataFrame
        Their rows.

    Raises
    ------
    ValueError
        For a study that there is not, or if no student is left.
    """
    _checks.choice("study", study, STUDIES)
    taught = runs["teacher_width"] == WIDEST if study == "steps" else runs["study"] == study
    chosen = runs[(runs["role"] == "distilled") & taught.fillna(False)]
    for name, value in ({"positions": 16, "easy": 0.5} | recipe).items():
        chosen = chosen[chosen[name] == value]
    if chosen.empty:
        raise ValueError(f"runs: no student of the study {study!r} with this recipe; make them: {COMMAND}")
    return chosen


def paired_rise(
    runs: pd.DataFrame, *, width: int = 256, study: str = "width", quantity: str = "L"
) -> pd.DataFrame:
    """Compare, trial by trial, a student of the largest teacher with the same student of the best one.

    The best teacher is the one with the lowest mean over the *other* trials, so that the luck of a trial has no part
    in the choice: picked on all trials, the best of several would look better than it is. A single trial has to choose
    for itself, and then its rise cannot be negative.

    Parameters
    ----------
    runs : pandas.DataFrame
        The record.
    width : int
        Width of the students.
    study : {"width", "steps"}
        Whether the largest teacher is the widest or the longest-trained.
    quantity : str
        A column that is better the lower it is, such as ``L`` in nats.

    Returns
    -------
    pandas.DataFrame
        Indexed by seed: ``teacher``, the best one's width or steps; ``best`` and ``largest``, the quantity of
        the student under either; ``rise``, largest - best: the capacity gap, if above zero.

    Raises
    ------
    ValueError
        If no trial has students of all teachers. Trials in which a teacher is missing are left out.
    """
    chosen = student_runs(runs, study)
    chosen = chosen[chosen["width"] == width]
    table = chosen.pivot_table(index="seed", columns=STUDIES[study], values=quantity).dropna()
    if table.empty:
        raise ValueError(
            f"runs: no trial has students of width = {width} under all teachers; make it: {COMMAND}"
        )
    found = rise_from_the_best(table)
    found["chosen"] = found["chosen"].astype(int)
    return found.rename(columns={"chosen": "teacher", "last": "largest"})


def difference_in_words(differences: ArrayLike) -> str:
    """Write a paired difference of losses with what is known of its error.

    Parameters
    ----------
    differences : array_like
        One difference a trial, in nats, shape [trials].

    Returns
    -------
    str
        The mean with the 95 % interval of Student's t and the number of trials.

    Raises
    ------
    ValueError
        If there is none, or one is not finite.
    """
    values = np.atleast_1d(np.asarray(differences, dtype=float))
    if len(values) == 1 and np.isfinite(values[0]):
        return f"{values[0]:+.3f} nats (one trial, so no interval)"
    found = mean_interval(values)
    return (
        f"{found.mean:+.3f} nats (95 % interval {found.low:+.3f} to {found.high:+.3f}, {len(values)} trials)"
    )


def _parse(text: str, source: str) -> pd.DataFrame:
    table = pd.read_csv(io.StringIO(text), dtype="string", keep_default_na=False, na_values=[""])
    if tuple(table.columns) != COLUMNS:
        raise MappingRecordError(f"{source}: columns {list(table.columns)}; expected {list(COLUMNS)}")
    try:
        table = table.astype(_DTYPES)
    except (TypeError, ValueError) as error:
        raise MappingRecordError(f"{source}: a value is missing or has the wrong type: {error}") from None
    for found, words in _faults(table):
        if found.any():
            raise MappingRecordError(f"{source}, row {table.loc[found, 'run'].iloc[0]}: {words}")
    return table


def _faults(table: pd.DataFrame) -> list[tuple[pd.Series, str]]:
    """List what may be wrong, each with the rows it holds for."""
    teachers = table[table["role"] == "teacher"].set_index("run")["L"]
    distilled = table["role"] == "distilled"
    known = table["teacher_run"].isin(teachers.index)
    alike = table["teacher_run"].astype(object).map(teachers.to_dict()).astype(float) == table["L_T"]
    return [
        (table["run"].duplicated(), "another row has the same name"),
        (~table["role"].isin(ROLES), f"role is none of {', '.join(ROLES)}"),
        (~table["study"].isin(STUDIES) & (table["role"] != "supervised"), "study is neither width nor steps"),
        (~(table["L"] > 0.0), "L is no cross-entropy above 0"),
        (~table["accuracy"].between(0.0, 1.0), "accuracy is no share"),
        (distilled & table[_OF_A_TEACHER].isna().any(axis=1), "a distilled student without its teacher"),
        (~distilled & table[_OF_A_TEACHER].notna().any(axis=1), "a teacher of a network that had none"),
        (distilled & ~known, "its teacher is not in the record"),
        (distilled & known & ~alike, "L_T is not its teacher's L"),
        (table["samples"] != table["steps"] * table["batch"], "samples are not steps times batch"),
    ]
