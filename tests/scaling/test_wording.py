"""Counts as people say them, in verdicts and on axes alike."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distill_lib import figures
from distill_lib.scaling.planning import plan
from distill_lib.scaling.wording import count, exact, fixed, general


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


@settings(derandomize=True, deadline=None, max_examples=400)
@given(st.floats(allow_subnormal=False), st.integers(0, 8))
@example(6.825e12, 3)
@example(5.878e21, 3)
@example(1e16, 3)
@example(123456789012345680.0, 0)
@example(1.125, 2)
@example(9.9996, 3)
@example(1000.0, 2)
@example(-0.0004, 3)
@example(2.3e-308, 4)
def test_numbers_are_written_as_format_writes_them(value, digits):
    assert exact(value) == repr(value)
    assert general(value, digits + 1) == f"{value:.{digits + 1}g}"
    if abs(value) < 1e30 or not math.isfinite(value):
        assert fixed(value, digits) == f"{value:.{digits}f}"
