"""A fitted law as a file: JSON with the law, what the fit says of itself, and its intervals and draws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill_lib import runs
from distill_lib.scaling.fits import DistillationFit, SupervisedFit
from distill_lib.scaling.law_files import FORMAT
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw
from distill_lib.scaling.uncertainty import Bootstrap

DRAWS = 400
"""How many laws of a bootstrap are kept: enough for intervals of a plan."""


def save_fit(
    path: str | Path,
    fit: SupervisedFit | DistillationFit,
    bootstrap: Bootstrap | None = None,
    *,
    level: float = 0.9,
) -> Path:
    """Save a fit, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file, ``.json``.
    fit : SupervisedFit or DistillationFit
        What to save.
    bootstrap : Bootstrap, optional
        Its resamples: intervals and the first laws are saved too.
    level : float
        Coverage of the intervals.

    Returns
    -------
    Path
        The file.
    """
    path = Path(path)
    content: dict[str, Any] = {"format": FORMAT, **fit.to_dict()}
    form = fit.problem.form
    N, D = (np.exp(axis + middle) for axis, middle in zip((form.x, form.y), form.centre[:2], strict=True))
    size, tokens = ("N", "D") if isinstance(fit, SupervisedFit) else ("N_S", "D_S")
    content["fitted_range"] = {
        size: [float(N.min()), float(N.max())],
        tokens: [float(D.min()), float(D.max())],
    }
    if bootstrap is not None:
        content["intervals"] = {"level": level, "coefficients": bootstrap.intervals(level).to_dict("index")}
        laws = [law.to_dict() for law in bootstrap.laws(DRAWS)]
        if bootstrap.supervised is None and not isinstance(fit, SupervisedFit):
            for law in laws:
                del law["supervised"]  # the same in all: that of the law itself
        content["draws"] = laws
    runs.replace_file(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return path


def load_law(path: str | Path) -> SupervisedLaw | DistillationLaw:
    """Read the law of a saved fit.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    SupervisedLaw or DistillationLaw
        The law.

    Raises
    ------
    ValueError
        If the file is no saved law, saying why.
    FileNotFoundError
        If there is no such file.
    """
    content = _content(Path(path))
    kinds: dict[str, type[SupervisedLaw | DistillationLaw]] = {
        "supervised": SupervisedLaw,
        "distillation": DistillationLaw,
    }
    try:
        return kinds[content["kind"]].from_dict(content["law"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{Path(path).name} holds no law: {error}; save one with: distill-lib fit ... --save"
        ) from None


def load_draws(path: str | Path) -> list[SupervisedLaw | DistillationLaw]:
    """Read the laws of the resamples that were saved with a fit.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    list of SupervisedLaw or DistillationLaw
        Empty if none were saved.
    """
    law = load_law(path)
    rows = _content(Path(path)).get("draws", [])
    if isinstance(law, DistillationLaw):
        base = law.supervised.to_dict()
        return [DistillationLaw.from_dict({"supervised": base, **row}) for row in rows]
    return [SupervisedLaw.from_dict(row) for row in rows]


@dataclass(frozen=True)
class Reach:
    """How far a saved law can be trusted.

    Parameters
    ----------
    fitted_range : mapping of str to (float, float)
        Lowest and highest value of each quantity that the fit keeps.
    mean_error : float or None
        Mean relative error of the law on its runs.
    status : str
        What the fit says of itself; empty if it says nothing.
    """

    fitted_range: Mapping[str, tuple[float, float]]
    mean_error: float | None
    status: str


def load_reach(path: str | Path) -> Reach:
    """Read how far the law of a saved fit can be trusted.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Reach
        Its ranges, its mean error and its status, as far as the file has them.

    Raises
    ------
    ValueError
        If the file is no saved law, or its ranges or its error are no numbers.
    FileNotFoundError
        If there is no such file.
    """
    load_law(path)
    content = _content(Path(path))
    try:
        ranges = {
            name: (float(low), float(high)) for name, (low, high) in content.get("fitted_range", {}).items()
        }
        error = content.get("mean_error")
        return Reach(ranges, None if error is None else float(error), str(content.get("status", "")))
    except (AttributeError, TypeError, ValueError) as fault:
        raise ValueError(
            f"{Path(path).name} does not say what it was fitted on: {fault}; save the law again with: "
            "distill-lib fit ... --save"
        ) from None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path.name} is no JSON ({error}); save a law with: distill-lib fit ... --save"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path.name} is no saved law ({FORMAT!r}); save one with: distill-lib fit ... --save"
        )
    return content
