"""The runs table, which lies between the two wings: one row per training run, with units and provenance.

The table is a CSV file, made complete or not at all: every row is appended by writing a new file beside
the old one and moving it into place. Beside ``smoke.csv`` lies ``smoke.manifest.json`` with the command,
commit, versions and full specifications that made it. The columns are described in ``data/README.md``.
"""

import csv
import errno
import importlib.util
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

_COUNT_REMEDY = "a raw count is expected (1.2 billion is 1200000000)"


class RunsTableError(ValueError):
    """A runs table, or a row for one, is not what it should be."""


def _between(low: float, high: float, remedy: str) -> pa.Check:
    return pa.Check.in_range(low, high, error=remedy)


def _one_of(*values: str) -> pa.Check:
    return pa.Check.isin(values, error=f"expected one of {', '.join(values)}")


def _column(dtype: Any, *checks: pa.Check, nullable: bool = False, unique: bool = False) -> pa.Column:
    return pa.Column(dtype, list(checks), nullable=nullable, unique=unique, coerce=True)


_PARAMETERS = _between(100, 1e15, f"non-embedding parameters: {_COUNT_REMEDY}")
_TOKENS = _between(100, 1e18, f"training tokens: {_COUNT_REMEDY}")
_LOSS = pa.Check.greater_than(0, error="a cross-entropy in nats per token is above 0")
_ERROR = _between(0, 1, "expected calibration error as a share, not in percent")
_SHARE = _between(0, 1, "expected a share in [0, 1]")
_POSITIVE = pa.Check.greater_than(0, error="expected a value above 0")
_NOT_NEGATIVE = pa.Check.greater_than_or_equal_to(0, error="expected a value of 0 or more")
_HASH = pa.Check.str_matches(r"^[0-9a-f]{12}$", error="expected 12 hex digits")

#: Columns in order, each with its type and what it must satisfy; units are in ``data/README.md``.
SCHEMA = pa.DataFrameSchema(
    {
        "run": _column("string", unique=True),
        "protocol": _column("string"),
        "objective": _column("string", _one_of("supervised", "distilled")),
        "split": _column("string", _one_of("teacher", "student")),
        "corpus": _column("string"),
        "n_layers": _column("int64", _between(1, 1e4, "a number of layers")),
        "d_model": _column("int64", _between(1, 1e6, "a width")),
        "seq_len": _column("int64", _between(1, 1e7, "a context in tokens")),
        "vocab_size": _column("int64", _between(2, 1e7, "a number of tokens")),
        "N": _column("int64", _PARAMETERS),
        "D": _column("int64", _TOKENS),
        "epochs": _column("float64", _POSITIVE, nullable=True),
        "L": _column("float64", _LOSS, nullable=True),
        "L_se": _column("float64", _NOT_NEGATIVE, nullable=True),
        "accuracy": _column("float64", _SHARE, nullable=True),
        "teacher_run": _column("string", nullable=True),
        "N_T": _column("Int64", _PARAMETERS, nullable=True),
        "D_T": _column("Int64", _TOKENS, nullable=True),
        "L_T": _column("float64", _LOSS, nullable=True),
        "lam": _column("float64", _SHARE, nullable=True),
        "tau": _column("float64", _POSITIVE, nullable=True),
        "direction": _column("string", _one_of("forward", "reverse", "jensen_shannon"), nullable=True),
        "beta": _column("float64", _SHARE, nullable=True),
        "truncation": _column("string", nullable=True),
        "distilled_share": _column("float64", _SHARE, nullable=True),
        "lr": _column("float64", _POSITIVE),
        "seed": _column("int64", _NOT_NEGATIVE),
        "status": _column("string", _one_of("ok", "diverged")),
        "kl_teacher": _column("float64", _NOT_NEGATIVE, nullable=True),
        "agreement": _column("float64", _SHARE, nullable=True),
        "ece": _column("float64", _ERROR, nullable=True),
        "ece_teacher": _column("float64", _ERROR, nullable=True),
        "tokens_per_s": _column("float64", _POSITIVE),
        "flops": _column("float64", _POSITIVE),
        "device": _column("string"),
        "seconds": _column("float64", _POSITIVE),
        "commit": _column("string"),
        "spec_hash": _column("string", _HASH),
    },
    strict=True,
    ordered=True,
)
COLUMNS = tuple(SCHEMA.columns)
#: Teacher without a row of its own: the truth of a language of known entropy, whose loss is the entropy rate.
ORACLE = "oracle"
_SURE_OF_THE_WRONG = 0.05  # calibration error, a share
_OF_A_PAIR = ("teacher_run", "N_T", "D_T", "L_T", "lam", "tau", "direction")
_OF_A_STUDENT = ("beta", "truncation", "distilled_share", "kl_teacher", "agreement", "ece_teacher")


