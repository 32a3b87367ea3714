"""What the page draws around a plan: against the library's crossover, its laws and numpy's quantiles."""

import numpy as np
import pytest
from planner_questions import random_questions

from distill_lib.scaling import sketches
from distill_lib.scaling.answers import answer
from distill_lib.scaling.crossover import crossover
from distill_lib.scaling.laws import published_law

LAW = published_law()
QUESTION = {
    **random_questions(1, 0)[0][0],
    "N_S": 1e9, "C": 1e21, "target_loss": None, "D_S": None, "max_D_S": None, "max_D_T": None, "scenario": "teacher_inference",
    "teachers": None, "students_sharing": 1.0, "inference_tokens": 0.0, "law": LAW.to_dict(),
}  # fmt: skip


def test_the_crossing_is_the_librarys():
    budgets = np.geomspace(1e19, 1e24, 33).tolist()
    plans = sketches.plans_along_compute(QUESTION, budgets)
    C, L = sketches.crossing(QUESTION, budgets, plans)
    known = crossover(1e9, "teacher_inference")
    assert pytest.approx(known.C, rel=1e-4) == C
    assert pytest.approx(known.L, rel=1e-6) == L


def test_no_crossing_where_one_side_leads_throughout():
    asked = {**QUESTION, "scenario": "teacher_pretraining_inference"}
    budgets = np.geomspace(1e19, 1e22, 9).tolist()
    assert sketches.crossing(asked, budgets, sketches.plans_along_compute(asked, budgets)) is None


def test_a_budget_that_buys_nothing_leaves_a_gap():
    assert sketches.plans_along_compute(QUESTION, [1.0, 1e21])[0] is None


def test_losses_along_the_teacher_are_the_laws():
    teachers = [1.6, 2.0, 2.4]
    losses, L_T, L_S = sketches.losses_along_teacher(LAW.to_dict(), 1e9, 2e10, teachers)
    assert losses == pytest.approx(LAW.loss(1e9, 2e10, teachers), rel=1e-14)
    assert (L_T, L_S) == pytest.approx(LAW.best_teacher(1e9, 2e10), rel=1e-12)


def test_a_band_is_of_the_plan_as_it_is_and_little_changes_if_it_is_made_anew():
    rng, plan = np.random.default_rng(0), answer(QUESTION)
    draws = [
        {**QUESTION["law"], "A": QUESTION["law"]["A"] * float(np.exp(0.05 * x))} for x in rng.normal(size=60)
    ]
    band = sketches.band_of_draws(QUESTION["law"], plan, draws)
    losses = [LAW.from_dict(draw).loss(1e9, plan["D_S"], plan["L_T"]) for draw in draws]
    ends = np.quantile(losses, [0.05, 0.95], method="closest_observation")
    assert band["L_S"] == pytest.approx(ends, rel=1e-12)
    gains = np.quantile(plan["L_supervised"] - np.array(losses), [0.05, 0.95], method="closest_observation")
    assert band["advantage"] == pytest.approx(gains, rel=1e-9)
    for draw in draws[:5]:
        kept = sketches.losses_under(QUESTION["law"], plan, draw)[0]
        best = answer({**QUESTION, "law": draw})["L_S"]
        assert best <= kept < best + 0.1 * abs(kept - plan["L_S"]) + 1e-6


def test_a_plan_without_a_supervised_counterpart_has_no_band_of_gains():
    lone = {**answer(QUESTION), "D_supervised": 0.5}
    band = sketches.band_of_draws(QUESTION["law"], lone, [QUESTION["law"]] * 3)
    assert band["L_S"] == pytest.approx((lone["L_S"], lone["L_S"]))
    assert np.isnan(band["advantage"]).all()
