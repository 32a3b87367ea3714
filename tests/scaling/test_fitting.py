"""The fits: known truths come back, published optima are met, and weak data are called weak."""

import numpy as np
import pytest

from distill_lib.scaling.audit import find_points
from distill_lib.scaling.fitting import TEACHERS, fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import SupervisedLaw, published_law

LAW = published_law()
CHINCHILLA = SupervisedLaw(E=1.8172, A=477.8, B=2143.0, alpha=0.3473, beta=0.3672)
PAPER = LAW.supervised


def runs(law, N=(1e8, 2e8, 5e8, 1e9, 3e9), D=(2e9, 8e9, 3e10, 1e11), noise=0.0, seed=0):
    N, D = (axis.ravel() for axis in np.meshgrid(N, D))
    factor = np.exp(noise * np.random.default_rng(seed).standard_normal(N.size))
    return N, D, law.loss(N, D) * factor


def fixed_ratio(law, M=20.0):
    """Runs along one line: what N does and what D does cannot be told apart."""
    N = np.geomspace(1e8, 1e10, 12)
    return N, M * N, law.loss(N, M * N) * np.exp(0.005 * np.random.default_rng(0).standard_normal(12))


def nearly_fixed_ratio(law):
    N, D, _ = fixed_ratio(law)
    D = D * np.tile([0.9, 1.1], 6)
    return N, D, law.loss(N, D) * np.exp(0.005 * np.random.default_rng(0).standard_normal(12))


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


@pytest.mark.parametrize("gamma", [1.0, "free"])
def test_one_loss_below_the_floor_does_not_push_it_down(gamma):
    N, D, L = runs(CHINCHILLA, N=np.geomspace(1e8, 3e9, 8), D=np.geomspace(2e9, 1e11, 8), noise=0.003)
    clean = fit_supervised_law(N, D, L, gamma=gamma)
    L[20] = 1.5
    fit = fit_supervised_law(N, D, L, gamma=gamma)
    assert fit.law.E == pytest.approx(clean.law.E, abs=0.03)
    assert fit.law.E > L[20]
    assert fit.residuals[20] == pytest.approx(np.log(CHINCHILLA.loss(N[20], D[20]) / 1.5), abs=0.01)


def test_objective_is_the_sum_of_huber_losses():
    fit = fit_supervised_law(*runs(CHINCHILLA, noise=0.01), delta=1e-3)
    size = np.abs(fit.residuals)
    by_hand = sum(0.5 * r * r if r <= 1e-3 else 1e-3 * (r - 0.5e-3) for r in size)
    assert fit.objective == pytest.approx(by_hand, rel=1e-12)


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
        (runs(CHINCHILLA, N=(1e8, 1e9)), "failed: only 2 distinct sizes N"),
        (runs(CHINCHILLA, D=(1e9, 1e10)), "failed: only 2 distinct token counts D"),
        (runs(SupervisedLaw(0.0, 50.0, 60.0, 0.15, 0.15)), "weakly identified: E ended on a bound"),
        (fixed_ratio(CHINCHILLA), "failed: all runs have the same tokens per parameter"),
        (nearly_fixed_ratio(CHINCHILLA), "weakly identified"),
    ],
)
def test_weak_data_are_called_weak(data, words):
    fit = fit_supervised_law(*data)
    assert not fit.trusted
    assert words in fit.status
    assert words in str(fit)


def test_few_runs_are_called_few():
    N, D, L = runs(CHINCHILLA, N=(1e8, 2e8, 5e8, 1e9), D=(2e9, 8e9, 3e10), noise=0.003)
    assert "12 runs for 5 coefficients are few" in fit_supervised_law(N, D, L).status
    exact = fit_supervised_law(N, D, CHINCHILLA.loss(N, D))
    assert exact.trusted


def test_weights_count_like_repetitions():
    N, D, L = runs(CHINCHILLA, noise=0.01)
    weights = np.random.default_rng(1).integers(0, 4, N.size)
    repeated = fit_supervised_law(*(np.repeat(column, weights) for column in (N, D, L)), delta=1e-2)
    weighted = fit_supervised_law(N, D, L, weights=weights, delta=1e-2)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-9)
    assert weighted.law.E == pytest.approx(repeated.law.E, rel=1e-6)


def test_a_known_irreducible_loss_is_held():
    fit = fit_supervised_law(*runs(CHINCHILLA, noise=0.005), E=1.8172, gamma="free")
    assert fit.law.E == 1.8172
    with pytest.raises(ValueError, match="E = 5 is out of range"):
        fit_supervised_law(*runs(CHINCHILLA), E=5)


def test_influence_is_that_of_leaving_out():
    N, D, L = runs(CHINCHILLA, noise=0.01)
    fit = fit_supervised_law(N, D, L)
    table = fit.influence()
    for row in (3, 11):
        rest = np.arange(N.size) != row
        without = fit_supervised_law(N[rest], D[rest], L[rest])
        assert table["left_out"][row] == pytest.approx(
            np.log(without.law.loss(N[row], D[row]) / L[row]), abs=1e-7
        )
        assert table["E"][row] == pytest.approx(without.law.E / fit.law.E - 1, abs=1e-6)


# ------------------------------------------------------------------ the distillation law


