"""Dividing a budget: the condition under which a division is the best, its certificate, and the root search."""

import math

import numpy as np
import pytest

from distill_lib.scaling import formulas
from distill_lib.scaling.allocations import allocate, falling_root, shortfall
from distill_lib.scaling.law_draws import draw_published_laws
from distill_lib.scaling.laws import published_law


@pytest.mark.parametrize("law", [published_law(), published_law("printed"), *draw_published_laws(3)])
def test_each_further_token_buys_less_which_makes_a_division_the_best(law):
    s = np.linspace(math.log(1e6), math.log(1e17), 500)
    for N in np.geomspace(1e7, 1e12, 6):
        for L_T in np.linspace(law.supervised.E + 0.02, 4.0, 20):
            term, by_tokens, _ = formulas.student_term(N, np.exp(s), L_T, law.to_dict(), np)
            assert np.all(np.diff(term + np.log(-by_tokens) - s) < 0.0)


def test_the_certificate_sees_a_bad_division():
    curves = [lambda D, k=k: (k / D**0.5, 0.5 * k / D**0.5) for k in (1.0, 8.0)]
    good = allocate(curves, [1.0, 1.0], 10.0, (1e-3, 1e3))
    assert good.D_S == pytest.approx((2.0, 8.0), rel=1e-9), "(1 / 8)^(2 / 3) of one another"
    assert shortfall(good, curves, [1.0, 1.0], (1e-3, 1e3)) < 1e-9
    bad = type(good)((5.0, 5.0), good.price, 5.0)
    assert shortfall(bad, curves, [1.0, 1.0], (1e-3, 1e3)) > 0.1
    shared = allocate(curves, [1.0, 1.0], 10.0, (1e-3, 1e3), shared=1e6)
    assert shared.D_S[0] == shared.D_S[1] == shared.longest, "a dear pass is used to its end by all"


def test_a_root_outside_is_the_end_and_one_inside_is_found():
    assert falling_root(lambda x: 3.0 - x, 4.0, 9.0) == 4.0
    assert falling_root(lambda x: 30.0 - x, 4.0, 9.0) == 9.0
    assert falling_root(lambda x: math.exp(-x) - 0.5, -5.0, 40.0) == pytest.approx(math.log(2.0), rel=1e-12)
