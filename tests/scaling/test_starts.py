"""The screen: good places to begin, also where there are more runs than it looks at."""

import numpy as np
import pytest

from distill_lib.scaling import newton, starts
from distill_lib.scaling.forms import DistillationForm, SupervisedForm
from distill_lib.scaling.laws import published_law

LAW = published_law()
RNG = np.random.default_rng(0)
N = np.sort(np.exp(RNG.uniform(np.log(1e8), np.log(1e10), 5_000)))  # sorted, as tables often are
D = 20 * N * np.exp(RNG.normal(size=N.size))
L_T = RNG.uniform(1.9, 2.8, N.size)
NOISE = np.exp(0.004 * RNG.normal(size=N.size))


def law_and_screen(kind):
    if kind == "supervised":
        L = LAW.supervised.loss(N, D) * NOISE
        return SupervisedForm.at(N, D, float(L.min()), {}), starts.supervised_starts, np.log(L)
    form = DistillationForm.at(N, D, L_T, LAW.supervised.loss(N, D))
    return form, starts.distillation_starts, np.log(LAW.loss(N, D, L_T) * NOISE)


@pytest.mark.parametrize("kind", ["supervised", "distillation"])
def test_of_many_runs_enough_are_screened_to_reach_the_optimum_of_all(kind, monkeypatch):
    form, screen, log_L = law_and_screen(kind)
    weights = np.ones(N.size)
    weights[::5] = 0.0
    log_L = np.where(weights > 0.0, log_L, 0.0)  # runs without weight are not to be seen
    few = screen(form, log_L, weights, 4)
    monkeypatch.setattr(starts, "_ENOUGH", N.size)
    every = screen(form, log_L, weights, 4)
    assert few.shape == every.shape
    ends = [
        newton.minimise(form, begin, log_L, weights, newton.stages(1e-2, 0.02)).objective.min()
        for begin in (few, every)
    ]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_the_same_runs_give_the_same_starts():
    form, screen, log_L = law_and_screen("supervised")
    assert (screen(form, log_L, np.ones(N.size), 8) == screen(form, log_L, np.ones(N.size), 8)).all()
