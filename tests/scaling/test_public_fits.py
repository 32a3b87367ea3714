"""Fits to public runs: published optima are met, and the record is what the runs give."""

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling import public_fits, records
from distill_lib.scaling.fitting import fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.points import chinchilla_path, find_chinchilla, find_points, points_path

LAW = published_law()


@pytest.fixture(scope="module")
def chinchilla():
    runs = find_chinchilla()
    if runs is None:
        pytest.skip("no copy of the Chinchilla runs at hand (epoch_chinchilla)")
    return runs


@pytest.fixture(scope="module")
def students():
    points = find_points()
    if points is None:
        pytest.skip("no copy of the points at hand (distillation_points)")
    return points


def test_the_optimum_that_others_nearly_reached(chinchilla):
    assert len(chinchilla) == 240
    fit = fit_supervised_law(chinchilla["N"], chinchilla["D"], chinchilla["L"], delta=1e-3)
    # A search with finite differences from 4,500 starts ends at 0.0010182740346 (Besiroglu et al. 2024).
    assert fit.objective == pytest.approx(0.00101827401780, rel=1e-9)
    assert fit.objective < 0.0010182740346
    found = {name: pytest.approx(value, rel=1e-6) for name, value in fit.coefficients.items()}
    assert {
        "E": 1.8172181,
        "A": 477.82587,
        "B": 2143.41734,
        "alpha": 0.34731050,
        "beta": 0.36717243,
        "gamma": 1.0,
    } == found
    assert fit.starts_agreeing[0] == fit.starts_agreeing[1]
    free = fit_supervised_law(chinchilla["N"], chinchilla["D"], chinchilla["L"], gamma="free")
    assert free.objective == pytest.approx(0.00095418450, rel=1e-7)
    assert free.law.gamma == pytest.approx(0.774, abs=0.001)


def test_the_published_intervals_come_back_with_their_seed(chinchilla):
    fit = fit_supervised_law(chinchilla["N"], chinchilla["D"], chinchilla["L"], delta=1e-3)
    rng = np.random.RandomState(42)
    drawn = [rng.choice(240, 240, replace=True) for _ in range(4000)]
    boot = fit.bootstrap(weights=np.array([np.bincount(rows, minlength=240) for rows in drawn]))
    table = boot.intervals(0.95)
    # Besiroglu et al. 2024, Table 1 and notebook: 95 % intervals of 4,000 resamples.
    published = {"E": (1.769, 1.871), "alpha": (0.317, 0.373), "beta": (0.331, 0.415)}
    for name, ends in published.items():
        assert tuple(table.loc[name, ["low", "high"]].round(3)) == ends
    assert table.loc["A"].to_numpy()[1:] == pytest.approx([286.1, 743.6], rel=3e-3)
    assert table.loc["B"].to_numpy()[1:] == pytest.approx([1042.4, 5810.3], rel=1e-3)
    assert boot.converged.all()


def test_points_of_the_paper_are_fitted_better_than_by_table_6(students):
    columns = [students[name] for name in ("N_S", "D_S", "L_T", "L_S")]
    fit = fit_distillation_law(*columns, supervised=LAW.supervised, delta=1e-4)
    table6 = np.abs(np.asarray(LAW.loss(*columns[:3])) / students["L_S"] - 1.0).mean()
    assert fit.mean_error < 0.8 * table6
    assert fit.law.steepness == pytest.approx(LAW.steepness, rel=0.1)


def test_the_record_is_what_the_runs_give(chinchilla, students):
    recorded = public_fits.read_fits()
    paths = {"chinchilla_sha256": chinchilla_path(), "points_sha256": points_path()}
    for name, path in paths.items():
        assert recorded.made[name] == records.sha256_of(path), "the runs changed: make the record anew"
    summary = recorded.summary
    for gamma, name in ((1.0, "Chinchilla, gamma = 1"), ("free", "Chinchilla, free gamma")):
        fit = fit_supervised_law(chinchilla["N"], chinchilla["D"], chinchilla["L"], gamma=gamma)
        assert summary.loc[name, "objective"] == pytest.approx(fit.objective, rel=1e-7)
        assert recorded.intervals[name].loc["alpha", "value"] == pytest.approx(fit.law.alpha, rel=1e-5)
        # 400 resamples against the 4,000 of the record
        width = np.ptp(recorded.intervals[name].loc["alpha", ["low", "high"]])
        again = fit.bootstrap(400).intervals().loc["alpha", ["low", "high"]]
        assert np.ptp(again) == pytest.approx(width, rel=0.25)
    columns = [students[name] for name in ("N_S", "D_S", "L_T", "L_S")]
    fit = fit_distillation_law(*columns, supervised=LAW.supervised, delta=public_fits.PAPER_DELTA)
    name = "students, whole curves resampled"
    assert summary.loc[name, "objective"] == pytest.approx(fit.objective, rel=1e-6)
    assert recorded.status[name] == fit.status


def test_what_is_computed_reads_back(tmp_path, monkeypatch):
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 8), np.geomspace(2e9, 5e11, 6)))
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"Model Size": N, "Training FLOP": 6 * N * D, "loss": LAW.supervised.loss(N, D)})
    runs["loss"] *= np.exp(0.003 * rng.normal(size=N.size))
    axes = np.meshgrid(np.geomspace(1.5e8, 7e9, 3), (10, 40, 160), (1.8, 2.0, 2.2, 2.6))
    N_S, M, L_T = (axis.ravel() for axis in axes)
    points = pd.DataFrame({"N_S": N_S, "D_S": M * N_S, "L_T": L_T, "L_S": LAW.loss(N_S, M * N_S, L_T)})
    points["L_S"] *= np.exp(0.003 * rng.normal(size=L_T.size))
    for name, table in (
        ("epoch_chinchilla/svg_extracted_data.csv", runs),
        ("distillation_points/points.csv", points),
    ):
        (tmp_path / name).parent.mkdir()
        table.to_csv(tmp_path / name, index=False)
    monkeypatch.setenv("DISTILL_LIB_DATA", str(tmp_path))
    computed = public_fits.compute_fits(find_chinchilla(), find_points(), draws=20)
    monkeypatch.setattr(public_fits, "compute_fits", lambda *runs, draws: computed)
    read = public_fits.read_fits(public_fits.write_fits(tmp_path / "record.csv"))
    assert (read.source, computed.source) == ("recorded", "computed")
    for name, table in computed.intervals.items():
        pd.testing.assert_frame_equal(read.intervals[name], table, rtol=1e-6)
    for name, table in computed.forms.items():
        pd.testing.assert_frame_equal(read.forms[name], table, rtol=1e-6, atol=1e-9, check_names=False)
    assert read.status == computed.status


def test_without_runs_nothing_is_recorded_and_the_record_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_LIB_DATA", str(tmp_path))
    assert find_chinchilla() is None
    with pytest.raises(FileNotFoundError, match="nothing to record"):
        public_fits.write_fits(tmp_path / "record.csv")
    assert public_fits.read_fits().summary.loc["Chinchilla, gamma = 1", "runs"] == 240
    with pytest.raises(FileNotFoundError, match="no record at"):
        public_fits.read_fits(tmp_path / "record.csv")
