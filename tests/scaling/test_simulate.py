"""Simulated runs: the law without noise, the stated spread with it, and the same draw from the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lib.scaling.laws import published_law
from distill_lib.scaling.paper_protocols import distillation_runs, supervised_runs
from distill_lib.scaling.simulate import (
    HEAVY_TAILS,
    Noise,
    distillation_replicates,
    simulate_distillation,
    simulate_supervised,
    supervised_replicates,
)

LAW = published_law()
SILENT = Noise(sd=0.0)
TEACHERS = supervised_runs()
STUDENTS = distillation_runs()


def errors(losses, law=LAW.supervised, grid=TEACHERS):
    return np.log(losses / law.loss(grid["N"], grid["D"]))


def test_without_noise_losses_are_the_law():
    runs = simulate_supervised(TEACHERS, LAW.supervised, noise=SILENT)
    np.testing.assert_allclose(runs["L"], LAW.supervised.loss(runs["N"], runs["D"]), rtol=1e-14)
    students = simulate_distillation(STUDENTS, LAW, noise=SILENT)
    truth = LAW.loss(students["N_S"], students["D_S"], STUDENTS["L_T"])
    np.testing.assert_allclose(students["L_S"], truth, rtol=1e-14)
    np.testing.assert_allclose(students["L_T"], STUDENTS["L_T"], rtol=1e-14)


def test_the_grid_is_kept_and_not_changed():
    before = TEACHERS.copy()
    runs = simulate_supervised(TEACHERS, LAW.supervised)
    pd.testing.assert_frame_equal(TEACHERS, before)
    pd.testing.assert_frame_equal(runs[list(TEACHERS.columns)], TEACHERS)
    reordered = TEACHERS.sample(frac=1.0, random_state=0)
    again = simulate_supervised(reordered, LAW.supervised, noise=SILENT)
    np.testing.assert_allclose(again["L"].sort_index(), runs["L_law"])


@pytest.mark.parametrize(
    "noise", [Noise(), Noise(sd=0.01), HEAVY_TAILS], ids=["default", "1 %", "heavy tails"]
)
def test_the_spread_is_as_stated_and_the_median_is_the_law(noise):
    drawn = errors(supervised_replicates(TEACHERS, LAW.supervised, 1000, noise=noise, seed=1))
    # 73,000 draws: the standard error of a normal spread is 0.3 %; t with 4 degrees has no fourth moment.
    assert drawn.std() == pytest.approx(noise.sd, rel=0.01 if np.isinf(noise.degrees) else 0.05)
    assert abs(np.median(drawn)) < 0.02 * noise.sd


def test_heavy_tails_have_the_mean_over_median_of_students_t():
    for noise, ratio in ((Noise(), 1.183), (HEAVY_TAILS, 1.350)):
        size = np.abs(errors(supervised_replicates(TEACHERS, LAW.supervised, 1000, noise=noise, seed=2)))
        assert size.mean() / np.median(size) == pytest.approx(ratio, rel=0.02)


def test_outliers_are_the_share_asked_for():
    noise = Noise(outliers=0.1, outlier_scale=1e3)
    far = np.abs(errors(supervised_replicates(TEACHERS, LAW.supervised, 500, noise=noise))) > 0.03
    # 36,500 draws; a normal error 1000 times as wide is below ten of the narrow spreads in 0.8 % of cases.
    assert far.mean() == pytest.approx(0.0992, abs=0.005)
    plain = supervised_replicates(TEACHERS, LAW.supervised, 500)
    same = supervised_replicates(TEACHERS, LAW.supervised, 500, noise=noise)
    assert (plain == same)[~far].mean() > 0.99, "the others are drawn as before"


def test_a_cluster_shares_its_error():
    noise = Noise(sd=0.0, cluster_sd=0.01)
    runs = simulate_supervised(TEACHERS, LAW.supervised, noise=noise, seed=3)
    spread = np.log(runs["L"] / runs["L_law"]).groupby(runs["N"]).agg(["min", "max"])
    np.testing.assert_allclose(spread["min"], spread["max"], atol=1e-12)
    assert 0.006 < spread["min"].std() < 0.014
    assert runs["cluster"].nunique() == runs["N"].nunique()
    by_protocol = simulate_supervised(TEACHERS, LAW.supervised, noise=noise, cluster=["protocol", "N"])
    assert by_protocol["cluster"].nunique() == len(TEACHERS.drop_duplicates(["protocol", "N"]))


def test_students_feel_a_teachers_real_loss_but_not_its_measurement():
    real = simulate_distillation(STUDENTS, LAW, noise=Noise(sd=0.0, teacher_sd=0.01), seed=4)
    np.testing.assert_allclose(real["L_S"], LAW.loss(real["N_S"], real["D_S"], real["L_T"]), rtol=1e-12)
    assert np.log(real["L_T"] / real["L_T_law"]).std() == pytest.approx(0.01, rel=0.25)  # 66 teachers
    measured = simulate_distillation(STUDENTS, LAW, noise=Noise(sd=0.0, teacher_error=0.01), seed=4)
    np.testing.assert_allclose(measured["L_S"], measured["L_S_law"], rtol=1e-12)
    assert not np.allclose(measured["L_T"], measured["L_T_law"], rtol=1e-3)
    for runs in (real, measured):
        assert len(runs.drop_duplicates(["N_T", "D_T", "L_T"])) == 66
        assert runs["cluster"].nunique() == 66
        np.testing.assert_array_equal(runs["L_T_law"], STUDENTS["L_T"])


def test_teachers_without_a_size_are_told_apart_by_their_loss():
    grid = STUDENTS[["N_S", "D_S", "L_T"]]
    runs = simulate_distillation(grid, LAW, noise=Noise(teacher_error=0.01))
    assert runs["cluster"].nunique() == grid["L_T"].nunique()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**40), few=st.integers(1, 3), more=st.integers(0, 3))
def test_first_replicates_do_not_depend_on_how_many_there_are(seed, few, more):
    noise = Noise(degrees=3.0, outliers=0.1, cluster_sd=0.002, teacher_sd=0.001, teacher_error=0.001)
    short = supervised_replicates(TEACHERS, LAW.supervised, few, noise=noise, seed=seed)
    long = supervised_replicates(TEACHERS, LAW.supervised, few + more, noise=noise, seed=seed)
    np.testing.assert_array_equal(long[:few], short)
    table = simulate_supervised(TEACHERS, LAW.supervised, noise=noise, seed=seed)
    np.testing.assert_array_equal(table["L"], long[0])
    assert len(np.unique(long[:, 0])) == few + more
    L_S, L_T = distillation_replicates(STUDENTS, LAW, few, noise=noise, seed=seed)
    students = simulate_distillation(STUDENTS, LAW, noise=noise, seed=seed)
    np.testing.assert_array_equal(students["L_S"], L_S[0])
    np.testing.assert_array_equal(students["L_T"], L_T[0])
    assert L_S.shape == L_T.shape == (few, len(STUDENTS))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: simulate_supervised(TEACHERS.drop(columns="D"), LAW.supervised), "grid has no column D; it takes"),
        (lambda: simulate_supervised(TEACHERS.iloc[:0], LAW.supervised), "grid has no rows"),
        (lambda: simulate_supervised({"N": [1e9]}, LAW.supervised), "grid is a dict; give a table"),
        (lambda: simulate_supervised(TEACHERS.assign(N=-1.0), LAW.supervised), r"N\[0\] = -1.0 is out of range"),
        (lambda: simulate_supervised(TEACHERS, LAW), "of a DistillationLaw, give its `supervised`"),
        (lambda: simulate_supervised(TEACHERS, LAW.supervised, noise=0.01), r"noise = 0.01 is no Noise; give simulate.Noise\(sd=0.01\)"),
        (lambda: simulate_supervised(TEACHERS, LAW.supervised, seed=-1), "seed = -1 is out of range"),
        (lambda: simulate_supervised(TEACHERS, LAW.supervised, cluster="size"), "cluster = 'size' names no column of the grid: it has protocol"),
        (lambda: simulate_supervised(TEACHERS, LAW.supervised, cluster=[]), r"cluster = \[\] names no column"),
        (lambda: supervised_replicates(TEACHERS, LAW.supervised, 0), "replicates = 0 is out of range; give a whole number, 1 at least"),
        (lambda: simulate_distillation(TEACHERS, LAW), "grid has no column N_S, D_S, L_T"),
        (lambda: simulate_distillation(STUDENTS, LAW.supervised), "is no DistillationLaw"),
        (lambda: simulate_distillation(STUDENTS.assign(L_T=np.nan), LAW), r"L_T\[0\] = nan is out of range"),
        (lambda: Noise(sd=0.3 * 100), "sd = 30.0 is out of range.*such as 0.003"),
        (lambda: Noise(degrees=2.0), "degrees = 2.0 is out of range"),
        (lambda: Noise(outliers=5), "outliers = 5 is out of range.*share of the runs"),
        (lambda: Noise(outlier_scale=0.5), "outlier_scale = 0.5"),
        (lambda: Noise(teacher_error=-0.1), "teacher_error = -0.1"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
