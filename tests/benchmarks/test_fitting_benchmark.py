"""The fitting benchmark: its parts run, and what it compares with is what it says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad

from distill_lib.scaling.fitting import fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import published_law

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
TINY = (
    "--starts 3 --draws 8 --bootstraps 2 --students 60 --students-draws 4 --random-starts 3 --scipy-starts 1 "
    "--points 30 60 --bootstrap-draws 4 8 --repeats 1"
)


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import points
    import published_way

    return points, published_way


def test_all_parts_run_and_say_what_they_measured(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            str(FOLDER / "fitting.py"),
            *TINY.split(),
            "--python",
            str(tmp_path / "none"),
        ],
        env={**os.environ, "DISTILL_LIB_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words in (
        "240 runs: simulated",
        "3 random ones of 4,500 starts",
        "not measured: there is no",
        "8 case bootstraps",
        "BFGS, exact gradient (2 timed)",
        "gamma='free'",
        "3 random starts, our solver",
        "1 random starts, L-BFGS-B",
        "time grows as points^",
        "time grows as bootstraps^",
    ):
        assert words in done.stdout


def test_the_published_way_minimises_our_objective(modules):
    points, published_way = modules
    N, D, L = points.simulated_runs(60)
    fit = fit_supervised_law(N, D, L)
    logs = [np.log(values) for values in (N, D, L)]
    weights = np.ones(60)
    at = published_way.start_at(fit.law.to_dict())
    assert published_way.objective(at, *logs, weights, 1e-3) == pytest.approx(fit.objective, rel=1e-9)
    assert len(published_way.grid_of_starts()) == 4500
    near = at + 0.01

    def value(x):
        return published_way.objective(x, *logs, weights, 1e-1)

    def slope(x):
        both = published_way.objective_and_slope(x, *logs, weights, 1e-1)
        assert both[0] == pytest.approx(value(x), rel=1e-12)
        return both[1]

    assert check_grad(value, slope, near) < 1e-5 * np.linalg.norm(slope(near))
    ends = [
        published_way.search(near[None], N, D, L, weights, 1e-3, way).objective[0]
        for way in published_way.WAYS
    ]
    assert min(ends) >= fit.objective * (1 - 1e-9)
    assert ends[1] == pytest.approx(fit.objective, rel=1e-4)


def test_the_distillation_search_needs_none_of_our_derivatives(modules, monkeypatch):
    points, published_way = modules
    law = published_law()
    fit = fit_distillation_law(*points.simulated_students(law, 40), supervised=law.supervised)
    monkeypatch.setattr(type(fit.problem.form), "evaluate", None)
    monkeypatch.setattr(type(fit.problem.form), "derivatives", None)
    found = published_way.search_distillation(fit.theta[None], fit)
    assert found.objective[0] == pytest.approx(fit.objective, rel=1e-6)


def test_resamples_are_those_of_the_published_stream(modules):
    points, _ = modules
    what, N, D, L = points.chinchilla_runs()
    if what == "simulated":
        pytest.skip("no copy of the Chinchilla runs at hand (epoch_chinchilla)")
    assert N.size == 240
    fit = fit_supervised_law(N, D, L)
    A = fit.bootstrap(weights=points.case_weights(240, 3)).coefficients["A"]
    # The first draws of Epoch's notebook, whose search ends a little above the optimum.
    assert A.to_numpy() == pytest.approx([349.556, 487.836, 728.411], rel=2e-5)
