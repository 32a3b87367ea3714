"""The picture of a plan shows the plan's own numbers, every crossover, and the capacity gap."""

import numpy as np
import pytest

import distill_lib as dl
from distill_lib import figures
from distill_lib.figures.style import PAGE_WIDTH


def line(ax, label):
    (found,) = [each for each in ax.get_lines() if str(each.get_label()).startswith(label)]
    return np.array(found.get_data(), dtype=float)


def test_it_shows_the_plan_on_both_curves():
    p = dl.plan(1e9, 1e21)
    fig, (left, right) = p.plot()
    assert fig.get_size_inches()[0] <= PAGE_WIDTH
    assert line(left, "this plan").ravel() == pytest.approx([p.C, p.L_S])
    assert line(right, "this plan").ravel() == pytest.approx([p.L_T, p.L_S])
    C, L = line(left, "distilled")
    assert np.interp(np.log(p.C), np.log(C), L) == pytest.approx(p.L_S, rel=1e-6)
    assert line(left, "supervised")[1][30] == pytest.approx(p.L_supervised, rel=1e-9)
    for ax in (left, right):
        assert "nats/token" in ax.get_ylabel()
    assert "FLOPs" in left.get_xlabel()
    assert "published law, reconciled reading" in fig.get_suptitle()


def test_a_plan_passes_options_on():
    p = dl.plan(1e9, 1e21)
    left, right = p.plot(decades=0.5, points=11, L_T=(1.9, 2.3))[1]
    assert left.get_xlim() == pytest.approx((p.C / 10**0.5, p.C * 10**0.5))
    assert right.get_xlim() == pytest.approx((1.9, 2.3))


def test_the_crossover_is_that_of_the_search():
    p = dl.plan(1e9, 1e21)
    C, L = line(p.plot()[1][0], "crossover").ravel()
    found = dl.crossover(1e9, "teacher_inference")
    assert pytest.approx(found.C, rel=1e-5) == C
    assert pytest.approx(found.L, rel=1e-6) == L


def test_without_a_crossover_none_is_marked():
    left = dl.plan(1e10, 1e23, "teacher_pretraining_inference").plot()[1][0]
    assert not [each for each in left.get_lines() if str(each.get_label()).startswith("crossover")]


@pytest.mark.parametrize(
    "question",
    [
        {"target_loss": 2.3},
        {"D_S": 2e10},
        {"C": 1e22, "scenario": "best_case", "teachers": [1.9, 2.0, 2.1]},
        {"C": 1e21, "max_D_S": 2e10, "inference_tokens": 1e11},
    ],
)
def test_the_best_teacher_is_the_lowest_point(question):
    p = dl.plan(1e9, **question)
    _, (left, right) = figures.plan_charts(p, points=11, decades=1)
    L_T, L_S = line(right, "distilled")
    best = line(right, "best teacher").ravel()
    assert best == pytest.approx(p.law.best_teacher(1e9, p.D_S))
    assert best[1] <= L_S.min() + 1e-12
    assert L_T[0] <= p.L_T <= L_T[-1]
    assert line(left, "this plan").ravel() == pytest.approx([p.C, p.L_S])


def test_budgets_that_buy_nothing_are_left_blank():
    left = figures.plan_charts(dl.plan(1e9, 1e17), points=21, decades=3)[1][0]
    assert np.isnan(line(left, "distilled")[1][0])
    assert np.isfinite(line(left, "distilled")[1][-1])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="give 5 points at least, and decades above 0"):
        figures.plan_charts(dl.plan(1e9, 1e21), points=3)
