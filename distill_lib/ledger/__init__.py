"""The claims ledger: each claim of the paper, what we computed of it, and the verdict.

A check is a function of the law that returns what it found; it is entered under the number that the claim has
in ``data/paper/claims.csv``: :mod:`~distill_lib.ledger.law_checks` holds those of the laws,
:mod:`~distill_lib.ledger.fit_checks` those of fits, :mod:`~distill_lib.ledger.run_checks` those of our own runs and
:mod:`~distill_lib.ledger.calibration_checks` those of their calibration. Claims without a check stand as open, with
what they wait for.
"""

from __future__ import annotations

import pandas as pd

from distill_lib import paper
from distill_lib.ledger import calibration_checks, fit_checks, law_checks, run_checks
from distill_lib.ledger.registry import CHECKS, LAW_ACCURACY, VERDICTS, Finding, Verdict, check
from distill_lib.scaling.laws import DistillationLaw, published_law

__all__ = [
    "CHECKS",
    "LAW_ACCURACY",
    "OUT_OF_REACH",
    "VERDICTS",
    "WAITS_FOR",
    "Finding",
    "Verdict",
    "calibration_checks",
    "check",
    "claims_ledger",
    "fit_checks",
    "law_checks",
    "run_checks",
]

WAITS_FOR = {
    "law": "a refit on runs: the paper's are not public, ours are small",
    "fit": "runs of our own at several sizes and lengths",
    "teacher": "students of many teachers, trained here",
    "verdict": "students of many teachers, trained here",
    "demo": "the appendix's small trainings",
    "calibration": "calibration of our own students",
    "divergence": "students of many teachers, trained here",
    "weak_to_strong": "long distillations, trained here",
    "sensitivity": "sweeps of our own students",
    "truncation": "sweeps of our own students",
}
"""What an open claim waits for, by its topic."""

OUT_OF_REACH = {
    "c19": "a count of the paper's own runs",
    "c20": "a count of the paper's own runs",
    "c22": "a statement of what was trained; data/paper/architectures.csv starts below, at 103M",
    "c23": "a statement of what was trained",
    "c56": "a choice of method, taken over",
    "c74": "the size of a corpus we do not have",
    "c75": "cited from other work",
    "c76": "benchmarks are out of reach of models this small",
    "c77": "a choice of method, taken over",
}
"""Claims that nothing computed here could confirm or refute, with the reason."""


def claims_ledger(law: DistillationLaw | None = None) -> pd.DataFrame:
    """Judge every claim of the paper.

    Parameters
    ----------
    law : DistillationLaw, optional
        The law to judge with; the published one, reconciled, by default.

    Returns
    -------
    pandas.DataFrame
        One row per claim: claim, topic, statement, place, computed, verdict.
    """
    law = law if law is not None else published_law()
    rows = []
    for row in paper.table("claims").to_dict("records"):
        if row["claim"] in CHECKS:
            finding = CHECKS[row["claim"]](law)
        elif row["claim"] in OUT_OF_REACH:
            finding = Finding(OUT_OF_REACH[row["claim"]], "not testable here")
        else:
            finding = Finding(f"waits for {WAITS_FOR[row['topic']]}", "open")
        rows.append((row["claim"], row["topic"], row["statement"], row["place"], *finding))
    return pd.DataFrame(rows, columns=["claim", "topic", "statement", "place", *Finding._fields])
