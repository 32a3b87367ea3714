"""The paper's own runs at the paper's own size: what was trained, row by row, and what each row costs.

:func:`supervised_runs` lists 73 runs and :func:`distillation_runs` 697, the numbers that the two laws were
fitted to (App F). The paper names protocols, budgets, ratios, six teachers and four students (Sec 4.2,
App E.2, Figs 2 to 4 and 36); it does not list the sizes of a profile. What it leaves open is chosen here
from its table of architectures (Table 13) by rules, so that both counts come out exactly:

* Supervised, fixed ratio: eleven sizes, the smallest studied (143M), 198M, the six named teachers, 9.17B,
  10.8B and 12.6B.
* Supervised, 5.12e11 tokens: six sizes, five of the named teachers and 12.6B.
* Supervised IsoFLOP profiles: the 56 pairs of budget and size, among all sizes from 103M to 7.07B (the axis
  of Fig 3a ends at 7B), whose size is nearest in ln N to the published law's optimum of the budget:
  10, 13, 16 and 17 sizes from the least budget to the largest, within a factor of 3.2 of the optimum.
* Student IsoFLOPs: the 38 nearest pairs among every second size from 143M to 7.07B (8, 9, 11 and 10 sizes,
  within a factor of 4.8), under each of the six teachers; and the "few" runs of 3e21 FLOPs are the five
  nearest sizes under the strongest teacher.
* Teacher IsoFLOPs: the 56 supervised runs above as teachers of each of the four students.
* Fixed ratios: ten teachers (the eleven sizes without the smallest), the students 143M, 198M, 546M, 975M
  and 1.82B, and every ratio that keeps within 5.12e11 tokens, the most that the paper trained on: four for
  1.82B, five for the others ("at least four").

Without noise the published laws put 48 of the 73 runs at L >= 2.2, the paper's number, and 545 of the 697
at L_S >= 2.3, where the paper has 551 (App F.3).

The paper's "about 20 tokens per parameter" does not say whether embeddings count. ``per="N"`` (without, as
in M = D / N) is the default; the losses and tokens in the paper's figures rather suggest ``per="N_total"``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from distill_lib import paper
from distill_lib.scaling import _checks
from distill_lib.scaling.architecture import Architecture, forward_flops, ladder
from distill_lib.scaling.laws import SupervisedLaw, published_law

TOKENS_PER_PARAMETER = 20.0

_SMALLEST, _SMALL, _LARGE = "143M", "198M", ("9.17B", "10.8B", "12.6B")
_MORE_STUDENTS = ("975M", "1.82B")  # beside the three of the fixed ratios that figures show
_LARGEST_OF_A_PROFILE = "7.07B"
_SUPERVISED_PAIRS, _STUDENT_PAIRS, _FEW = 56, 38, 5

Counted = Literal["N", "N_total"]


def supervised_runs(*, per: Counted = "N") -> pd.DataFrame:
    """List the supervised runs that the supervised law was fitted to, at the paper's size.

    Parameters
    ----------
    per : {"N", "N_total"}
        Parameters that the fixed ratio of 20 tokens each counts: without or with embeddings.

    Returns
    -------
    pandas.DataFrame
        73 rows: ``protocol`` (``"fixed_ratio"``, ``"fixed_tokens"`` or ``"isoflop"``), ``name`` of the size
        (Table 13), ``N`` (non-embedding parameters), ``D`` (tokens) and ``C`` = 3 F(N) D (FLOPs). In a profile
        C is the budget.

    Raises
    ------
    ValueError
        For another word in ``per``.

    Examples
    --------
    >>> supervised_runs()["protocol"].value_counts().to_dict()
    {'isoflop': 56, 'fixed_ratio': 11, 'fixed_tokens': 6}
    """
    _checks.choice("per", per, ("N", "N_total"))
    models = _models()
    named = _names("student_isoflop", "teachers")
    rows = [
        ("fixed_ratio", name, TOKENS_PER_PARAMETER * getattr(models[name], per))
        for name in (_SMALLEST, _SMALL, *named, *_LARGE)
    ]
    rows += [("fixed_tokens", name, _most_tokens()) for name in (*named[1:], _LARGE[-1])]
    pairs = _nearest(_SUPERVISED_PAIRS, _numbers("supervised", "budgets"), _profile_sizes())
    rows += [("isoflop", name, _tokens(name, budget)) for budget, name in pairs]
    runs = pd.DataFrame(rows, columns=["protocol", "name", "D"])
    runs.insert(2, "N", _sizes(runs["name"]))
    return runs.assign(C=3.0 * np.asarray(forward_flops(runs["N"])) * runs["D"])


def distillation_runs(supervised: SupervisedLaw | None = None, *, per: Counted = "N") -> pd.DataFrame:
    """List the distillation runs that the distillation law was fitted to, at the paper's size.

    Parameters
    ----------
    supervised : SupervisedLaw, optional
        What the teachers' losses are taken from; the published law by default.
    per : {"N", "N_total"}
        Parameters that ratios of tokens count: without or with embeddings.

    Returns
    -------
    pandas.DataFrame
        697 rows: ``protocol`` (``"student_isoflop"``, ``"teacher_isoflop"`` or ``"fixed_ratio"``), ``student``
        and ``teacher`` (names of sizes), ``N_S``, ``D_S``, ``N_T``, ``D_T``, ``L_T`` (nats per token, by the
        law), ``C_S`` = 3 F(N_S) D_S for the student's training alone (what a profile holds fixed), ``C_T`` =
        3 F(N_T) D_T for the teacher's, and ``C`` = C_S + F(N_T) D_S, which counts the logits (Eq 27).
        Teachers are shared between rows: see :func:`price` for a bill.

    Raises
    ------
    ValueError
        For a law that is none, or another word in ``per``.

    Examples
    --------
    >>> distillation_runs()["protocol"].value_counts().to_dict()
    {'fixed_ratio': 240, 'student_isoflop': 233, 'teacher_isoflop': 224}
    """
    _checks.choice("per", per, ("N", "N_total"))
    law = published_law().supervised if supervised is None else supervised
    if not isinstance(law, SupervisedLaw):
        raise ValueError(f"supervised = {law!r} is no SupervisedLaw; give the law that teachers follow")
    models = _models()

    def at_ratio(name: str, ratio: float = TOKENS_PER_PARAMETER) -> float:
        return ratio * getattr(models[name], per)

    rows: list[tuple[str, str, float, str, float]] = []
    teachers = _names("student_isoflop", "teachers")
    *budgets, last_budget = _numbers("student_isoflop", "budgets")
    pairs = _nearest(_STUDENT_PAIRS, budgets, _profile_sizes(_SMALLEST, every=2))
    few = _nearest(_FEW, [last_budget], _profile_sizes(_SMALLEST, every=2))
    for teacher in teachers:
        for budget, student in [*pairs, *(few if teacher == teachers[-1] else [])]:
            rows.append(("student_isoflop", student, _tokens(student, budget), teacher, at_ratio(teacher)))
    profiles = _nearest(_SUPERVISED_PAIRS, _numbers("teacher_isoflop", "budgets"), _profile_sizes())
    for student in _names("teacher_isoflop", "students"):
        for budget, teacher in profiles:
            rows.append(("teacher_isoflop", student, at_ratio(student), teacher, _tokens(teacher, budget)))
    ratios = _numbers("fixed_ratio", "D_S")
    for teacher in (_SMALL, *teachers, *_LARGE):
        for student in (*_names("fixed_ratio", "students"), *_MORE_STUDENTS):
            for ratio in ratios:
                if at_ratio(student, ratio) <= _most_tokens():
                    rows.append(
                        ("fixed_ratio", student, at_ratio(student, ratio), teacher, at_ratio(teacher))
                    )
    runs = pd.DataFrame(rows, columns=["protocol", "student", "D_S", "teacher", "D_T"])
    N_S, N_T = _sizes(runs["student"]), _sizes(runs["teacher"])
    F_S, F_T = np.asarray(forward_flops(N_S)), np.asarray(forward_flops(N_T))
    D_S, D_T = runs["D_S"].to_numpy(), runs["D_T"].to_numpy()
    return runs[["protocol", "student", "teacher"]].assign(
        N_S=N_S, D_S=D_S, N_T=N_T, D_T=D_T, L_T=law.loss(N_T, D_T),
        C_S=3.0 * F_S * D_S, C_T=3.0 * F_T * D_T, C=(3.0 * F_S + F_T) * D_S,
    )  # fmt: skip


def price(runs: pd.DataFrame) -> pd.Series:
    """Add up what a table of runs costs, every teacher trained once.

    Parameters
    ----------
    runs : pandas.DataFrame
        A table of :func:`supervised_runs` or :func:`distillation_runs`, or some of its rows.

    Returns
    -------
    pandas.Series
        FLOPs by item: ``training`` for a supervised table; ``student training``, ``teacher logits`` and
        ``teacher training`` for distillation.

    Raises
    ------
    ValueError
        If the columns are those of neither table.
    """
    if {"N", "D", "C"} <= set(runs.columns):
        return pd.Series({"training": float(runs["C"].sum())}, name="FLOPs")
    missing = [name for name in ("N_T", "D_T", "C_S", "C_T", "C") if name not in runs]
    if missing:
        raise ValueError(
            f"runs has no column {', '.join(missing)}; give rows of supervised_runs or distillation_runs"
        )
    teachers = runs.drop_duplicates(["N_T", "D_T"])
    return pd.Series(
        {
            "student training": float(runs["C_S"].sum()),
            "teacher logits": float((runs["C"] - runs["C_S"]).sum()),
            "teacher training": float(teachers["C_T"].sum()),
        },
        name="FLOPs",
    )


def _models() -> dict[str, Architecture]:
    """Return Table 13's architectures, counted from their depth, by name and in order of size."""
    table = paper.table("architectures")
    return {name: ladder(int(depth)) for name, depth in zip(table["name"], table["n_layers"], strict=True)}


