"""The laws in the coordinates of the search: the same laws, with derivatives that differences confirm."""

import numpy as np
import pytest

from distill_lib.scaling import newton
from distill_lib.scaling.forms import DistillationForm, SupervisedForm, _saturation
from distill_lib.scaling.laws import published_law

LAW = published_law()
RNG = np.random.default_rng(0)
N = np.exp(RNG.uniform(np.log(1e8), np.log(1e10), 40))
D = 20 * N * np.exp(RNG.normal(size=40))
L_T = RNG.uniform(1.9, 2.8, 40)


def supervised_form(**hold):
    return SupervisedForm.at(N, D, 1.9, hold)


def distillation_form(**options):
    return DistillationForm.at(N, D, L_T, LAW.supervised.loss(N, D), **options)


def test_coordinates_give_the_same_losses_and_coefficients():
    form = supervised_form()
    theta = form.theta(LAW.supervised)[None]
    assert np.exp(form.evaluate(theta)[0][0]) == pytest.approx(LAW.supervised.loss(N, D), rel=1e-12)
    for name, value in form.coefficients(theta).items():
        assert value[0] == pytest.approx(getattr(LAW.supervised, name), rel=1e-10), name


def test_distillation_coordinates_give_the_same_losses_and_coefficients():
    form = distillation_form()
    theta = form.theta(LAW)[None]
    assert np.exp(form.evaluate(theta)[0][0]) == pytest.approx(LAW.loss(N, D, L_T), rel=1e-12)
    for name, value in form.coefficients(theta).items():
        assert value[0] == pytest.approx(getattr(LAW, name), rel=1e-10), name


def cases():
    supervised, distillation = supervised_form(), distillation_form()
    theta = distillation.theta(LAW)
    blunt, steep = theta.copy(), theta.copy()
    blunt[8], steep[8] = 1e-9, 3.0
    return {
        "supervised": (supervised, supervised.theta(LAW.supervised)),
        "distillation": (distillation, theta),
        "end of the break out of sight": (distillation, blunt),
        "end of the break in the data": (distillation, steep),
    }


@pytest.mark.parametrize("case", list(cases()))
def test_derivatives_equal_differences(case):
    form, theta = cases()[case]
    y = form.evaluate((theta * 1.01)[None])[0][0]
    weights = np.random.default_rng(1).integers(0, 3, 40).astype(float)

    def look(at):
        objective, gradient, hessian = newton.derivatives(form, at[None], y, weights, 1.0)
        return objective[0], gradient[0], hessian[0]

    _, gradient, hessian = look(theta)
    unit = np.sqrt(np.abs(np.diag(hessian)))
    for i in range(theta.size):
        step = np.zeros_like(theta)
        step[i] = 1e-5 * max(1.0, abs(theta[i])) if theta[i] != 1e-9 else 1e-6
        back = step if theta[i] != 1e-9 else 0.0 * step  # w = 0 is the end of its range
        above, below = look(theta + step), look(theta - back)
        width = step[i] + back[i] if theta[i] != 1e-9 else step[i]
        assert (above[0] - below[0]) / width == pytest.approx(gradient[i], rel=1e-4, abs=1e-4 * unit[i])
        numeric = (above[1] - below[1]) / width
        assert np.abs((numeric - hessian[i]) / (unit * unit[i])).max() < 2e-4
    slopes = form.slopes(theta[None])[0]
    first = weights * (form.evaluate(theta[None])[0][0] - y)
    assert slopes @ first == pytest.approx(gradient, rel=1e-10)


def test_the_saturation_is_smooth_where_its_two_formulas_meet():
    u = np.array([0.0, 1e-12, 0.0099999999, 0.0100000001, 1.0, 1e6])
    value, first, second, _ = _saturation(u)
    assert value[:2] == pytest.approx([1.0, 1.0])
    assert (first[0], second[0]) == pytest.approx((-0.5, 2.0 / 3.0))
    for part, tolerance in ((value, 1e-12), (first, 1e-10), (second, 1e-8)):
        assert part[2] == pytest.approx(part[3], rel=max(tolerance, 1e-9))
    assert value[4] == pytest.approx(np.log(2.0))


def test_simpler_teachers_hold_what_they_leave_out():
    assert (distillation_form(teacher="sharp").low == distillation_form(teacher="sharp").high).sum() == 1
    assert (
        distillation_form(teacher="no break").low == distillation_form(teacher="no break").high
    ).sum() == 3
    floor = distillation_form(teacher="floor")
    assert (floor.low == floor.high).sum() == 4
    theta = np.clip(distillation_form().theta(LAW), floor.low, floor.high)[None]
    by_hand = L_T + (np.exp(floor.evaluate(theta)[0][0]) - L_T)
    # neither a power of L_T nor a break: the student's term does not know the teacher
    excess = by_hand - L_T
    again = DistillationForm.at(N, D, L_T + 1.0, LAW.supervised.loss(N, D), teacher="floor")
    assert np.exp(again.evaluate(theta)[0][0]) - (L_T + 1.0) == pytest.approx(excess, rel=1e-6)


def test_each_row_may_have_its_own_supervised_law():
    form = distillation_form()
    theta = np.repeat(form.theta(LAW)[None], 2, axis=0)
    other = np.log(L_T) - np.log(LAW.supervised.loss(N, 2 * D)) - form.centre[3]
    both = DistillationForm(
        form.x, form.y, form.lean, np.stack([form.z, other]), L_T, form.centre, form.low, form.high
    )
    together = both.evaluate(theta)[0]
    assert together[0] == pytest.approx(form.evaluate(theta[:1])[0][0], rel=1e-14)
    alone = both.part(np.array([1])).evaluate(theta[1:])[0][0]
    assert together[1] == pytest.approx(alone, rel=1e-14)
    assert not np.allclose(together[0], together[1])
