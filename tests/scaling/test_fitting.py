"""The fit of the supervised law: known truths come back, and weak data are called weak."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from distill_lib.scaling.fitting import _Problem, fit_supervised_law
from distill_lib.scaling.laws import SupervisedLaw, published_law

CHINCHILLA = SupervisedLaw(E=1.8172, A=477.8, B=2143.0, alpha=0.3473, beta=0.3672)
PAPER = published_law().supervised


def runs(law, N=(1e8, 2e8, 5e8, 1e9, 3e9), D=(2e9, 8e9, 3e10, 1e11), noise=0.0, seed=0):
    N, D = (axis.ravel() for axis in np.meshgrid(N, D))
    factor = np.exp(noise * np.random.default_rng(seed).standard_normal(N.size))
    return N, D, law.loss(N, D) * factor


@pytest.mark.parametrize(
    ("law", "gamma"), [(CHINCHILLA, 1.0), (CHINCHILLA, "free"), (PAPER, "free"), (PAPER, 0.452)]
)
def test_a_known_law_comes_back_from_clean_runs(law, gamma):
    fit = fit_supervised_law(*runs(law), gamma=gamma)
    for name in ("E", "A", "B", "alpha", "beta", "gamma"):
        assert getattr(fit.law, name) == pytest.approx(getattr(law, name), rel=1e-4), name
    assert fit.trusted
    assert fit.objective < 1e-16
    assert np.abs(fit.residuals).max() < 1e-8


def test_noise_of_half_a_percent_moves_predictions_by_less():
    N, D, L = runs(CHINCHILLA, noise=0.005)
    fit = fit_supervised_law(N, D, L)
    # 20 runs, 5 coefficients: the mean error of a prediction is about 0.5 % sqrt(5 / 20)
    error = np.log(fit.law.loss(N, D) / CHINCHILLA.loss(N, D))
    assert np.sqrt(np.mean(error**2)) < 0.005
    assert fit.law.alpha == pytest.approx(CHINCHILLA.alpha, abs=0.1)


def test_outliers_hardly_matter():
    N, D, L = runs(CHINCHILLA, N=np.geomspace(1e8, 3e9, 8), D=np.geomspace(2e9, 1e11, 8))
    L[5] *= 1.3
    fit = fit_supervised_law(N, D, L)
    assert fit.law.E == pytest.approx(CHINCHILLA.E, abs=0.01)
    assert fit.residuals[5] == pytest.approx(-np.log(1.3), abs=0.01)


def test_objective_is_the_sum_of_huber_losses():
    fit = fit_supervised_law(*runs(CHINCHILLA, noise=0.01), delta=1e-3)
    size = np.abs(fit.residuals)
    by_hand = sum(0.5 * r * r if r <= 1e-3 else 1e-3 * (r - 0.5e-3) for r in size)
    assert fit.objective == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("gamma", [1.0, "free"])
def test_jacobian_equals_differences(gamma):
    problem = _Problem(*runs(PAPER, noise=0.01), gamma, 1e-3)
    theta = np.array([0.6, -0.3, 0.2, 0.18, 0.2, 0.45])[: problem.low.size]
    for i in range(5):
        numeric = approx_fprime(theta, lambda t, i=i: problem.residuals(t)[i], 1e-7)
        assert problem.jacobian(theta)[i] == pytest.approx(numeric, rel=1e-4, abs=1e-6)


def test_the_optimum_is_stationary():
    N, D, L = runs(CHINCHILLA, noise=0.01)
    fit = fit_supervised_law(N, D, L)
    for name in ("E", "A", "B", "alpha", "beta"):
        for factor in (0.9999, 1.0001):
            values = {**fit.law.to_dict(), name: getattr(fit.law, name) * factor}
            size = np.abs(np.log(SupervisedLaw.from_dict(values).loss(N, D) / L))
            assert np.where(size <= 1e-3, size**2 / 2, 1e-3 * (size - 5e-4)).sum() >= fit.objective


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (runs(CHINCHILLA, N=(1e8, 1e9)), "only 2 distinct sizes N"),
        (runs(CHINCHILLA, D=(1e9, 1e10)), "only 2 distinct token counts D"),
        (runs(SupervisedLaw(1e-7, 50.0, 60.0, 0.15, 0.15)), "E ended on a bound"),
    ],
)
def test_weak_data_are_called_weak(data, words):
    fit = fit_supervised_law(*data)
    assert not fit.trusted
    assert words in fit.status
    assert words in str(fit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"N": [1e9]}, r"shapes \{'N': \[1\], 'D': \[20\], 'L': \[20\]\}"),
        ({"L": -np.ones(20)}, r"L\[0\] = -1.0 is out of range"),
        ({"D": np.full(20, np.nan)}, r"D\[0\] = nan is out of range"),
        ({"gamma": 0.0}, r"gamma = 0.0 is out of range"),
        ({"gamma": "both"}, r"gamma = 'both' is not a number"),
        ({"delta": 0.0}, r"delta = 0.0 is out of range"),
    ],
)
def test_bad_input(change, message):
    N, D, L = runs(CHINCHILLA)
    with pytest.raises(ValueError, match=message):
        fit_supervised_law(**{"N": N, "D": D, "L": L, **change})


def test_fewer_runs_than_coefficients():
    with pytest.raises(ValueError, match="4 runs cannot fix 5 coefficients"):
        fit_supervised_law([1e8, 1e9, 1e8, 1e9], [1e9, 1e9, 1e10, 1e10], [3.0, 2.8, 2.9, 2.7])
