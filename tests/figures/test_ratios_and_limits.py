"""Figs 10, 33, 34, 36 and 40: cost ratios, the supervised law, unlimited data, kernel regression."""

import numpy as np
import pytest

import distill_lib as dl
from distill_lib import figures
from distill_lib.figures.style import SCENARIO_LABELS
from distill_lib.scaling.kernel_regression import draw_target

INFERENCE = SCENARIO_LABELS["teacher_inference"]


def at(line, loss):
    x, y = line
    return np.exp(np.interp(loss, x[::-1], np.log(y)[::-1]))


@pytest.fixture(scope="module")
def ratios(law, drawn):
    sizes = (500e6, 10e9)
    return {
        name: [drawn(ax).lines for ax in getattr(figures, name)(law, N_S=sizes, points=181)[1].flat[:2]]
        for name in ("fig33_compute_ratio", "fig34_token_ratio")
    }


@pytest.mark.parametrize(
    ("name", "stated", "found"),
    # App D.5 names pretraining + inference; only teacher inference comes near its words.
    [
        ("fig33_compute_ratio", (3 / 4, 1 / 2), (0.767, 0.448)),
        ("fig34_token_ratio", (2 / 3, 1 / 2), (0.578, 0.369)),
    ],
)
def test_app_d5(name, stated, found, ratios, law):
    for i, (size, loss) in enumerate(((500e6, 2.4), (10e9, 2.2))):
        lines = ratios[name][i]
        value = at(lines[INFERENCE], loss)
        assert value == pytest.approx(found[i], abs=0.002)
        assert abs(np.log(value / stated[i])) < 0.31
        assert at(lines[SCENARIO_LABELS["teacher_pretraining_inference"]], loss) > 1.7
        plan = dl.plan(size, target_loss=loss, law=law)
        exact = plan.C / plan.C_supervised if "compute" in name else plan.D_S / plan.D_supervised
        assert value == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("name", ["fig33_compute_ratio", "fig34_token_ratio"])
def test_distilling_saves_away_from_the_floor_and_not_near_it(name, ratios, law):
    for lines, size in zip(ratios[name], (500e6, 10e9), strict=True):
        floor = law.supervised.floor(size)
        for scenario in ("best_case", "teacher_inference"):
            line = lines[SCENARIO_LABELS[scenario]]
            assert at(line, floor + 0.15) < 1
            assert line[1][line[0] < floor + 0.015].max() > 1


def test_figure_33_marks_what_the_paper_states(law):
    _, axes = figures.fig33_compute_ratio(law, N_S=(500e6, 1e9), points=31)
    diamonds = [[line for line in ax.lines if line.get_marker() == "D"] for ax in axes.flat[:2]]
    assert [len(d) for d in diamonds] == [1, 0]
    assert diamonds[0][0].get_xydata().tolist() == [[2.4, 0.75]]


def test_figure_34_counts_teacher_tokens_where_the_teacher_is_trained(law, drawn):
    _, axes = figures.fig34_token_ratio(law, N_S=(1e9,), points=61)
    lines = drawn(axes.flat[0]).lines
    plan = dl.plan(1e9, target_loss=2.3, scenario="teacher_pretraining", law=law)
    expected = (plan.D_S + plan.D_T) / plan.D_supervised
    assert at(lines[SCENARIO_LABELS["teacher_pretraining"]], 2.3) == pytest.approx(expected, rel=0.01)


def test_figure_36_profiles_have_their_lowest_point_where_it_is_marked(law):
    _, axes = figures.fig36_supervised_curves(law, points=401)
    profiles = axes[0, 1].lines
    for curve, dot, size, loss in zip(
        profiles[::2],
        profiles[1::2],
        (0.50e9, 0.93e9, 1.64e9, 3.04e9),
        (2.572, 2.419, 2.296, 2.177),
        strict=True,
    ):
        lowest = int(np.argmin(curve.get_ydata()))
        assert curve.get_xdata()[lowest] == pytest.approx(dot.get_xdata()[0], rel=0.02)
        assert dot.get_xdata()[0] == pytest.approx(size, rel=0.015)
        assert dot.get_ydata()[0] == pytest.approx(loss, abs=0.001)
    fixed_ratio, fixed_tokens = axes[0, 0].lines
    sizes = np.asarray(fixed_ratio.get_xdata())
    np.testing.assert_allclose(fixed_ratio.get_ydata(), law.supervised.loss(sizes, 20 * sizes))
    np.testing.assert_allclose(fixed_tokens.get_ydata(), law.supervised.loss(sizes, 512e9))


def test_figure_36_takes_a_supervised_law_as_well(law):
    _, axes = figures.fig36_supervised_curves(law.supervised, points=5)
    _, others = figures.fig36_supervised_curves(law, points=5)
    np.testing.assert_array_equal(axes[0, 0].lines[0].get_ydata(), others[0, 0].lines[0].get_ydata())


def test_figure_40_floors_agree_up_to_100B_and_part_beyond(law, printed, drawn):
    _, axes = figures.fig40_infinite_data(law, points=81)
    sizes, percent = np.asarray(axes[1].lines[0].get_xdata()), np.asarray(axes[1].lines[0].get_ydata())
    floors = drawn(axes[0]).lines
    best = law.best_teacher(sizes, None)[1]
    np.testing.assert_allclose(next(y for k, (_, y) in floors.items() if "distilled" in k), best)
    near = percent[sizes <= 1e11]
    # The paper: the curves agree.
    assert (near.min(), near.max()) == pytest.approx((-0.77, 0.51), abs=0.02)
    assert percent[-1] == pytest.approx(-3.84, abs=0.01)
    # Without a D_S term B' plays no part.
    np.testing.assert_allclose(printed.best_teacher(sizes, None)[1], best)


def test_figure_10_shows_the_capacity_gap_of_the_closed_form():
    _, ax = figures.fig10_kernel_regression()
    problem = draw_target()
    teacher, *students = [line for line in ax.lines if len(line.get_xdata()) > 1]
    assert np.all(np.diff(teacher.get_ydata()) < 0)
    for line, n in zip(students, (300, 400, 500, 600, 700, 800), strict=True):
        error = np.asarray(line.get_ydata())
        np.testing.assert_allclose(error, problem.student_error(np.arange(1, 1001), n))
        assert error[n - 1] == pytest.approx(error.min())
        # With seed 0 the plateau of n = 800 reaches the end of the basis.
        assert error[-1] > error.min() + 0.2 or n == 800
        assert 14 < error.min() < error.max() < 19
