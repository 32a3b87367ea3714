"""How sure a plan is, in words: as ``format`` writes, and whole sentences where a number is unknown."""

import math

import numpy as np
from planner_questions import QUESTION

from distill_lib.scaling import robustness, sureness
from distill_lib.scaling.answers import answer


def test_sentences_are_written_as_format_writes():
    for value in (0.0, -0.0004, 0.0005, 1.0015, -2.25, 12.3456):
        assert sureness.nats(value) == f"{value:+.3f}"
    assert (sureness.nats(math.inf), sureness.nats(math.nan)) == ("unlimited", "unknown")
    assert sureness.written("L_S", math.inf) == "out of reach"
    assert sureness.written("C", 1.234e21) == f"{1.234e21:.3g}"
    point = robustness.under_law(QUESTION, QUESTION["law"], answer(QUESTION))
    for wins in np.linspace(0, 1, 41):
        found = {**robustness.spread([point, point], point), "wins": wins, "level": 0.975}
        assert f"ahead in {wins:.0%} of 2 draws" in sureness.say_verdict(found)
        assert "97.5 % of the draws" in sureness.say_verdict(found)


def test_what_is_unknown_is_said():
    assert sureness.say_sensitivity([], True) == ""
    half = sureness.say_sensitivity([("E", math.nan, 0.25), ("A", 0.01, -0.02)], True)
    assert "moves the advantage by unknown or +0.250 nats; then A (0.020)." in half
