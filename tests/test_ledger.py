"""The ledger judges every claim once, by what is computed, and a wrong law is found out."""

import dataclasses

import pytest

from distill_lib import ledger, paper
from distill_lib.scaling.laws import published_law


@pytest.fixture(scope="module")
def judged():
    return ledger.claims_ledger().set_index("claim")


def test_every_claim_stands_once_with_a_verdict_and_a_reason(judged):
    assert list(judged.index) == list(paper.table("claims")["claim"])
    assert set(judged["verdict"]) <= set(ledger.VERDICTS)
    assert (judged["computed"].str.len() > 3).all()


def test_every_check_and_excuse_belongs_to_a_claim(judged):
    assert set(ledger.CHECKS) <= set(judged.index)
    assert set(ledger.OUT_OF_REACH) <= set(judged.index)
    assert not set(ledger.CHECKS) & set(ledger.OUT_OF_REACH)
    assert set(ledger.WAITS_FOR) <= set(judged["topic"])


def test_what_waits_for_runs_is_open_and_nothing_else_is(judged):
    waiting = judged["computed"].str.startswith("waits for")
    assert set(judged.loc[waiting, "verdict"]) <= {"open"}
    assert judged.loc[judged["verdict"] == "open", "computed"].str.startswith("waits for").all()


def test_the_printed_reading_fails_the_papers_own_statements(judged):
    printed = ledger.claims_ledger(published_law("printed")).set_index("claim")
    for claim in ("c38", "c40", "c41"):
        assert judged.loc[claim, "verdict"] == "same"
        assert printed.loc[claim, "verdict"] != "same", claim


@pytest.mark.parametrize(
    ("change", "claim"),
    [({"B": 24181.0}, "c41"), ({"c0": 0.2}, "c28"), ({"beta": 0.4}, "c18")],
)
def test_a_wrong_coefficient_is_found_out(change, claim):
    law = dataclasses.replace(published_law(), **change)
    assert ledger.CHECKS[claim](law).verdict != "same"


def test_claims_about_fits_follow_the_fits_on_record(judged, monkeypatch):
    from distill_lib.ledger import fit_checks

    assert judged.loc["c01", "verdict"] == "same"
    for claim in ("c02", "c05", "c08"):
        assert judged.loc[claim, "verdict"] == "not testable here"
        assert "90 %" in judged.loc[claim, "computed"]
    fits = fit_checks.read_fits()
    fits.summary.loc[fit_checks.CHINCHILLA, "mean"] = 3.0
    fits.intervals[fit_checks.STUDENTS].loc["c0", ["value", "low", "high"]] = [2.5, 2.4, 2.6]
    monkeypatch.setattr(fit_checks, "_fits", lambda: fits)
    law = published_law()
    assert ledger.CHECKS["c01"](law).verdict == "differs"
    assert ledger.CHECKS["c21"](law).verdict == "differs"
    assert ledger.CHECKS["c13"](law).verdict == "same"
