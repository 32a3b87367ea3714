"""Coverage studies: honest intervals are called honest, and dishonest ones are found out."""

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.coverage import coverage
from distill_lib.scaling.laws import SupervisedLaw, published_law

BASE = SupervisedLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 8), np.geomspace(2e9, 5e11, 8)))
GRID = pd.DataFrame({"N": N, "D": D})


def test_case_intervals_of_many_runs_cover_about_what_they_promise():
    table = coverage(BASE, GRID, noise=0.005, replicates=100, draws=60)
    # 100 replicates: a standard error of 3 points around 90
    assert table["coverage"].between(0.78, 1.0).all()
    assert table["coverage"].mean() == pytest.approx(0.9, abs=0.06)
    assert "gamma" not in table.index


def test_narrower_promises_cover_less():
    wide = coverage(BASE, GRID, noise=0.005, replicates=60, draws=60)
    narrow = coverage(BASE, GRID, noise=0.005, replicates=60, draws=60, level=0.5)
    assert (narrow["coverage"] < wide["coverage"]).all()
    assert narrow["coverage"].mean() == pytest.approx(0.5, abs=0.12)


def test_widths_grow_with_the_noise():
    options = {"replicates": 20, "draws": 40, "kind": "residual"}
    small, large = (coverage(BASE, GRID, noise=noise, **options) for noise in (0.002, 0.006))
    ratio = large["width"] / small["width"]
    assert ratio["alpha"] == pytest.approx(3.0, rel=0.35)
    assert ratio["L at 4 N and 4 D"] == pytest.approx(3.0, rel=0.35)


def test_the_distillation_law_is_covered_where_runs_can_tell_it():
    law = published_law()
    axes = np.meshgrid(np.geomspace(1.5e8, 7e9, 5), (10, 40, 160), (1.8, 1.95, 2.1, 2.3, 2.6))
    N_S, M, L_T = (axis.ravel() for axis in axes)
    design = pd.DataFrame({"N_S": N_S, "D_S": M * N_S, "L_T": L_T})
    done = []
    table = coverage(law, design, noise=0.003, replicates=30, draws=40, progress=done.append)
    assert sum(done) == 30 * 40
    for quantity in ("k", "L_S in the middle", "best L_T in the middle"):
        assert table.loc[quantity, "coverage"] > 0.7
    assert table.loc["k", "width"] < 0.5 < table.loc["c1", "width"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": 0.0}, "noise = 0.0 is out of range"),
        ({"noise": 0.01, "replicates": 1}, "replicates = 1 is out of range"),
        ({"noise": 0.01, "draws": 1}, "draws = 1 is out of range"),
        ({"noise": 0.01, "kind": "cluster"}, "kind = 'cluster' is unknown"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        coverage(BASE, GRID, **options)


def test_the_recorded_studies_read_back(tmp_path):
    from distill_lib.scaling.coverage import read_coverage_studies, write_studies

    path = write_studies(tmp_path / "coverage.csv", replicates=8, draws=10)
    assert set(read_coverage_studies(path)) == set(read_coverage_studies())
    committed = read_coverage_studies()
    assert committed["supervised, runs resampled"]["coverage"].mean() == pytest.approx(0.9, abs=0.05)
    below = committed["supervised, residuals resampled"]["coverage"].mean()
    assert below < committed["supervised, runs resampled"]["coverage"].mean()
