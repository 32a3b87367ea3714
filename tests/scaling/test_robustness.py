"""Other laws asked, in plain Python: against numpy, the laws and plans made one by one."""

import math

import numpy as np
import pytest
from planner_questions import QUESTION

from distill_lib.scaling import robustness
from distill_lib.scaling.answers import answer
from distill_lib.scaling.law_draws import draw_published_laws
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.planning import plan

LAW = published_law()


def test_quantiles_are_numpys():
    values = [*np.sort(np.random.default_rng(0).normal(size=37)).tolist(), float("inf")]
    for many in range(1, len(values) + 1):
        for part in (0.0, 0.05, 0.25, 0.5, 0.951, 1.0):
            found = robustness.closest(values[:many], part)
            assert found == np.quantile(values[:many], part, method="closest_observation"), (many, part)
    low, high = robustness.ends([float("nan"), 3.0, 1.0, 2.0], 0.9)
    assert (low, high) == (1.0, 3.0)
    assert np.isnan(robustness.ends([float("nan")], 0.9)).all()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"C": None, "target_loss": 2.09},
        {"teachers": [[3e9, 1e11, None], [1e9, 3e11, 2.1]]},
        {"max_D_S": 1e10},
        {"max_D_T": 1e10},
    ],
)
def test_every_number_is_that_of_a_plan_with_the_law(changes):
    question = {**QUESTION, **changes}
    kept = answer(question)
    arguments = {
        name: question[name] for name in ("N_S", "C", "target_loss", "max_D_S", "max_D_T", "scenario")
    }
    if question["teachers"]:
        arguments["teachers"] = [tuple(x for x in row if x is not None) for row in question["teachers"]]
    for law in draw_published_laws(6, seed=2):
        row = robustness.under_law(question, law.to_dict(), kept)
        try:
            found = plan(**arguments, law=law)
        except ValueError:
            assert row is None
            continue
        assert {name: row[name] for name in ("L_S", "D_S", "N_T", "D_T", "L_T", "C", "gap", "outcome")} == {
            name: getattr(found, name) for name in ("L_S", "D_S", "N_T", "D_T", "L_T", "C", "gap", "outcome")
        }
        assert math.isnan(row["regret"]) if question["target_loss"] else row["regret"] > -1e-9


def test_fewer_than_two_answers_are_no_spread():
    question = {**QUESTION, "C": None, "target_loss": 1.3}
    kept = {**answer(QUESTION), "goal": "target"}
    rows = [robustness.under_law(question, LAW.to_dict(), kept)] * 3
    assert rows == [None] * 3
    point = robustness.under_law(QUESTION, LAW.to_dict(), answer(QUESTION))
    assert robustness.spread([*rows, point], point) is None
