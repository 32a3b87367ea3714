"""What the paper says of its own law, as tests that any reading of the law can pass or fail.

A statement is a number that a law gives (the rise of a profile, a share of compute, a ratio) and the range
that the paper's words or figures leave for it. The numbers are the paper's, read from its tables; how much
room a word like "half" leaves is our choice, and stands in the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from distill_lib import paper
from distill_lib.scaling import _checks
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.planning import plan, plan_map

ROOM = 1.25
"""A ratio that the paper gives in words ("half") may be off by this factor either way."""

VISIBLE = 0.01
"""A rise is visible if it is this part of the height of the figure's axis."""

WORST_CASE = "teacher_pretraining_inference"


@dataclass(frozen=True)
class Statement:
    """One thing that the paper says, and how to ask a law about it.

    Parameters
    ----------
    name : str
        Short name.
    place : str
        Where the paper says it.
    says : str
        What it says, in our words.
    value : callable
        Takes a law and returns the number in question.
    low, high : float
        The range that the statement leaves for it.
    """

    name: str
    place: str
    says: str
    value: Callable[[DistillationLaw], float]
    low: float
    high: float

    def holds(self, law: DistillationLaw) -> bool:
        """Say whether a law fulfils the statement.

        Parameters
        ----------
        law : DistillationLaw
            The reading to test.

        Returns
        -------
        bool
            Whether its value lies in the range.
        """
        return bool(self.low <= self.value(law) <= self.high)


def least_rise(values: np.ndarray) -> float:
    """Return how far a curve rises from its lowest point to its lower end; 0 if an end is the lowest.

    Parameters
    ----------
    values : numpy.ndarray
        A curve.

    Returns
    -------
    float
        In the unit of the curve.
    """
    return float(min(values[0], values[-1]) - values.min())


def _isoflop_rise(law: DistillationLaw) -> float:
    N_S = np.geomspace(1e8, 7e9, 300)  # the axis of Fig 2
    L_T = law.supervised.loss(7.75e9, 20.0 * 7.75e9)
    return least_rise(np.asarray(law.loss(N_S, 1e20 / (3.0 * forward_flops(N_S)), L_T)))


def _teacher_rise(law: DistillationLaw) -> float:
    N_T, N_S = np.geomspace(3e8, 1.4e10, 300), 1.98e8  # the axis of Fig 4
    return least_rise(np.asarray(law.loss(N_S, 20.0 * N_S, law.supervised.loss(N_T, 20.0 * N_T))))


def _ratio_at_equal_loss(
    law: DistillationLaw, N_S: float, L_S: float, numerator: str, denominator: str
) -> float:
    found = plan(N_S, target_loss=L_S, scenario="teacher_inference", law=law)
    return float(getattr(found, numerator) / getattr(found, denominator))


def _shares(law: DistillationLaw, N_S: float, C: float) -> tuple[float, float, float]:
    shares = plan(N_S, C, WORST_CASE, law).shares
    return shares["student_training"], shares["teacher_logits"], shares["teacher_pretraining"]


def _fixed_compute(law: DistillationLaw) -> np.ndarray:
    N_T, L_T = np.geomspace(1e9, 1e12, 100)[:, None], np.linspace(1.22, 2.5, 129)  # the axes of Fig 16
    D_S = 1e21 / (3.0 * forward_flops(1e10) + forward_flops(N_T))  # Eq 27
    return np.asarray(law.loss(1e10, D_S, L_T))


def _floor_gap(law: DistillationLaw) -> float:
    N_S = np.geomspace(1e8, 1e11, 13)
    best = np.asarray(law.best_teacher(N_S, None)[1])
    return float(np.abs(best / law.supervised.floor(N_S) - 1.0).max())


