"""The profile of E, on runs whose E is known."""

from __future__ import annotations

import numpy as np
import pytest

from distill_lib.scaling.irreducible import DEVIANCE_95, profile_of_E
from distill_lib.scaling.laws import SupervisedLaw

TRUTH = SupervisedLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)


def runs(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    N, D = (axis.ravel() for axis in np.meshgrid([1e8, 3e8, 1e9, 3e9], [2e9, 1e10, 5e10]))
    rng = np.random.default_rng(3)
    return N, D, TRUTH.loss(N, D) * np.exp(noise * rng.laplace(size=N.size))


def test_the_true_value_fits_best():
    table = profile_of_E(*runs(0.001), [1.5, 1.7, 1.8, 1.9], gamma=1.0)
    assert table.loc[table["deviance"].idxmin(), "E"] == 1.8
    assert table["deviance"].min() == 0.0
    assert table.loc[table["E"] == 1.5, "deviance"].item() > DEVIANCE_95


def test_the_deviance_is_that_of_laplace_errors():
    table = profile_of_E(*runs(0.001), [1.7, 1.8], gamma=1.0)
    expected = 2 * 12 * np.log(table["objective"] / table["objective"].min())
    assert table["deviance"].tolist() == pytest.approx(expected.tolist())


def test_values_above_the_losses_are_refused():
    with pytest.raises(ValueError, match="E = 9"):
        profile_of_E(*runs(0.0), [1.8, 9.0])
    with pytest.raises(ValueError, match="on one axis"):
        profile_of_E(*runs(0.0), [])
