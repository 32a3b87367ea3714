"""The closed form of the kernel demonstration against projections carried out."""

import numpy as np
import pytest

from distill_lib.scaling.kernel_regression import KernelRegression, draw_rises, draw_target

BASIS = 40


def project(target, columns, radius):
    """Nearest function to the target with a norm of at most radius, in the span of orthonormal columns."""
    weights, *_ = np.linalg.lstsq(columns, target, rcond=None)
    return columns @ weights * min(1.0, radius / np.linalg.norm(weights))


@pytest.fixture(scope="module")
def functions():
    """Orthonormal functions as columns: values at 60 points."""
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(60, BASIS)))
    return q


@pytest.mark.parametrize(("T", "D"), [(2.0, 1.8), (2.0, 2.0), (50.0, 40.0), (0.5, 0.1)])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (10, 20), (20, 10), (40, 25), (25, 40), (40, 40)])
def test_errors_are_those_of_explicit_projection(functions, m, n, T, D):
    problem = draw_target(BASIS, seed=3, T=T, D=D)
    target = functions @ problem.coefficients
    teacher = project(target, functions[:, :m], T)
    student = project(teacher, functions[:, :n], D)
    assert problem.teacher_error(m) == pytest.approx(np.linalg.norm(teacher - target))
    assert problem.student_error(m, n) == pytest.approx(np.linalg.norm(student - target))


def test_no_other_function_in_the_ball_is_nearer(functions):
    rng = np.random.default_rng(5)
    problem = draw_target(BASIS, seed=3, T=1.5, D=1.0)
    target = functions @ problem.coefficients
    for _ in range(200):
        weights = rng.normal(size=20)
        weights *= 1.5 * rng.random() / np.linalg.norm(weights)
        assert np.linalg.norm(functions[:, :20] @ weights - target) >= problem.teacher_error(20)


def test_the_gap_begins_where_the_teacher_outgrows_the_student_by_T_over_D_squared():
    problem, m = draw_target(), np.arange(1, 1001)
    assert problem.best_teacher_ends == pytest.approx(1.2346, abs=1e-4)
    for n in (300, 500, 700):
        error = problem.student_error(m, n)
        flat = m[np.isclose(error, error.min(), rtol=1e-9)]
        assert flat[0] <= n
        assert flat[-1] == pytest.approx(problem.best_teacher_ends * n, rel=0.04)
        assert np.all(np.diff(error[flat[-1] :]) >= -1e-12)
        assert np.all(np.diff(error[: flat[0]]) <= 1e-12)
    assert np.all(np.diff(problem.teacher_error(m)) < 0)


def test_the_same_seed_gives_the_same_target_and_another_one_another():
    np.testing.assert_array_equal(draw_target(seed=1).coefficients, draw_target(seed=1).coefficients)
    assert not np.array_equal(draw_target(seed=1).coefficients, draw_target(seed=2).coefficients)
    assert np.abs(draw_target().coefficients).max() <= 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: KernelRegression(np.ones((2, 2))), "coefficients"),
        (lambda: KernelRegression(np.array([1.0, np.nan])), "coefficients"),
        (lambda: KernelRegression(np.ones(3), T=1.0, D=2.0), "D = 2.0"),
        (lambda: draw_target(10).teacher_error(11), "m = 11"),
        (lambda: draw_target(10).student_error(1, 0), "n = 0"),
        (lambda: draw_target(10).student_error(1, 2.5), "n = 2.5"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_rise_is_the_last_error_above_the_least_one():
    problem, m = draw_target(60, seed=4, T=2.0, D=1.9), np.arange(1, 61)
    expected = [problem.student_error(60, n) - problem.student_error(m, n).min() for n in (10, 30, 60)]
    np.testing.assert_allclose(problem.rise([10, 30, 60]), expected, atol=1e-14)
    assert problem.rise(10) == pytest.approx(expected[0])
    assert problem.rise(10) > problem.rise(60) == 0.0


def test_draws_of_one_seed_share_their_targets_whatever_the_norms():
    first = draw_rises([10, 20], T=2.0, D=2.0, draws=3, size=40, seed=1)
    assert first.shape == (3, 2)
    np.testing.assert_allclose(first[1], draw_target(40, seed=2, T=2.0, D=2.0).rise([10, 20]))
    # Norms that none of the targets has bind nobody: the largest teacher is as good as the best.
    np.testing.assert_allclose(draw_rises([10], T=50.0, D=50.0, draws=3, size=40), 0.0, atol=1e-12)
    with pytest.raises(ValueError, match="draws = 0"):
        draw_rises([10], draws=0)
