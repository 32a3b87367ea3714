"""Chance and form told apart, on errors whose two parts are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.lack_of_fit import lack_of_fit


def errors(
    form: float, seeds: float, *, configurations: int = 400, each: int = 3
) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(0)
    off = form * rng.standard_normal(configurations)
    residuals = np.repeat(off, each) + seeds * rng.standard_normal(configurations * each)
    return residuals, pd.DataFrame({"N": np.repeat(np.arange(configurations), each), "D": 1})


def test_both_parts_come_back():
    found = lack_of_fit(*errors(0.004, 0.006))
    assert found.seeds == pytest.approx(0.006, rel=0.05)
    assert found.form == pytest.approx(0.004, rel=0.1)
    assert (found.runs, found.configurations, found.repeated) == (1200, 400, 400)
    shown = found.percent()
    assert shown["rms"] ** 2 == pytest.approx(shown["seeds"] ** 2 + shown["form"] ** 2)


def test_a_true_form_errs_by_what_seeds_explain():
    found = lack_of_fit(*errors(0.0, 0.006))
    assert found.mean_error == pytest.approx(found.least, rel=0.03)
    assert found.form < 0.001


def test_single_runs_count_for_the_error_alone():
    residuals, where = errors(0.0, 0.006, configurations=5)
    more = lack_of_fit(np.append(residuals, 0.5), pd.concat([where, pd.DataFrame({"N": [99], "D": [1]})]))
    assert more.seeds == pytest.approx(lack_of_fit(residuals, where).seeds)
    assert more.worst == pytest.approx(np.expm1(0.5))
    assert more.repeated == 5


def test_without_repeats_nothing_can_be_told():
    with pytest.raises(ValueError, match=r"no two runs agree in N, D.*more seeds"):
        lack_of_fit([0.1, 0.2], pd.DataFrame({"N": [1, 2], "D": [1, 1]}))


def test_errors_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"shape \[3\] for 2 rows"):
        lack_of_fit([0.1, 0.2, 0.3], pd.DataFrame({"N": [1, 1]}))
    with pytest.raises(ValueError, match=r"residuals\[1\] is nan"):
        lack_of_fit([0.1, np.nan], pd.DataFrame({"N": [1, 1]}))