def paper_statements() -> tuple[Statement, ...]:
    """Return the statements of the paper that depend on its distillation law.

    Returns
    -------
    tuple of Statement
        In the order of the paper. Labels of contours are those that could be read; a short contour in a
        corner may have none, so a label says that its loss is reached and not that none beyond it is.
    """
    claims = paper.table("claims").set_index("claim")["value"]
    labels = paper.table("contour_ranges").query("quantity == 'L_S'")
    fig16 = labels.query("figure == '16' and N_S == 1e10").iloc[0]
    fig19 = labels.query("figure == '19'").iloc[0]
    statements = [
        Statement(
            "IsoFLOP minimum", "Fig 2", "at 1e20 FLOPs under the 7.75B teacher the profile is U-shaped",
            _isoflop_rise, VISIBLE * 0.5, np.inf,
        ),
        Statement(
            "capacity gap", "Fig 4", "a 198M student at 20 tokens per parameter has a best teacher size",
            _teacher_rise, VISIBLE * 0.2, np.inf,
        ),
        Statement(
            "mostly teacher", "Table 3", "small student, small compute: most of it trains the teacher",
            lambda law: _shares(law, 1e9, 1e20)[2], 0.5, 1.0,
        ),
        Statement(
            "student = logits", "Table 3", "small student, large compute: student and logits cost the same",
            lambda law: _shares(law, 1e9, 1e25)[0] / _shares(law, 1e9, 1e25)[1], 1.0 / ROOM**2, ROOM**2,
        ),
        Statement(
            "mostly student", "Table 3", "large student, small compute: most of it trains the student",
            lambda law: _shares(law, 1e10, 1e20)[0], 0.5, 1.0,
        ),
        Statement(
            "three thirds", "Table 3", "large student, large compute: a third each; the least share",
            lambda law: min(_shares(law, 1e10, 1e25)), 0.2, 1.0,
        ),
        Statement(
            "lowest contour", "Fig 16", "the lowest label of the panel 10B, 1e21 FLOPs is reached",
            lambda law: float(_fixed_compute(law).min()), -np.inf, float(fig16["low"]),
        ),
        Statement(
            "highest contour", "Fig 16", "so is the highest",
            lambda law: float(_fixed_compute(law).max()), float(fig16["high"]), np.inf,
        ),
        Statement(
            "highest contour", "Fig 19", "the highest label is reached between 300M and 50B from 1e20 FLOPs on",
            lambda law: float(plan_map([3e8, 5e10], [1e20], "best_case", law).L_S.max()),
            float(fig19["high"]), np.inf,
        ),
    ]  # fmt: skip
    for key, size, N_S, L_S, parts in (
        ("c40", "500M", 5e8, 2.4, ("C", "C_supervised")),
        ("c42", "500M", 5e8, 2.4, ("D_S", "D_supervised")),
        ("c41", "10B", 1e10, 2.2, ("C", "C_supervised")),
        ("c43", "10B", 1e10, 2.2, ("D_S", "D_supervised")),
    ):
        what = "compute" if parts[0] == "C" else "tokens"
        statements.append(
            Statement(
                f"{what}, {size}",
                "App D.5",
                f"{what} to reach the same loss, over supervised",
                lambda law, N_S=N_S, L_S=L_S, parts=parts: _ratio_at_equal_loss(law, N_S, L_S, *parts),  # type: ignore[misc]
                float(claims[key]) / ROOM,
                float(claims[key]) * ROOM,
            )
        )
    statements.append(
        Statement(
            "one floor", "Fig 40", "with infinite data the best student meets the supervised floor",
            _floor_gap, 0.0, 0.01,
        )
    )  # fmt: skip
    return tuple(statements)


def check_statements(
    laws: Mapping[str, DistillationLaw], statements: Iterable[Statement] | None = None
) -> pd.DataFrame:
    """Ask several readings of the law about each statement.

    Parameters
    ----------
    laws : mapping of str to DistillationLaw
        The readings by name.
    statements : iterable of Statement, optional
        Those of the paper by default.

    Returns
    -------
    pandas.DataFrame
        One row per statement: ``place``, ``name``, ``low``, ``high``, and for each reading its value and, in
        the column ``"<reading> holds"``, whether that lies in the range.
    """
    rows = []
    for statement in paper_statements() if statements is None else statements:
        row = {key: getattr(statement, key) for key in ("place", "name", "low", "high")}
        for name, law in laws.items():
            row[name] = statement.value(law)
            row[f"{name} holds"] = bool(statement.low <= row[name] <= statement.high)
        rows.append(row)
    return pd.DataFrame(rows)


def window_of_B(
    statement: Statement,
    law: DistillationLaw,
    B_range: tuple[float, float] = (1e4, 1e8),
    points: int = 33,
) -> tuple[float, float]:
    """Find the B' for which a statement holds, all other coefficients kept.

    Parameters
    ----------
    statement : Statement
        What has to hold.
    law : DistillationLaw
        The other coefficients.
    B_range : tuple of float
        Least and most B' to look at.
    points : int
        Values scanned, evenly in ln B'; the ends of the window are then bisected.

    Returns
    -------
    tuple of float
        Ends of the window, the lowest and the highest B' that pass; NaN if none does. An end of the range
        means that the window reaches beyond it.

    Raises
    ------
    ValueError
        If the range does not rise.
    """
    low, high = (_checks.number("B_range", value, 1e-6, 1e15, "it is a B'") for value in B_range)
    if not low < high:
        raise ValueError(f"B_range = ({low:g}, {high:g}) does not rise; give (lowest, highest) B'")

    def holds(log_B: float) -> bool:
        return statement.holds(replace(law, B=float(np.exp(log_B))))

    grid = np.linspace(np.log(low), np.log(high), points)
    passed = np.flatnonzero([holds(value) for value in grid])
    if not passed.size:
        return float("nan"), float("nan")
    ends = []
    for inside, step in ((int(passed[0]), -1), (int(passed[-1]), 1)):
        end = grid[inside]
        if 0 <= inside + step < points:
            outside = grid[inside + step]
            for _ in range(8):
                middle = 0.5 * (end + outside)
                end, outside = (middle, outside) if holds(middle) else (end, middle)
        ends.append(float(np.exp(end)))
    return ends[0], ends[1]
