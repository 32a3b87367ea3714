"""How sure a plan is, in plain Python: against numpy, the laws and plans made one by one."""

import math

import numpy as np
import pytest
from planner_questions import random_questions

from distill_lib.scaling import robustness
from distill_lib.scaling.answers import answer
from distill_lib.scaling.law_draws import draw_published_laws
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.planning import plan
from distill_lib.scaling.sensitivity import moved_laws

LAW = published_law()
QUESTION = {
    **random_questions(1, 0)[0][0],
    "N_S": 1e9, "C": 1e21, "target_loss": None, "D_S": None, "max_D_S": None, "max_D_T": None,
    "scenario": "teacher_inference", "teachers": None, "students_sharing": 1.0, "inference_tokens": 0.0,
    "law": LAW.to_dict(),
}  # fmt: skip


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


def test_what_has_no_number_is_left_out_of_the_sensitivities():
    # No supervised student gets there: the advantage is unlimited whatever is moved.
    target = float(LAW.best_teacher(1e9, 2e9)[1]) + 0.03
    question = {**QUESTION, "C": None, "target_loss": target, "scenario": "best_case", "max_D_S": 2e9}
    moved = [(name, low.to_dict(), high.to_dict()) for name, low, high in moved_laws("reconciled")]
    kept = answer(question)
    assert kept["gap"] == math.inf
    assert robustness.one_by_one(question, kept, moved) == []
    assert robustness.say_sensitivity([], True) == ""
    half = robustness.say_sensitivity([("E", math.nan, 0.25), ("A", 0.01, -0.02)], True)
    assert "moves the advantage by unknown or +0.250 nats; then A (0.020)." in half


def test_sentences_are_written_as_format_writes():
    for value in (0.0, -0.0004, 0.0005, 1.0015, -2.25, 12.3456):
        assert robustness.nats(value) == f"{value:+.3f}"
    assert (robustness.nats(math.inf), robustness.nats(math.nan)) == ("unlimited", "unknown")
    assert robustness.written("L_S", math.inf) == "out of reach"
    assert robustness.written("C", 1.234e21) == f"{1.234e21:.3g}"
    point = robustness.under_law(QUESTION, LAW.to_dict(), answer(QUESTION))
    for wins in np.linspace(0, 1, 41):
        found = {**robustness.spread([point, point], point), "wins": wins, "level": 0.975}
        assert f"ahead in {wins:.0%} of 2 draws" in robustness.say_verdict(found)
        assert "97.5 % of the draws" in robustness.say_verdict(found)
