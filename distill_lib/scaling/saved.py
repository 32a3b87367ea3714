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


@dataclass(frozen=True)
class SavedFit:
    """What a saved fit holds, read at once.

    Parameters
    ----------
    law : SupervisedLaw or DistillationLaw
        The law.
    draws : tuple of SupervisedLaw or DistillationLaw
        The laws of its resamples; empty if none were saved.
    reach : Reach
        How far the law can be trusted.
    """

    law: SupervisedLaw | DistillationLaw
    draws: tuple[SupervisedLaw | DistillationLaw, ...]
    reach: Reach


def load_fit(path: str | Path) -> SavedFit:
    """Read all that a saved fit holds: its law, the laws of its resamples, and how far it can be trusted.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    SavedFit
        The law, its draws and its reach, as far as the file has them.

    Raises
    ------
    ValueError
        If the file is no saved law, or its draws are none, or its ranges or its error are no numbers, saying why.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    content = _content(path)
    law = _law(content, path.name)
    return SavedFit(law, _draws(content, law, path.name), _reach(content, path.name))


def load_law(path: str | Path) -> SupervisedLaw | DistillationLaw:
    """Read the law of a saved fit, and nothing else.

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
    path = Path(path)
    return _law(_content(path), path.name)


def load_draws(path: str | Path) -> list[SupervisedLaw | DistillationLaw]:
    """Read the laws of the resamples that were saved with a fit.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    list of SupervisedLaw or DistillationLaw
        Those of ``load_fit``; empty if none were saved.
    """
    path = Path(path)
    content = _content(path)
    return list(_draws(content, _law(content, path.name), path.name))


def load_reach(path: str | Path) -> Reach:
    """Read how far the law of a saved fit can be trusted.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Reach
        That of ``load_fit``, as far as the file has it.
    """
    path = Path(path)
    content = _content(path)
    _law(content, path.name)
    return _reach(content, path.name)


def _law(content: Mapping[str, Any], name: str) -> SupervisedLaw | DistillationLaw:
    kinds: dict[str, type[SupervisedLaw | DistillationLaw]] = {
        "supervised": SupervisedLaw,
        "distillation": DistillationLaw,
    }
    try:
        return kinds[content["kind"]].from_dict(content["law"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} holds no law: {error}; save one with: distill-lib fit ... --save") from None


def _draws(
    content: Mapping[str, Any], law: SupervisedLaw | DistillationLaw, name: str
) -> tuple[SupervisedLaw | DistillationLaw, ...]:
    """Return the laws of the resamples; those of a distillation fit may leave out a supervised law that all share."""
    shared = {"supervised": law.supervised.to_dict()} if isinstance(law, DistillationLaw) else {}
    try:
        return tuple(type(law).from_dict(shared | row) for row in content.get("draws", []))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} holds a draw that is no law: {error}; save the law again with: distill-lib fit ... --save"
        ) from None


def _reach(content: Mapping[str, Any], name: str) -> Reach:
    try:
        ranges = {
            quantity: (float(low), float(high))
            for quantity, (low, high) in content.get("fitted_range", {}).items()
        }
        error = content.get("mean_error")
        return Reach(ranges, None if error is None else float(error), str(content.get("status", "")))
    except (AttributeError, TypeError, ValueError) as fault:
        raise ValueError(
            f"{name} does not say what it was fitted on: {fault}; save the law again with: "
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
