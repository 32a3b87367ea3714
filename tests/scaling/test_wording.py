"""Counts as people say them, in verdicts and on axes alike."""

import math

import pytest

from distill_lib import figures
from distill_lib.scaling.planning import plan
from distill_lib.scaling.wording import count


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (143e6, "143M"), (7.75e9, "7.75B"), (1e12, "1T"), (999.9e6, "1B"), (999.4e6, "999M"), (12, "12"), (0, "0"),
        (1e17, "100P"), (0.9994e3, "999"), (5e18, "5e+18"), (math.inf, "unlimited"), (math.nan, "unknown"),
    ],
)  # fmt: skip
def test_counts_are_written_as_people_say_them(value, text):
    assert count(value) == text


@pytest.mark.parametrize("power", range(3, 17))
def test_what_is_written_is_what_was_meant(power):
    factor = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "P": 1e15}
    for digits in (1.0, 2.345, 9.994, 9.996):
        text = count(digits * 10.0**power)
        assert float(text[:-1]) * factor[text[-1]] == pytest.approx(digits * 10.0**power, rel=5e-3)


def test_plans_and_figures_write_alike():
    assert figures.count is count
    found = plan(1e9, 1e21, "teacher_inference")
    assert count(found.D_T) == "100P"
    assert "100P" in str(found)
