"""Measures of each run by bin: what lies behind its calibration errors, and its loss where tokens are rare.

Beside ``smoke.csv`` lies ``smoke.measures.csv``, written with each row and hashed in the same manifest. It is
long: one line for each run, way of sorting its held-out positions, and bin. Each line says how many positions
fell into the bin and what the model did there in the mean. The columns are described in ``data/README.md``.
Runs go by the hash of their specification, which is a quarter of their name; the table beside has both.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import ArrayLike
from pandera.errors import SchemaErrors

from distill_lib import runs

#: Bins of equal width between confidence 0 and 1, each with its upper edge (App E.8).
CONFIDENCE_BINS = 21
#: Bands of tokens, common ones first, each with an equal share of the training text as far as tokens allow.
FREQUENCY_BANDS = 8

#: Number of bins by how positions are sorted; ``data/README.md`` says what each bin is.
BINS_BY = {
    "confidence": CONFIDENCE_BINS,
    "confidence_teacher": CONFIDENCE_BINS,
    "frequency": FREQUENCY_BANDS,
    "repetition": 3,
    "bracket": 3,
}


@dataclass(frozen=True)
class Bin:
    """What a model does in the mean where positions are alike; means of an empty bin are None.

    By "bracket" everything is said of the choice between the three closing brackets, not of the next token.

    Attributes
    ----------
    by : str
        How positions are sorted, a key of `BINS_BY`.
    bin : int
        Number of the bin, from 0.
    count : float
        Positions in it; a sum of probabilities where the truth is known.
    confidence : float or None
        Probability that the model gives its likeliest token.
    accuracy : float or None
        Share of positions whose token is the model's likeliest.
    loss : float or None
        Cross-entropy, nats per token.
    confidence_teacher : float or None
        Probability that the teacher gives its own likeliest token; None without a teacher, as below.
    agreement : float or None
        Share of positions where student and teacher hold the same token for the likeliest.
    loss_teacher : float or None
        Cross-entropy of the teacher, nats per token.
    kl_teacher : float or None
        KL(teacher || student), nats per token.
    """

    by: str
    bin: int
    count: float
    confidence: float | None = None
    accuracy: float | None = None
    loss: float | None = None
    confidence_teacher: float | None = None
    agreement: float | None = None
    loss_teacher: float | None = None
    kl_teacher: float | None = None


#: Columns of the file. Older files have ``run``, the name, in place of ``spec_hash``, which it ends with.
COLUMNS = ("spec_hash", *(field.name for field in fields(Bin)))
_HEADER = ",".join(COLUMNS) + "\n"
_OLDER = ",".join(("run", *COLUMNS[1:])) + "\n"
#: Means of a bin, with and without a teacher.
MEANS = ("confidence", "accuracy", "loss")
MEANS_TEACHER = ("confidence_teacher", "agreement", "loss_teacher", "kl_teacher")

_SHARE = pa.Check.in_range(0, 1, error="expected a share in [0, 1]")
_NOT_NEGATIVE = pa.Check.greater_than_or_equal_to(0, error="expected a value of 0 or more")
_HASH = pa.Check.str_matches(r"^[0-9a-f]{12}$", error="expected 12 hex digits")
_BY = pa.Check.isin(list(BINS_BY), error=f"expected one of {', '.join(BINS_BY)}")
_CHECKS: dict[str, list[pa.Check]] = {
    "bin": [_NOT_NEGATIVE],
    "count": [_NOT_NEGATIVE],
    "loss": [_NOT_NEGATIVE],
    "loss_teacher": [_NOT_NEGATIVE],
    "kl_teacher": [pa.Check.greater_than(-1e-3, error="a divergence is 0 or more, but for rounding")],
}

SCHEMA = pa.DataFrameSchema(
    {
        "spec_hash": pa.Column("string", _HASH, coerce=True),
        "by": pa.Column("string", _BY, coerce=True),
        "bin": pa.Column("int64", _CHECKS["bin"], coerce=True),
        "count": pa.Column("float64", _CHECKS["count"], coerce=True),
        **{
            name: pa.Column("float64", _CHECKS.get(name, [_SHARE]), nullable=True, coerce=True)
            for name in (*MEANS, *MEANS_TEACHER)
        },
    },
    strict=True,
    ordered=True,
)


def read_measures(table: Path | str) -> pd.DataFrame:
    """Read and validate what was measured by bin, beside a runs table.

    Parameters
    ----------
    table : Path or str
        The runs table, such as ``smoke.csv``.

    Returns
    -------
    DataFrame
        One row for each run of the table, way of sorting and bin: ``run``, its name, and all but the first of
        `COLUMNS`.

    Raises
    ------
    FileNotFoundError
        If the table has none beside it, as older tables do not, or is not there itself.
    RunsTableError
        If a line is torn, a value is not what its column holds, or a run lacks a bin.
    """
    path = runs.measures_path(table)
    frame = _parse(by_hash(path.read_text(encoding="utf-8"), path.name), path.name)
    rows = runs.read(table)
    names = dict(zip(rows["spec_hash"], rows["run"], strict=True))
    # One run without a row can be there: it was measured, and its sweep was killed before the row was written.
    frame.insert(0, "run", frame.pop("spec_hash").map(names).astype("string"))
    return frame[frame["run"].notna()].reset_index(drop=True)


def by_hash(content: str, source: str) -> str:
    """Let runs go by their hash, in a file that may be an older one where they go by their name.

    Parameters
    ----------
    content : str
        The file, as text.
    source : str
        What to call it in an error.

    Returns
    -------
    str
        The same with the columns of today; what is so already is returned as it is.

    Raises
    ------
    RunsTableError
        If it has other columns.
    """
    header, newline, rest = content.partition("\n")
    if header + newline == _HEADER:
        return content
    if header + newline != _OLDER:
        raise runs.RunsTableError(
            f"{source}: columns {header.replace(',', ', ')}; expected {', '.join(COLUMNS)}: move it away"
        )
    return _HEADER + re.sub(r"^[^,\n]*-([0-9a-f]{12}),", r"\1,", rest, flags=re.M)


def append_measures(table: Path | str, spec_hash: str, bins: Iterable[Bin]) -> None:
    """Write the bins of one run beside its table, whole and durably, in place of what the run had there.

    To be called before the run's row is appended: a sweep killed between the two repeats the run.

    Parameters
    ----------
    table : Path or str
        The runs table.
    spec_hash : str
        Hash of the run's specification.
    bins : iterable of Bin
        All bins of each way of sorting.

    Raises
    ------
    RunsTableError
        If the bins are not complete or not in range, or the file has other columns.
    OSError
        If the disk is full or the folder cannot be written; the file is then as before.
    """
    from filelock import FileLock  # only writing needs it: a core install reads tables without

    path = runs.measures_path(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame([{"spec_hash": spec_hash} | asdict(one) for one in bins], columns=list(COLUMNS))
    # Six digits are far below the error that the finite sample leaves.
    added = frame.to_csv(index=False, header=False, float_format="%.6g", lineterminator="\n")
    _parse(_HEADER + added, path.name)
    with FileLock(path.with_name(f".{path.name}.lock")):
        content = by_hash(path.read_text(encoding="utf-8"), path.name) if path.exists() else _HEADER
        if not content.endswith("\n"):
            raise runs.RunsTableError(f"{path.name}: its last line is torn: restore it, or move it away")
        lines = content.splitlines(keepends=True)
        own = [number for number, line in enumerate(lines) if line.startswith(f"{spec_hash},")]
        # In the same place: a run that is repeated to the bit then leaves the file, and its hash, as they were.
        before = lines[: own[0]] if own else lines
        after = [line for line in lines[len(before) :] if not line.startswith(f"{spec_hash},")]
        runs.replace_file(path, "".join([*before, added, *after]))


def calibration_error(count: ArrayLike, expected: ArrayLike, outcome: ArrayLike) -> float:
    """Sum up bins as one expected calibration error (ECE, App E.8).

    Parameters
    ----------
    count : array_like
        Positions in each bin [m].
    expected : array_like
        Mean confidence in each bin [m].
    outcome : array_like
        What is held against it [m]: mean accuracy, agreement with the teacher's likeliest token, or the mean
        confidence of the other model (ECE_dist). Empty bins may hold anything.

    Returns
    -------
    float
        Mean of abs(expected - outcome) over positions, a share; NaN without any position.
    """
    weight = np.asarray(count, dtype=np.float64)
    gap = np.abs(np.asarray(expected, dtype=np.float64) - np.asarray(outcome, dtype=np.float64))
    filled = weight > 0
    if not filled.any():
        return float("nan")
    return float(np.average(gap[filled], weights=weight[filled]))


def _parse(content: str, source: str) -> pd.DataFrame:
    torn = runs.torn_line(content)
    if torn is not None:
        raise runs.RunsTableError(f"{source}: {torn}; distill_lib.runs.repair(path) sets it aside")
    frame = pd.read_csv(io.StringIO(content), dtype="string", keep_default_na=False, na_values=[""])
    try:
        typed = SCHEMA.validate(frame, lazy=True)
    except SchemaErrors as error:
        case = error.failure_cases.iloc[0]
        place = f"column {case['column']}" + ("" if pd.isna(case["index"]) else f", row {int(case['index'])}")
        raise runs.RunsTableError(f"{source}: {place}: {case['failure_case']}; {case['check']}") from None
    for (run, by), part in typed.groupby(["spec_hash", "by"], sort=False):
        wanted = BINS_BY[str(by)]
        if part["bin"].tolist() != list(range(wanted)):
            raise runs.RunsTableError(
                f"{source}: {run} has bins {part['bin'].tolist()} by {by}, expected 0 to {wanted - 1}, in order"
            )
    empty = typed["count"] == 0
    wrong = typed[list(MEANS)].isna().ne(empty, axis=0).any(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise runs.RunsTableError(
            f"{source}: row {row} ({typed['spec_hash'].iloc[row]}): a bin has means exactly if it is not empty"
        )
    return typed