def empty() -> pd.DataFrame:
    """Make a runs table without rows.

    Returns
    -------
    DataFrame
        All columns, typed.
    """
    dtypes = {name: str(column.dtype) for name, column in SCHEMA.columns.items()}
    return validate(pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in dtypes.items()}))


def read(path: Path | str) -> pd.DataFrame:
    """Read and validate a runs table.

    Parameters
    ----------
    path : Path or str
        A ``.csv`` file, or ``.parquet`` where pyarrow is installed.

    Returns
    -------
    DataFrame
        The rows, one per run.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RunsTableError
        If a line is torn, or a value is not what its column holds: names column, row, value and remedy.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return validate(read_parquet(path), source=path.name)
    return validate(_parse(path.read_text(encoding="utf-8"), path.name), source=path.name)


def read_parquet(path: Path | str) -> pd.DataFrame:
    """Read a Parquet file, of whatever columns.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    DataFrame
        Its rows.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        Without pyarrow, naming the package to install.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if importlib.util.find_spec("pyarrow") is None:
        raise ModuleNotFoundError(
            f'{path.name}: Parquet needs pyarrow; run: pip install "distill-lib[parquet]", or use CSV'
        )
    return pd.read_parquet(path, engine="pyarrow")


def header(path: Path | str) -> list[str]:
    """Read the names of the columns of a table, whatever table it is.

    Parameters
    ----------
    path : Path or str
        A text file with commas, or ``.parquet`` where pyarrow is installed.

    Returns
    -------
    list of str
        The names; empty for an empty file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return [str(name) for name in read_parquet(path).columns]
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader([file.readline()]), [])


def recognises(names: Iterable[str]) -> bool:
    """Tell whether a table means to be a runs table of ours, by its header.

    Parameters
    ----------
    names : iterable of str
        Names of columns.

    Returns
    -------
    bool
        Whether it has most of our columns; one that lacks a few is ours still, and to be mended.
    """
    return 2 * len(set(names) & set(COLUMNS)) > len(COLUMNS)


def _parse(content: str, source: str) -> pd.DataFrame:
    """Read CSV text as text fields, without a look at what they hold."""
    torn = torn_line(content)
    if torn is not None:
        raise RunsTableError(f"{source}: {torn}; distill_lib.runs.repair(path) sets it aside")
    if not content.strip():
        raise RunsTableError(f"{source} is empty, without a line of column names: remove it, or restore it")
    return pd.read_csv(io.StringIO(content), dtype="string", keep_default_na=False, na_values=[""])


def validate(frame: pd.DataFrame, source: str = "runs table") -> pd.DataFrame:
    """Check a runs table and give its columns their types.

    Parameters
    ----------
    frame : DataFrame
        The rows; columns in any order.
    source : str
        What to call the table in an error.

    Returns
    -------
    DataFrame
        The same rows, typed, with columns in the order of the schema.

    Raises
    ------
    RunsTableError
        Names the first column, row and value that are wrong, and the remedy.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in COLUMNS]
    if missing or unknown:
        faults = [f"no column {name!r}" for name in missing]
        faults += [f"unknown column {name!r}" for name in unknown]
        raise RunsTableError(f"{source}: {', '.join(faults)}; see data/README.md")
    try:
        typed = SCHEMA.validate(frame[list(COLUMNS)].reset_index(drop=True), lazy=True)
    except SchemaErrors as error:
        raise RunsTableError(f"{source}: {_first_failure(error.failure_cases, frame)}") from None
    for row, reason in _contradictions(typed):
        raise RunsTableError(f"{source}, row {row} ({typed['run'].iloc[row]}): {reason}")
    return typed


#: What pandera calls its own checks, in words that help.
_REMEDIES = {"not_nullable": "a value is needed", "field_uniqueness": "another row has the same name"}


def _first_failure(cases: pd.DataFrame, frame: pd.DataFrame) -> str:
    """Turn pandera's table of failures into one sentence about the first of them."""
    case = cases.iloc[0]
    check = str(case["check"])
    remedy = _REMEDIES.get(check, check)
    column, row = str(case["column"]), case["index"]
    place = f"column {column}" + ("" if pd.isna(row) else f", row {int(row)}")
    value = case["failure_case"] if pd.isna(row) else frame[column].iloc[int(row)]
    if remedy.startswith(("coerce_dtype", "dtype")):
        expected = SCHEMA.columns[column]
        whole = "whole " if "int" in str(expected.dtype).lower() else ""
        hints = [str(hint.error) for hint in expected.checks]
        remedy = "; ".join([f"expected a {whole}number", *hints])
        if pd.isna(value):
            remedy = _REMEDIES["not_nullable"]
    return f"{place}: {'empty' if pd.isna(value) else value}; {remedy}"


