"""What a verdict hangs on: slopes against numpy's, and what has no number."""

import math

import numpy as np
import pytest
from planner_questions import QUESTION

from distill_lib import paper
from distill_lib.scaling.answers import answer
from distill_lib.scaling.hinges import along_draws, one_by_one
from distill_lib.scaling.law_draws import draw_published_laws
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.sensitivity import moved_laws

LAW = published_law()


def test_what_has_no_number_is_left_out_of_the_sensitivities():
    # No supervised student gets there: the advantage is unlimited whatever is moved.
    target = float(LAW.best_teacher(1e9, 2e9)[1]) + 0.03
    question = {**QUESTION, "C": None, "target_loss": target, "scenario": "best_case", "max_D_S": 2e9}
    moved = [(name, low.to_dict(), high.to_dict()) for name, low, high in moved_laws("reconciled")]
    kept = answer(question)
    assert kept["gap"] == math.inf
    assert one_by_one(question, kept, moved) == []


def test_along_draws_finds_what_an_answer_follows():
    laws = draw_published_laws(400)
    values = [3.0 * math.log(law.d1) - 0.1 * math.log(law.supervised.E) for law in laws]
    plain = [law.to_dict() for law in laws]
    (symbol, low, high), *others = along_draws(values, plain)
    assert symbol == "d1"
    assert "E" in [row[0] for row in others[:3]]
    entry = paper.coefficients("distillation")["d1"]
    assert high == pytest.approx(3.0 * math.log(entry.high / entry.value), rel=0.15)
    assert low < 0.0 < high
    slope = np.polyfit(np.log([law.d1 for law in laws]), values, 1)[0]
    ends = np.quantile(np.log([law.d1 for law in laws]), [0.05, 0.5, 0.95], method="closest_observation")
    assert (low, high) == pytest.approx((slope * (ends[0] - ends[1]), slope * (ends[2] - ends[1])), rel=1e-9)
    assert along_draws([math.nan] * 400, plain) == []
