"""What a plan is asked for: every argument checked, one by one, and turned into a plain question.

What is wrong with the arguments together is said by :mod:`distill_lib.scaling.answers`, which also answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill_lib import paper
from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.laws import READINGS, DistillationLaw, published_law

SCENARIOS = tuple(formulas.SCENARIOS)
"""Names of the four scenarios (Table 2), cheapest teacher first."""

Teacher = float | Sequence[float]


def checked_law(law: DistillationLaw | None) -> DistillationLaw:
    """Return the law to plan with: the one given, or the published one.

    Parameters
    ----------
    law : DistillationLaw or None
        The law a caller gave.

    Returns
    -------
    DistillationLaw
        The law, the reconciled reading of the published one by default.

    Raises
    ------
    ValueError
        For anything else.
    """
    if law is None:
        return published_law()
    if not isinstance(law, DistillationLaw):
        raise ValueError(f"law = {law!r} is no DistillationLaw; take published_law() or a fit's law")
    return law


@dataclass(frozen=True)
class Question:
    """The checked arguments of ``plan``.

    Parameters
    ----------
    plain : dict
        The question as :mod:`distill_lib.scaling.answers` takes it.
    law : DistillationLaw
        The law to plan with.
    asked : mapping
        The arguments as a plan remembers them.
    """

    plain: dict[str, Any]
    law: DistillationLaw
    asked: Mapping[str, Any]


def checked_question(**given: Any) -> Question:
    """Check every argument of ``plan`` on its own.

    Parameters
    ----------
    **given : object
        The arguments, all of them.

    Returns
    -------
    Question
        The question.

    Raises
    ------
    ValueError
        Naming the argument, the value, the valid range and the remedy.
    """
    law = checked_law(given["law"])
    plain: dict[str, Any] = {"N_S": _checks.one("N_S", given["N_S"])}
    for name, kind in (("C", "C"), ("target_loss", "L"), ("D_S", "D"), ("max_D_S", "D"), ("max_D_T", "D")):
        plain[name] = None if given[name] is None else _checks.one(name, given[name], kind)
    plain["scenario"] = _checks.choice("scenario", given["scenario"], SCENARIOS)
    plain["deltas"] = None if given["deltas"] is None else _checked_deltas(given["deltas"])
    for name, low, high, remedy in _NUMBERS:
        plain[name] = _checks.number(name, given[name], low, high, remedy)
    plain["context"], plain["vocabulary"] = int(plain["context"]), int(plain["vocabulary"])
    plain["accuracy"] = (
        paper.law_accuracy()
        if given["accuracy"] is None
        else _checks.number(
            "accuracy", given["accuracy"], 0.0, 1.0, "give a relative error such as 0.01 for one percent"
        )
    )
    plain["teachers"] = None if given["teachers"] is None else checked_teachers(given["teachers"])
    plain |= {"law": law.to_dict(), "ranges": checked_range(given["fitted_range"], law)}
    asked = {name: _remembered(value) for name, value in given.items() if name not in _NOT_ASKED}
    return Question(plain, law, asked)


_NUMBERS = (
    ("students_sharing", 1.0, 1e12, "count the students, 1 at least"),
    ("inference_tokens", 0.0, 1e30, "give a raw count such as 1e12, or 0"),
    ("context", 1, 1e9, "give tokens of context, such as 4096"),
    ("vocabulary", 2, 1e9, "count the tokens it has"),
)


def _checked_deltas(given: Any) -> tuple[float, float]:
    if not hasattr(given, "__len__") or len(given) != 2:
        raise ValueError(f"deltas = {given!r}; give two parts (logits, pretraining)")
    logits, pretraining = (
        _checks.number(f"deltas[{i}]", value, 0.0, 1.0, "it is the part this student pays for")
        for i, value in enumerate(given)
    )
    return logits, pretraining


def checked_teachers(given: Any) -> list[list[float | None]]:
    """Return a row for each given teacher.

    Parameters
    ----------
    given : sequence
        Each a loss, (N_T, D_T) or (N_T, D_T, L_T).

    Returns
    -------
    list of list
        [N_T, D_T, L_T], None for what was not said.

    Raises
    ------
    ValueError
        For what is no teacher.
    """
    if not hasattr(given, "__len__") or len(given) == 0:
        raise ValueError(f"teachers = {given!r}; give a list of losses, (N_T, D_T) or (N_T, D_T, L_T)")
    rows: list[list[float | None]] = []
    for i, teacher in enumerate(given):
        name = f"teachers[{i}]"
        if np.ndim(teacher) == 0:
            rows.append([None, None, _checks.one(name, teacher, "L")])
            continue
        values = list(np.ravel(np.asarray(teacher, dtype=object)))
        if len(values) not in (2, 3):
            raise ValueError(f"{name} = {teacher!r}; give a loss, (N_T, D_T) or (N_T, D_T, L_T)")
        kinds = zip(("N_T", "D_T", "L_T"), values, strict=False)
        row = [_checks.one(f"{name} {part}", value, part[0]) for part, value in kinds]
        rows.append([*row, None] if len(row) == 2 else [*row])
    return rows


_NOT_ASKED = ("law", "accuracy", "fitted_range")  # a plan has fields of its own for them


def _remembered(value: Any) -> Any:
    """Return an argument as plain numbers and tuples, as a plan keeps it."""
    if isinstance(value, (str, int)) or value is None:
        return value
    if hasattr(value, "__len__"):
        return tuple(_remembered(each) for each in value)
    return float(value)


def checked_range(
    given: Mapping[str, Sequence[float]] | None, law: DistillationLaw
) -> Mapping[str, tuple[float, float]]:
    """Return what the law was fitted on: as given, the paper's for its own law, or nothing.

    Parameters
    ----------
    given : mapping or None
        Lowest and highest value by quantity.
    law : DistillationLaw
        The law.

    Returns
    -------
    mapping
        Checked ends.

    Raises
    ------
    ValueError
        For unknown quantities, and ends that are none.
    """
    known = paper.fitted_ranges()
    if given is None:
        return known if law.name in READINGS else {}
    checked = {}
    for name, ends in given.items():
        _checks.choice("fitted_range (quantity)", name, known)
        low, high = (_checks.one(f"fitted_range {name}", end, name[0]) for end in _pair(name, ends))
        if low > high:
            raise ValueError(f"fitted_range {name} = ({low:g}, {high:g}) falls; give (lowest, highest)")
        checked[name] = (low, high)
    return checked


def _pair(name: str, ends: Sequence[float]) -> Sequence[float]:
    if not hasattr(ends, "__len__") or len(ends) != 2:
        raise ValueError(f"fitted_range {name} = {ends!r} is no pair; give (lowest, highest)")
    return ends