def students(noise=0.0, seed=0):
    axes = np.meshgrid(np.geomspace(1.5e8, 7e9, 6), (10, 20, 60, 200), (1.8, 1.9, 2.0, 2.15, 2.3, 2.5, 2.8))
    N_S, M, L_T = (axis.ravel() for axis in axes)
    L_S = LAW.loss(N_S, M * N_S, L_T)
    return N_S, M * N_S, L_T, L_S * np.exp(noise * np.random.default_rng(seed).standard_normal(L_S.size))


def test_a_known_distillation_law_comes_back_from_clean_runs():
    fit = fit_distillation_law(*students(), supervised=PAPER)
    for name in fit.problem.form.names:
        assert getattr(fit.law, name) == pytest.approx(getattr(LAW, name), rel=1e-3), name
    assert np.abs(fit.residuals).max() < 1e-8


def test_from_noisy_runs_predictions_come_back_better_than_coefficients():
    data = students(noise=0.004)
    fit = fit_distillation_law(*data, supervised=PAPER, delta=1e-4)
    error = np.log(np.asarray(fit.law.loss(*data[:3])) / LAW.loss(*data[:3]))
    # 168 runs, 9 coefficients: about 0.4 % sqrt(9 / 168), and a third more for absolute deviations
    assert np.sqrt(np.mean(error**2)) < 0.002
    assert fit.law.steepness == pytest.approx(LAW.steepness, rel=0.1)
    assert fit.starts_agreeing[0] > 40
    assert not fit.trusted, "c1 and d1 cannot be told apart from such runs"


@pytest.mark.parametrize("delta", [1e-3, 1e-4])
def test_no_random_start_ends_lower(delta):
    fit = fit_distillation_law(*students(noise=0.004), supervised=PAPER, delta=delta)
    form = fit.problem.form
    rng = np.random.default_rng(3)
    low = np.array([-6, -6, 0.05, 0.05, 0.15, 0, -3, 1, 0.0])
    high = np.array([2, 2, 1.0, 1.0, 2.0, 6, 3, 40, 1.0])
    starts = rng.uniform(low, high, size=(200, 9))
    found = fit.problem.solve(np.clip(starts, form.low, form.high))
    assert found.objective.min() >= fit.objective * (1 - 1e-9)


@pytest.mark.parametrize("teacher", TEACHERS)
def test_simpler_teachers_fit_no_better(teacher):
    data = students(noise=0.004)
    whole = fit_distillation_law(*data, supervised=PAPER)
    simpler = fit_distillation_law(*data, supervised=PAPER, teacher=teacher)
    assert simpler.objective >= whole.objective * (1 - 1e-9)
    assert np.isfinite(simpler.law.loss(*data[:3])).all()


def test_a_fit_can_stand_for_the_supervised_law():
    first = fit_supervised_law(*runs(PAPER, noise=0.003), gamma="free")
    fit = fit_distillation_law(*students(noise=0.003), supervised=first)
    assert fit.law.supervised == first.law
    assert fit.supervised_fit is first


def test_students_better_than_their_teachers_are_kept():
    N_S, D_S, L_T, L_S = students()
    L_S[:9] = 0.99 * L_T[:9]
    fit = fit_distillation_law(N_S, D_S, L_T, L_S, supervised=PAPER)
    assert fit.residuals.size == L_S.size
    assert (fit.residuals[:9] > 0.009).all(), "the form cannot go below the teacher"
    hopeless = fit_distillation_law(N_S, D_S, L_T, 0.9 * L_T, supervised=PAPER)
    assert "better than its teacher" in hopeless.status


def test_a_fit_survives_json():
    import json

    fit = fit_distillation_law(*students(noise=0.003), supervised=PAPER)
    again = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert type(fit.law).from_dict(again["law"]) == fit.law
    assert again["status"] == fit.status


# ------------------------------------------------------------------ published optima


def test_the_optimum_of_the_354_points_is_better_than_the_published_law():
    points = find_points()
    if points is None:
        pytest.skip("no copy of the points at hand (distillation_points)")
    columns = [points[name] for name in ("N_S", "D_S", "L_T", "L_S")]
    fit = fit_distillation_law(*columns, supervised=PAPER)
    assert fit.mean_error < 0.0027
    assert fit.law.steepness == pytest.approx(LAW.steepness, rel=0.1)
    assert fit.status.startswith("weakly identified")


# ------------------------------------------------------------------ bad input


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"L_T": [2.0]}, r"N_S, D_S, L_T and L_S have shapes"),
        ({"L_S": [2.0, -1.0, 3.0]}, r"L_S\[1\] = -1.0 is out of range"),
        ({"supervised": 3}, "supervised = 3 is neither a SupervisedLaw nor its fit"),
        ({"teacher": "half"}, "teacher = 'half' is unknown"),
        ({"weights": np.ones(3)}, r"weights has shape \[3\]; give one for each of 168 runs"),
        ({"weights": np.r_[-1.0, np.ones(167)]}, r"weights\[0\] = -1.0 is out of range"),
    ],
)
def test_bad_students(change, message):
    N_S, D_S, L_T, L_S = students()
    arguments = {"N_S": N_S, "D_S": D_S, "L_T": L_T, "L_S": L_S, "supervised": PAPER, **change}
    with pytest.raises(ValueError, match=message):
        fit_distillation_law(**arguments)
