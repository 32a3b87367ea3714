"""Minima of small IsoFLOP lines, against lines whose minimum is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.valleys import valleys

SIZES = np.array([6e3, 14e3, 25e3, 55e3, 98e3])


def lines(best: float, noise: float = 0.0, seeds: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "budget": C,
            "seed": seed,
            "N": N,
            "L": 3.0 + 0.1 * np.log(N / best) ** 2 + noise * rng.standard_normal(),
        }
        for C in (1e10, 2e10)
        for seed in range(seeds)
        for N in SIZES
    )


@pytest.mark.parametrize("best", [1.1e4, 2.5e4, 6e4])
def test_an_exact_parabola_is_recovered(best: float):
    found = valleys(lines(best), "budget")
    assert np.allclose(found["N_best"], best)
    assert np.allclose(found["L_best"], 3.0)
    assert found["inside"].all()
    assert list(found["seeds"]) == [4, 4]


def test_a_minimum_beyond_the_line_is_not_inside():
    found = valleys(lines(1e6), "budget")
    assert not found["inside"].any()
    assert np.allclose(found["N_best"], SIZES[-1])


def test_the_spread_over_seeds_covers_the_truth():
    found = valleys(lines(2.5e4, noise=0.01, seeds=20), "budget")
    error = np.log(found["N_best"] / 2.5e4)
    standard = np.arcsinh(found["N_best_sd"] / found["N_best"]) / np.sqrt(20)
    assert (np.abs(error) < 4 * standard).all()
    assert (standard > 0).all()


def test_two_sizes_make_no_valley():
    table = lines(2.5e4)
    with pytest.raises(ValueError, match="a line of 2 sizes"):
        valleys(table[table["N"].isin(SIZES[:2])], "budget")
