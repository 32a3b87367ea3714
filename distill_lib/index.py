"""The figure index: every figure and table of the paper, what draws it here, where, and how far it agrees.

Which function draws a figure follows from its name, and which chapter shows it from the notebooks. The
verdicts are judged by hand and lie in ``data/figure_verdicts.csv``; what nothing draws yet stands as open.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Literal

import pandas as pd

from distill_lib import figures, paper

Verdict = Literal["same", "trend", "differs", "not testable here", "open"]
Kind = Literal["published law", "our runs", "simulated", "closed form", "not yet"]

VERDICTS: tuple[Verdict, ...] = ("same", "trend", "differs", "not testable here", "open")
"""From agreement to what is still to be done, as in the claims ledger."""

KINDS: tuple[Kind, ...] = ("published law", "our runs", "simulated", "closed form", "not yet")
"""What a figure is drawn from."""

_FUNCTION = re.compile(r"fig(\d{2})([a-c]?)_\w+")
# Panels that a function named after another figure draws.
_ALSO = {"38a": ("02", ""), "38b": ("03", "a")}
_STORED = re.compile(r"[a-z_]+")
_FILE = "figure_verdicts.csv"

_WAITS_FOR = {
    "law": "a function that draws it",
    "law_and_runs": "a function that draws it",
    "closed_form": "a function that draws it",
    "runs": "runs of our own",
    "training": "the appendix's small trainings",
}


def figure_index(notebooks: str | Path | None = None) -> pd.DataFrame:
    """List every figure and table of the paper with its function, its chapter and the verdict.

    Parameters
    ----------
    notebooks : str or Path, optional
        Folder of the chapters, looked through for calls; without it no chapter is named.

    Returns
    -------
    pandas.DataFrame
        One row per figure entry, then one per table: figure, title, place, kind, function, chapter,
        verdict, reason. Several functions or chapters are separated by blanks; what there is not is an empty string.

    Raises
    ------
    FileNotFoundError
        If the folder of the chapters does not exist.
    """
    code = _code_of(notebooks)
    judged = verdicts().set_index("figure")
    rows = []
    for row in paper.table("figures").to_dict("records"):
        functions = _functions_of(row["figure"])
        finding = _finding(judged, row["figure"], _WAITS_FOR[row["data"]])
        where = (row["title"], row["place"], " ".join(functions), _chapters(code, *functions))
        rows.append((row["figure"], *where, *finding))
    for row in paper.table("tables").to_dict("records"):
        name, stored = f"Table {row['table']}", row["stored_in"]
        function = f'paper.table("{stored}")' if _STORED.fullmatch(stored) else ""
        where = (row["content"], row["place"], function, _chapters(code, function))
        rows.append((name, *where, *_finding(judged, name, "runs of our own")))
    columns = ["figure", "title", "place", "function", "chapter", "kind", "verdict", "reason"]
    order = ["figure", "title", "place", "kind", "function", "chapter", "verdict", "reason"]
    return pd.DataFrame(rows, columns=columns)[order]


def verdicts() -> pd.DataFrame:
    """Return the judgements made by hand.

    Returns
    -------
    pandas.DataFrame
        Columns figure, kind, verdict and reason, all text.

    Raises
    ------
    FileNotFoundError
        If the table is neither beside the package nor in it.
    """
    here = Path(__file__).resolve().parent
    for path in (here.parent / "data" / _FILE, here / "_data" / _FILE):
        if path.is_file():
            return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    raise FileNotFoundError(
        f"{_FILE} is missing: it lies neither in data beside the package nor in _data inside it; install "
        "distill-lib again, or run from a full checkout"
    )


def _finding(judged: pd.DataFrame, name: str, waits_for: str) -> tuple[str, str, str]:
    """Return kind, verdict and reason."""
    if name in judged.index:
        row = judged.loc[name]
        return str(row["kind"]), str(row["verdict"]), str(row["reason"])
    return "not yet", "open", f"waits for {waits_for}"


def _functions_of(figure: str) -> tuple[str, ...]:
    """Return the names of the functions that draw an entry such as 9 or 36a; of the panel's own first."""
    number, panel = _ALSO.get(figure, (f"{int(figure.rstrip('abc')):02d}", figure.lstrip("0123456789")))
    known = _functions()
    return (*known.get((number, panel), ()), *(known.get((number, ""), ()) if panel else ()))


@functools.cache
def _functions() -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name in figures.__all__:
        match = _FUNCTION.fullmatch(name)
        if match:
            found[match[1], match[2]] = (*found.get((match[1], match[2]), ()), name)
    return found


def _code_of(notebooks: str | Path | None) -> dict[str, str]:
    """Return the code of each chapter by its name, in the order of the names."""
    if notebooks is None:
        return {}
    folder = Path(notebooks)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"notebooks = {str(notebooks)!r} is no folder; give the one with the chapters"
        )
    code = {}
    for path in sorted(folder.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code[path.stem] = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    return code


def _chapters(code: dict[str, str], *functions: str) -> str:
    """Return the chapters that call one of the functions, separated by blanks."""
    return " ".join(
        name for name, text in code.items() if any(function and function in text for function in functions)
    )