def _sizes(names: Iterable[str]) -> np.ndarray:
    """Return non-embedding parameters by name of the size."""
    models = _models()
    return np.array([float(models[name].N) for name in names])


def _cell(protocol: str, column: str) -> str:
    """Return one cell of the paper's table of protocols."""
    return str(paper.table("protocols").set_index("protocol").loc[protocol, column])


def _names(protocol: str, column: str) -> list[str]:
    """Return the sizes that a cell names, such as 546M."""
    return re.findall(r"\b\d[\d.]*[MB]\b", _cell(protocol, column))


def _numbers(protocol: str, column: str) -> list[float]:
    """Return the numbers that a cell lists, budgets or ratios."""
    return [float(number) for number in re.findall(r"\b\d[\d.]*(?:e\d+)?\b", _cell(protocol, column))]


def _most_tokens() -> float:
    """Return the most tokens that the paper trained on."""
    return paper.fitted_ranges()["D_S"][1]


def _tokens(name: str, budget: float) -> float:
    """Return D = C / 3 F(N) of one size."""
    return budget / (3.0 * float(forward_flops(_models()[name].N)))


def _profile_sizes(smallest: str | None = None, every: int = 1) -> list[str]:
    """Return the names of sizes that profiles draw from, up to the largest on the paper's axes."""
    names = list(_models())
    first = 0 if smallest is None else names.index(smallest)
    return names[first : names.index(_LARGEST_OF_A_PROFILE) + 1 : every]


def _nearest(count: int, budgets: Sequence[float], names: Sequence[str]) -> list[tuple[float, str]]:
    """Return the pairs of budget and size that lie nearest to the published law's optimum, in order."""
    best, _ = published_law().supervised.compute_optimal(np.asarray(budgets))
    distance = np.abs(np.log(_sizes(names)[None, :] / np.asarray(best)[:, None]))
    chosen = np.sort(np.argsort(distance, axis=None, kind="stable")[:count])
    return [(budgets[i // len(names)], names[i % len(names)]) for i in chosen]
