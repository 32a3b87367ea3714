"""Checks of claims, entered under the claim's number, and what a check returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from distill_lib import paper
from distill_lib.scaling.laws import DistillationLaw

Verdict = Literal["same", "trend", "differs", "not testable here", "open"]

VERDICTS: tuple[Verdict, ...] = ("same", "trend", "differs", "not testable here", "open")
"""From agreement to what is still to be done."""

LAW_ACCURACY = paper.law_accuracy()
"""Relative error that the paper states for both laws (Sec. 4.4, claim c21)."""


class Finding(NamedTuple):
    """What a check found: the computed answer in words, and the verdict."""

    computed: str
    verdict: Verdict


Check = Callable[[DistillationLaw], Finding]
CHECKS: dict[str, Check] = {}
"""Check of each claim, by its number."""


def check(*claims: str) -> Callable[[Check], Check]:
    """Enter a function as the check of one or several claims.

    Parameters
    ----------
    *claims : str
        Numbers of the claims.

    Returns
    -------
    callable
        Decorator that leaves the function as it is.
    """

    def enter(function: Check) -> Check:
        for claim in claims:
            CHECKS[claim] = function
        return function

    return enter


def yes(holds: bool, computed: str, *, otherwise: Verdict = "differs") -> Finding:
    """Return "same" where a claim holds.

    Parameters
    ----------
    holds : bool
        Whether it does.
    computed : str
        What was computed, in words.
    otherwise : str
        The verdict where it does not.

    Returns
    -------
    Finding
        The words with the verdict.
    """
    return Finding(computed, "same" if holds else otherwise)


def claimed(claim: str) -> float:
    """Return the number that a claim states.

    Parameters
    ----------
    claim : str
        Its number in ``data/paper/claims.csv``.

    Returns
    -------
    float
        As the paper prints it.
    """
    return float(paper.table("claims").set_index("claim")["value"].to_dict()[claim])
