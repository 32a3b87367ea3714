"""What the page draws around a plan: against the library's crossover, numpy's quantiles and differences."""

import numpy as np
import pytest
from planner_questions import random_questions

from distill_lib.scaling import formulas, sketches
from distill_lib.scaling.answers import answer
from distill_lib.scaling.crossover import crossover
from distill_lib.scaling.laws import published_intervals, published_law
from distill_lib.scaling.planning import plan

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


def test_quantiles_are_numpys():
    values = [*np.sort(np.random.default_rng(0).normal(size=37)).tolist(), float("inf")]
    for many in range(1, len(values) + 1):
        for part in (0.0, 0.05, 0.25, 0.5, 0.951, 1.0):
            found = sketches.closest(values[:many], part)
            assert found == np.quantile(values[:many], part, method="closest_observation"), (many, part)
    low, high = sketches.ends([float("nan"), 3.0, 1.0, 2.0], 0.9)
    assert (low, high) == (1.0, 3.0)
    assert np.isnan(sketches.ends([float("nan")], 0.9)).all()


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
    ends = np.quantile(losses, [0.05, 0.95], method="closest_observation")
    assert band["L_S"] == pytest.approx(ends, rel=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"C": None, "target_loss": 2.09},
        {"teachers": [[3e9, 1e11, None], [1e9, 3e11, 2.1]]},
        {"max_D_S": 1e10},
    ],
)
def test_plans_under_resamples_are_those_of_the_library(changes):
    """The page's interval, share of wins and share of agreement are ``plan.uncertainty``'s."""
    rng, question = np.random.default_rng(3), {**QUESTION, **changes}
    draws = [
        LAW.from_dict({**QUESTION["law"], "B": QUESTION["law"]["B"] * float(np.exp(0.05 * x))})
        for x in rng.normal(size=41)
    ]
    rows = sketches.plans_under(question, [law.to_dict() for law in draws])
    found = sketches.spread_of_plans(rows, answer(question)["outcome"])
    arguments = {name: question[name] for name in ("N_S", "C", "target_loss", "max_D_S", "scenario")}
    if question["teachers"]:
        arguments["teachers"] = [tuple(x for x in row if x is not None) for row in question["teachers"]]
    known = plan(**arguments, law=LAW).uncertainty(draws)
    assert found["L_S"] == pytest.approx(known.intervals["L_S"][1:], rel=1e-12)
    assert found["gap"] == pytest.approx(known.intervals["gap"][1:], rel=1e-9)
    assert (found["wins"], found["holds"], found["without"]) == (known.wins, known.holds, known.without)


def test_fewer_than_two_answers_are_no_spread():
    rows = sketches.plans_under({**QUESTION, "C": None, "target_loss": 1.3}, [QUESTION["law"]] * 3)
    assert rows == [None] * 3
    assert sketches.spread_of_plans([*rows, (2.0, 0.1, "distil")], "distil") is None
