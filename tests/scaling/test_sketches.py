"""What the page draws around a plan: against the library's crossover, numpy's quantiles and differences."""

import numpy as np
import pytest
from planner_questions import random_questions

from distill_lib.scaling import formulas, sketches
from distill_lib.scaling.answers import answer
from distill_lib.scaling.crossover import crossover
from distill_lib.scaling.laws import published_intervals, published_law

LAW = published_law()
QUESTION = {
    **random_questions(1, 0)[0][0],
    "N_S": 1e9, "C": 1e21, "target_loss": None, "D_S": None, "max_D_S": None, "scenario": "teacher_inference",
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


def test_quantiles_are_numpys():
    values = np.sort(np.random.default_rng(0).normal(size=37)).tolist()
    for part in (0.0, 0.05, 0.5, 0.951, 1.0):
        assert sketches.quantile(values, part) == pytest.approx(np.quantile(values, part), rel=1e-14)
    assert sketches.quantile([2.0], 0.3) == 2.0


def intervals():
    rows = {}
    for part, names in (
        ("supervised", "E A B alpha beta gamma"),
        ("distillation", "A B alpha beta gamma c0 c1 f1 d1"),
    ):
        table = published_intervals(part)
        rows[part] = {name: table.loc[name, ["low", "high"]].tolist() for name in names.split()}
    return rows


def test_one_coefficient_moves_the_band_by_its_own_effect():
    plan = answer(QUESTION)
    E = QUESTION["law"]["supervised"]["E"]
    band = sketches.band_of_intervals(
        QUESTION["law"], {"supervised": {"E": [E - 0.01, E + 0.02]}, "distillation": {}}, plan, False
    )
    ends = []
    for other in (E - 0.01, E + 0.02):
        law = {**QUESTION["law"], "supervised": {**QUESTION["law"]["supervised"], "E": other}}
        L_T = formulas.supervised_loss(plan["N_T"], plan["D_T"], law["supervised"])
        ends.append(formulas.distillation_loss(plan["N_S"], plan["D_S"], L_T, law))
    assert band["L_S"] == pytest.approx(sorted(ends), rel=1e-12)


def test_the_band_of_all_intervals_holds_the_plan_and_little_changes_if_it_is_made_anew():
    plan, law = answer(QUESTION), QUESTION["law"]
    low, high = sketches.band_of_intervals(law, intervals(), plan, False)["L_S"]
    assert low < plan["L_S"] < high
    assert high - low < 0.2
    for name in ("alpha", "beta", "c0"):
        moved = {**law, name: intervals()["distillation"][name][1]}
        kept = sketches.losses_under(moved, plan, False)[0]
        best = answer({**QUESTION, "law": moved})["L_S"]
        assert best <= kept < best + 0.1 * abs(kept - plan["L_S"]) + 1e-6, name


def test_draws_give_the_quantiles_of_their_losses():
    rng, plan = np.random.default_rng(0), answer(QUESTION)
    draws = [
        {**QUESTION["law"], "A": QUESTION["law"]["A"] * float(np.exp(0.05 * x))} for x in rng.normal(size=60)
    ]
    band = sketches.band_of_draws(draws, plan, False)
    losses = [LAW.from_dict(draw).loss(1e9, plan["D_S"], plan["L_T"]) for draw in draws]
    assert band["L_S"] == pytest.approx(np.quantile(losses, [0.05, 0.95]), rel=1e-12)
    assert band["wins"] == np.mean(np.array(losses) < plan["L_supervised"])