def _contradictions(frame: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Find what is wrong between columns, or between a student and its teacher."""
    losses = dict(zip(frame["run"], frame["L"], strict=True))
    for i, row in enumerate(frame.to_dict("records")):
        given = [name for name in _OF_A_PAIR if not pd.isna(row[name])]
        refined = [name for name in _OF_A_STUDENT if not pd.isna(row[name])]
        if row["objective"] == "supervised" and given + refined:
            given = given + refined
            yield i, f"a supervised run with {', '.join(given)}"
        # An oracle has no parameters and has read nothing.
        oracle = str(row["teacher_run"]) == ORACLE
        needed = set(_OF_A_PAIR) - ({"N_T", "D_T"} if oracle else set())
        if row["objective"] == "distilled" and needed - set(given):
            yield i, f"a distilled run without {', '.join(sorted(needed - set(given)))}"
        if row["objective"] == "distilled" and set(given) - needed:
            yield i, f"an oracle with {', '.join(sorted(set(given) - needed))}: leave them empty"
        if oracle and not row["corpus"].startswith("language-"):
            yield i, f"an oracle for {row['corpus']}: only a language of known entropy has one"
        if row["status"] == "ok" and (pd.isna(row["L"]) or not math.isfinite(row["L"])):
            yield i, f'L is {row["L"]}; a run without a finite loss has status "diverged"'
        if row["status"] == "diverged" and not pd.isna(row["L"]):
            yield i, f"L is {row['L']}, but the run diverged: leave L empty"
        # Worse than a blind guess is a model that is sure of what is wrong, as its calibration error tells, or that
        # was shown a few tokens alone. Of a teacher the same is asked in its own row.
        sure = row["ece"] >= _SURE_OF_THE_WRONG or not pd.isna(row["truncation"])
        for name in ["L"] * (not sure) + ["L_T"] * oracle:
            if not pd.isna(row[name]) and row[name] > 1.2 * math.log(row["vocab_size"]):
                blind = f"{math.log(row['vocab_size']):.3f} = ln(vocab_size), the loss of a blind guess"
                yield i, f"{name} = {row[name]:g} is far above {blind}: is it in bits? multiply bits by ln 2"
        teacher = row["teacher_run"]
        if not pd.isna(teacher) and not oracle:
            if teacher not in losses:
                yield i, f"its teacher {teacher} is not in the table"
            elif row["L_T"] != losses[teacher]:
                yield i, f"L_T = {row['L_T']}, but its teacher has L = {losses[teacher]}"


def append(path: Path | str, row: Mapping[str, Any]) -> None:
    """Append one run to a table, whole and durably, also when several processes append at once.

    Parameters
    ----------
    path : Path or str
        The ``.csv`` file; made with its header if it is not there.
    row : mapping
        Value by column; columns left out are empty.

    Raises
    ------
    RunsTableError
        If the row contradicts the schema or the rows that are there, or a line of the table is torn.
    OSError
        If the disk is full or the folder cannot be written; the table is then as before.
    """
    from filelock import FileLock  # only writing needs it: a core install reads tables without

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        unknown = set(row) - set(COLUMNS)
        if unknown:
            raise RunsTableError(f"{path.name}: unknown column {', '.join(sorted(unknown))}")
        line = pd.DataFrame([{name: row.get(name) for name in COLUMNS}], dtype=object)
        content = path.read_text(encoding="utf-8") if path.exists() else ",".join(COLUMNS) + "\n"
        # The new row is read back with the others: what is checked is what will be in the file.
        both = _parse(content + line.to_csv(index=False, header=False, lineterminator="\n"), path.name)
        frame = validate(both, source=path.name)
        replace_file(path, to_csv(frame))


def to_csv(frame: pd.DataFrame) -> str:
    """Write a runs table as CSV text that reads back to the same bits.

    Parameters
    ----------
    frame : DataFrame
        A validated runs table.

    Returns
    -------
    str
        Header and one line per run, each ended by a newline.
    """
    text = frame.to_csv(index=False, lineterminator="\n")
    return str(text)


def repair(path: Path | str) -> str | None:
    """Set a torn last line of a table aside, so that the table can be read and its run repeated.

    Parameters
    ----------
    path : Path or str
        The ``.csv`` file.

    Returns
    -------
    str or None
        What was set aside, kept in ``<name>.torn``; None if the table is whole.
    """
    path = Path(path)
    content = path.read_text(encoding="utf-8")
    if torn_line(content) is None:
        return None
    whole = content[: content.rstrip("\n").rfind("\n") + 1]
    torn = content[len(whole) :]
    with path.with_name(f"{path.name}.torn").open("a", encoding="utf-8") as aside:
        aside.write(torn.rstrip("\n") + "\n")
    if not whole:
        path.unlink()
    else:
        replace_file(path, whole)
    return torn


def torn_line(content: str) -> str | None:
    """Say which line is torn: one without its newline, or with other fields than the header has names.

    Parameters
    ----------
    content : str
        A table as CSV text.

    Returns
    -------
    str or None
        Its number and what is wrong; None if all lines are whole.
    """
    width = 0
    for number, fields in enumerate(csv.reader(io.StringIO(content)), start=1):
        width = width or len(fields)
        if len(fields) != width:
            return f"line {number} is torn: {len(fields)} fields instead of {width}"
    if content and not content.endswith("\n"):
        return f"line {content.count(chr(10)) + 1} is torn: it does not end"
    return None


def manifest_path(path: Path | str) -> Path:
    """Tell where the manifest of a table lies.

    Parameters
    ----------
    path : Path or str
        The table.

    Returns
    -------
    Path
        ``smoke.manifest.json`` for ``smoke.csv``.
    """
    return Path(path).with_suffix(".manifest.json")


def measures_path(path: Path | str) -> Path:
    """Tell where the measures by bin of a table lie, which `distill_lib.measures` reads; older tables have none.

    Parameters
    ----------
    path : Path or str
        The table.

    Returns
    -------
    Path
        ``smoke.measures.csv`` for ``smoke.csv``.
    """
    return Path(path).with_suffix(".measures.csv")


def write_manifest(path: Path | str, content: Mapping[str, Any]) -> None:
    """Write where a table comes from, with the hash of the table itself and of the measures beside it.

    Parameters
    ----------
    path : Path or str
        The table.
    content : mapping
        Command, commit, versions and specifications; anything that JSON can hold.
    """
    path = Path(path)
    whole = {"table": path.name, "sha256": sha256(path.read_bytes()).hexdigest()}
    beside = measures_path(path)
    if beside.exists():
        whole["measures_sha256"] = sha256(beside.read_bytes()).hexdigest()
    whole |= content
    replace_file(manifest_path(path), json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


def read_manifest(path: Path | str) -> dict[str, Any]:
    """Read the manifest of a table, whatever became of the table.

    Parameters
    ----------
    path : Path or str
        The table, there or not.

    Returns
    -------
    dict
        Hashes, sweeps and specifications.

    Raises
    ------
    RunsTableError
        If it is damaged.
    """
    beside = manifest_path(path)
    try:
        manifest = json.loads(beside.read_text(encoding="utf-8"))
        if not isinstance(manifest["sha256"], str):
            raise TypeError("its sha256 is no text")
    except (ValueError, KeyError, TypeError) as error:
        raise RunsTableError(
            f"{beside.name} is damaged ({type(error).__name__}: {error}): restore it, or move it away; the next "
            "sweep then begins a new one"
        ) from None
    return dict(manifest)


def accept(path: Path | str) -> None:
    """Let the manifest of a table describe the table and its measures as they are now, after a change that was meant.

    Parameters
    ----------
    path : Path or str
        The table.

    Raises
    ------
    RunsTableError
        If the table is not valid, or the manifest is damaged.
    """
    path = Path(path)
    read(path)
    hashes = ("table", "sha256", "measures_sha256")
    content = {name: value for name, value in read_manifest(path).items() if name not in hashes}
    write_manifest(path, content)


def verify_manifest(path: Path | str) -> dict[str, Any]:
    """Read the manifest of a table and check that table and measures are those that it describes.

    Parameters
    ----------
    path : Path or str
        The table.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    RunsTableError
        If the table or its measures by bin were changed since, or the manifest is damaged.
    """
    path = Path(path)
    manifest = read_manifest(path)
    if sha256(path.read_bytes()).hexdigest() != manifest["sha256"]:
        raise RunsTableError(f"{path.name} differs from its manifest: it was changed by hand, or is in use")
    beside = measures_path(path)
    found = sha256(beside.read_bytes()).hexdigest() if beside.exists() else None
    if found != manifest.get("measures_sha256"):
        state = "is missing" if found is None else "differs from its manifest"
        raise RunsTableError(f"{beside.name} {state}: it was changed by hand, or is in use")
    return manifest


def replace_file(path: Path, content: str) -> None:
    """Put a file in place of another, durably: after a crash there is the old one or the new one.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : str
        What it is to hold.
    """
    with _draft_beside(path) as draft:
        with draft.open("w", newline="", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _draft_beside(path: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    draft = Path(name)
    draft.chmod(0o644)
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
