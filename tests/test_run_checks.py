"""Claims about runs: each check tells runs that bear a claim out from runs that do not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "scaling"))
from mini_runs import simulated

from distill_lib.ledger import CHECKS, run_checks
from distill_lib.scaling.laws import published_law

LAW = published_law()


def verdict(monkeypatch: pytest.MonkeyPatch, claim: str, table: pd.DataFrame) -> str:
    monkeypatch.setattr(run_checks, "our_runs", lambda: table)
    monkeypatch.setattr(run_checks, "missing", lambda *_: 0)
    monkeypatch.setattr(run_checks, "select", lambda found, *_: found)
    return CHECKS[claim](LAW).verdict


def with_losses(table: pd.DataFrame, change) -> pd.DataFrame:
    """Change the losses of distilled rows by a function of the row."""
    taught = table["objective"] == "distilled"
    moved = table.apply(change, axis=1)
    return table.assign(L=table["L"] + np.where(taught, moved, 0.0))


def test_runs_that_are_not_there_leave_a_claim_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_checks, "our_runs", lambda: None)
    assert CHECKS["c24"](LAW).verdict == "open"
    part = simulated("mixing").head(10)
    monkeypatch.setattr(run_checks, "our_runs", lambda: part)
    finding = CHECKS["c61"](LAW)
    assert finding.verdict == "open"
    assert "more runs of the protocol mixing" in finding.computed


def test_teachers_that_matter_by_size_too_are_seen(monkeypatch: pytest.MonkeyPatch):
    table = simulated("teacher_isoflops")
    assert verdict(monkeypatch, "c24", table) == "same"
    biased = with_losses(table, lambda row: 0.0 if pd.isna(row["N_T"]) else 0.1 * np.log(row["N_T"] / 2e4))
    assert verdict(monkeypatch, "c24", biased) != "same"


def test_divergence_that_falls_is_seen(monkeypatch: pytest.MonkeyPatch):
    table = simulated("capacity_gap")
    rising = table.assign(kl_teacher=table["N_T"].astype("Float64") / 1e6)
    assert verdict(monkeypatch, "c57", rising) == "same"
    assert (
        verdict(monkeypatch, "c57", table.assign(kl_teacher=1.0 / table["N_T"].astype("Float64")))
        == "differs"
    )


def test_a_student_that_passes_its_teacher_and_returns(monkeypatch: pytest.MonkeyPatch):
    table = simulated("long_students")
    best = sorted(table["D"].unique())[2]

    def dip(row):
        return 0.0 if pd.isna(row["L_T"]) else row["L_T"] - row["L"] - (0.05 if row["D"] == best else 0.01)

    noise = np.random.default_rng(0).normal(0, 1e-3, len(table))
    dipped = with_losses(table, dip)
    assert verdict(monkeypatch, "c58", dipped.assign(L=dipped["L"] + noise)) == "same"
    assert verdict(monkeypatch, "c58", table) == "differs"


def test_students_that_pass_weak_teachers_alone(monkeypatch: pytest.MonkeyPatch):
    table = simulated("student_isoflops")
    assert verdict(monkeypatch, "c59", table) == "differs"
    weakest = table["N_T"].min()

    def passes(row):
        return -0.5 if row["N_T"] == weakest and row["N"] > 2 * weakest else 0.0

    assert verdict(monkeypatch, "c59", with_losses(table.dropna(subset=["N_T"]), passes)) == "trend"


def test_flat_and_steep_mixing(monkeypatch: pytest.MonkeyPatch):
    table = simulated("mixing")
    flat = with_losses(table, lambda row: 0.2 * max(0.0, 0.5 - row["lam"]) if row["lam"] >= 0 else 0.0)
    assert verdict(monkeypatch, "c61", flat) == "same"
    steep = with_losses(table, lambda row: 0.5 * row["lam"] if row["lam"] >= 0 else 0.0)
    assert verdict(monkeypatch, "c61", steep) != "same"


def test_temperatures(monkeypatch: pytest.MonkeyPatch):
    table = simulated("temperature")
    bent = with_losses(table, lambda row: 0.1 * np.log(row["tau"]) ** 2 if row["tau"] > 0 else 0.0)
    assert verdict(monkeypatch, "c62", bent) == "same"
    assert verdict(monkeypatch, "c63", bent) == "same"
    hot = with_losses(table, lambda row: -0.1 * row["tau"] if row["tau"] > 0 else 0.0)
    assert verdict(monkeypatch, "c62", hot) == "differs"
    assert verdict(monkeypatch, "c63", hot) == "differs"


def test_truncation_and_what_mends_it(monkeypatch: pytest.MonkeyPatch):
    table = simulated("truncation")

    def cost(row):
        if pd.isna(row["truncation"]):
            return 0.0
        kept = float(row["truncation"].split("=")[1].split(",")[0])
        return (0.5 if row["lam"] == 1.0 else 0.1) / (kept if kept >= 1 else 2 * kept)

    costly = with_losses(table, cost)
    assert verdict(monkeypatch, "c66", costly) == "trend"
    assert verdict(monkeypatch, "c68", costly) == "trend"
    assert verdict(monkeypatch, "c68", table) == "differs"


def test_directions(monkeypatch: pytest.MonkeyPatch):
    table = simulated("direction")
    worse = with_losses(table, lambda row: 0.2 if row["direction"] == "reverse" else 0.0)
    assert verdict(monkeypatch, "c71", worse) == "trend"
    better = with_losses(table, lambda row: -0.2 if row["direction"] == "reverse" else 0.0)
    assert verdict(monkeypatch, "c71", better) == "differs"


def test_which_teachers_help(monkeypatch: pytest.MonkeyPatch):
    table = simulated("teacher_isoflops")
    helped = with_losses(table, lambda row: 0.0)
    assert CHECKS["c60"] is not None
    assert verdict(monkeypatch, "c60", helped) in ("same", "trend", "differs")
    small = table["N"].min()
    best = table["budget_T"].max()

    def as_the_paper(row):
        if pd.isna(row["N_T"]):
            return 0.0
        return -5.0 if row["N"] == small or row["budget_T"] == best else 5.0

    assert verdict(monkeypatch, "c60", with_losses(table, as_the_paper)) == "same"


def confident(soft: float, hard: float, growth: float = 1.1) -> pd.DataFrame:
    """Students of both targets, two sizes and two lengths, off by so many percent."""
    rows = []
    for N in (10, 100):
        for D in (200, 800):
            for truncation, error in ((None, soft), ("top_token", hard)):
                grown = error * (growth if D == 800 else 1.0)
                rows.append(
                    {"objective": "distilled", "N": N, "D": D, "truncation": truncation, "ece": grown / 100}
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("claim", "soft", "hard", "growth", "expected"),
    [
        ("c53", 0.5, 30, 1.1, "same"),
        ("c53", 1.5, 30, 1.1, "trend"),
        ("c53", 1.5, 3, 1.1, "differs"),
        ("c53", 9, 30, 1.1, "differs"),
        ("c54", 0.5, 30, 1.1, "trend"),
        ("c54", 0.5, 5, 1.1, "differs"),
        ("c55", 0.5, 30, 1.1, "trend"),
        ("c55", 0.5, 30, 0.5, "differs"),
    ],
)
def test_calibration_of_students(monkeypatch: pytest.MonkeyPatch, claim, soft, hard, growth, expected):
    assert verdict(monkeypatch, claim, confident(soft, hard, growth)) == expected


@pytest.mark.parametrize(("error", "expected"), [(0.005, "same"), (0.015, "trend"), (0.05, "differs")])
def test_calibration_of_teachers(monkeypatch: pytest.MonkeyPatch, error, expected):
    table = pd.DataFrame({"split": ["teacher", "student"], "run": ["t", "s"], "ece": [error, 0.9]})
    assert verdict(monkeypatch, "c52", table) == expected
