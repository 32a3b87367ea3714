"""The solver: a narrow Huber loss is met at its optimum, for every row of a batch."""

import itertools

import numpy as np
import pytest

from distill_lib.scaling import newton
from distill_lib.scaling.forms import SupervisedForm
from distill_lib.scaling.laws import SupervisedLaw

TRUTH = SupervisedLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 7), np.geomspace(2e9, 2e11, 6)))
LOG_L = np.log(TRUTH.loss(N, D)) + 0.01 * np.random.default_rng(0).standard_t(3, size=N.size)
FORM = SupervisedForm.at(N, D, float(np.exp(LOG_L.min())), {})


def test_huber_loss_is_a_square_inside_and_a_line_outside():
    values = newton.huber_loss(np.array([0.0, 0.5, -1.0, 3.0, -3.0]), 1.0)
    assert values == pytest.approx([0.0, 0.125, 0.5, 2.5, 2.5])


@pytest.mark.parametrize(("delta", "scale"), [(1e-3, 1e-2), (1e-4, 1e-2), (1.0, 1e-2), (1e-3, 1e-12)])
def test_stages_fall_to_the_width_wanted(delta, scale):
    widths = newton.stages(delta, scale)
    assert widths[-1] == delta
    assert all(a > b for a, b in itertools.pairwise(widths))


@pytest.mark.parametrize("delta", [1e-1, 1e-3, 1e-5])
def test_no_neighbour_is_lower(delta):
    start = np.repeat(FORM.theta(TRUTH)[None], 3, axis=0) * np.array([[1.0], [0.9], [1.05]])
    found = newton.minimise(FORM, start, LOG_L, np.ones(N.size), newton.stages(delta, 0.02))
    assert found.converged.all()
    assert np.ptp(found.objective) < 1e-9 * found.objective[0]
    rng = np.random.default_rng(1)
    for size in (1e-2, 1e-4, 1e-6):
        near = np.clip(found.theta[:1] + size * rng.normal(size=(400, 6)), FORM.low, FORM.high)
        residuals = FORM.evaluate(near)[0] - LOG_L
        assert newton.huber_loss(residuals, delta).sum(axis=1).min() >= found.objective[0] * (1 - 1e-12)


def test_rows_of_a_batch_do_not_know_of_each_other():
    rng = np.random.default_rng(2)
    weights = rng.multinomial(N.size, np.full(N.size, 1 / N.size), size=9).astype(float)
    y = LOG_L + 0.002 * rng.normal(size=(9, N.size))
    start = np.repeat(FORM.theta(TRUTH)[None], 9, axis=0)
    widths = newton.stages(1e-3, 0.01)
    together = newton.minimise(FORM, start, y, weights, widths)
    for row in (0, 4, 8):
        alone = newton.minimise(FORM, start[[row]], y[row], weights[row], widths)
        assert alone.objective[0] == pytest.approx(together.objective[row], rel=1e-10)


def test_a_held_coefficient_stays_and_a_bound_is_kept():
    held = SupervisedForm.at(N, D, float(np.exp(LOG_L.min())), {"gamma": 1.0, "E": 1.5})
    found = newton.minimise(held, held.theta(TRUTH)[None], LOG_L, np.ones(N.size), (1e-3,))
    assert found.theta[0, [0, 5]].tolist() == [1.5, 1.0]
    no_floor = SupervisedForm.at(N, D, 1.0, {})
    steep = newton.minimise(
        no_floor,
        no_floor.theta(TRUTH)[None],
        np.log(50.0 * N**-0.2 + 60.0 * D**-0.2),
        np.ones(N.size),
        (1e-2,),
    )
    assert (steep.theta >= no_floor.low).all()
    assert (steep.theta <= no_floor.high).all()


def test_the_lower_end_of_each_row_is_kept():
    one = newton.Solutions(np.zeros((3, 2)), np.array([1.0, 2.0, 3.0]), np.zeros(3), np.ones(3, dtype=bool))
    two = newton.Solutions(np.ones((2, 2)), np.array([5.0, 1.5]), np.zeros(2), np.ones(2, dtype=bool))
    both = one.better(two, np.array([0, 2]))
    assert both.objective.tolist() == [1.0, 2.0, 1.5]
    assert both.theta[:, 0].tolist() == [0.0, 0.0, 1.0]
    assert one.objective.tolist() == [1.0, 2.0, 3.0]
