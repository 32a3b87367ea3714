"""Our own runs table as observations: strictly checked, split by objective, diverged runs set aside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from distill_lib import runs
from distill_lib.observations.files import Source
from distill_lib.observations.findings import Finding

#: What our columns are called in a fit, where that is not their name.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "supervised": {"flops": "C"},
    "distillation": {"N": "N_S", "D": "D_S", "L": "L_S", "flops": "C"},
}
_OBJECTIVES = {"supervised": "supervised", "distillation": "distilled"}
_SETTINGS = ("corpus", "split", "vocab_size", "seq_len", "lam", "tau", "direction")


def checked(source: Source, frame: pd.DataFrame) -> pd.DataFrame:
    """Validate a runs table as strictly as ``distill_lib.runs`` does.

    Parameters
    ----------
    source : str, Path, pandas.DataFrame or mapping
        What was to be read; a file is read again, torn lines and all.
    frame : pandas.DataFrame
        Its rows, if it is no file.

    Returns
    -------
    pandas.DataFrame
        The rows, typed.

    Raises
    ------
    RunsTableError
        Naming the first fault.
    """
    return runs.read(source) if isinstance(source, (str, Path)) else runs.validate(frame)


def set_aside(frame: pd.DataFrame, kind: str) -> tuple[dict[str, np.ndarray], list[Finding]]:
    """Tell which rows are not for a fit: the other objective, and runs that diverged.

    Parameters
    ----------
    frame : pandas.DataFrame
        A valid runs table.
    kind : {"supervised", "distillation"}
        Which law is to be fitted.

    Returns
    -------
    left_out : dict of str to numpy.ndarray of int
        Rows by reason; none is in two.
    findings : list of Finding
        A warning about diverged runs.
    """
    other = (frame["objective"] != _OBJECTIVES[kind]).to_numpy(dtype=bool)
    diverged = (frame["status"] == "diverged").to_numpy(dtype=bool) & ~other
    reasons = {f"objective is not {_OBJECTIVES[kind]}": other, "diverged": diverged}
    left_out = {reason: np.flatnonzero(rows) for reason, rows in reasons.items() if rows.any()}
    count = int(diverged.sum())
    said = f"{count} run{'' if count == 1 else 's'} diverged: left out"
    remedy = "a fit of the rest flatters the settings at which runs diverge"
    row = int(np.flatnonzero(diverged)[0]) if count else None
    return left_out, [
        Finding("warning", "diverged", said, remedy, "status", row, "diverged", count)
    ] if count else []


def mixed_settings(frame: pd.DataFrame) -> list[Finding]:
    """Note what else differs between runs that a fit will take as alike.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows that will be fitted.

    Returns
    -------
    list of Finding
        One note for each setting of more than one value.
    """
    findings = []
    for name in _SETTINGS:
        values = frame[name].dropna().unique()
        if len(values) > 1:
            said = f"runs differ in {name}: {', '.join(map(str, values[:5]))}"
            findings.append(
                Finding("note", "mixed", said, "a law holds for one setting; select rows to fit one", name)
            )
    return findings
