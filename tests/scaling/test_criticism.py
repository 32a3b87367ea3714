"""Criticism of forms: the true form wins on runs it was not fitted to, and richer truths are found."""

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling import criticism
from distill_lib.scaling.fitting import fit_distillation_law
from distill_lib.scaling.laws import SupervisedLaw, published_law
from distill_lib.scaling.yielding import YieldingLaw, fit_yielding_law

LAW = published_law()


def supervised_runs(law, noise=0.003):
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 8), np.geomspace(2e9, 5e11, 6)))
    L = law.loss(N, D) * np.exp(noise * np.random.default_rng(0).normal(size=N.size))
    return pd.DataFrame({"N": N, "D": D, "L": L})


def students(law, noise=0.002):
    axes = np.meshgrid(np.geomspace(1.5e8, 7e9, 5), (10, 40, 160), (1.8, 1.95, 2.1, 2.3, 2.6, 2.8))
    N_S, M, L_T = (axis.ravel() for axis in axes)
    L_S = law.loss(N_S, M * N_S, L_T) * np.exp(noise * np.random.default_rng(1).normal(size=L_T.size))
    return pd.DataFrame({"N_S": N_S, "D_S": M * N_S, "L_T": L_T, "L_S": L_S})


def test_free_gamma_wins_where_it_is_the_truth_and_costs_little_where_not():
    candidates = criticism.supervised_candidates()
    true_gamma = supervised_runs(LAW.supervised)
    table = criticism.compare(candidates, true_gamma, groups=true_gamma["N"], reference="gamma = 1")
    assert table.loc["free gamma", "held_out"] < 0.8 * table.loc["gamma = 1", "held_out"]
    assert table.loc["free gamma", "BIC"] < -10
    plain = supervised_runs(SupervisedLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37))
    table = criticism.compare(candidates, plain, groups=plain["N"], reference="gamma = 1")
    assert table.loc["free gamma", "held_out"] < 1.1 * table.loc["gamma = 1", "held_out"]
    assert table.loc["free gamma", "BIC"] > -6
    assert table.loc["gamma = 1", ["BIC", "better"]].tolist() == [0.0, 0]


def test_a_known_floor_can_be_held():
    runs = supervised_runs(LAW.supervised)
    names = [candidate.name for candidate in criticism.supervised_candidates(E=1.22)]
    assert "known E, free gamma" in names
    table = criticism.compare(
        criticism.supervised_candidates(E=1.22)[-1:], runs, groups=runs["N"], reference="known E, free gamma"
    )
    assert table["held_out"].iloc[0] < 0.5


def test_every_simpler_form_predicts_worse_where_the_published_one_is_true():
    runs = students(LAW)
    candidates = [c for c in criticism.distillation_candidates(LAW.supervised) if "yield" not in c.name]
    table = criticism.compare(
        candidates, runs, groups=runs.groupby(["N_S", "D_S"]).ngroup(), reference="published form", folds=4
    )
    simpler = table.drop(index=["published form", "break without end", "teachers off by a constant"])
    assert (simpler["held_out"] > 2 * table.loc["published form", "held_out"]).all()
    assert table.loc["teachers off by a constant", "BIC"] > -6, "there is no offset in these runs"


def test_a_yielding_floor_is_found_where_there_is_one():
    truth = YieldingLaw(LAW, kappa=0.01, epsilon=0.4)
    runs = students(truth, noise=0.001)
    assert (runs["L_S"] < runs["L_T"]).sum() > 5
    fit = fit_distillation_law(runs["N_S"], runs["D_S"], runs["L_T"], runs["L_S"], supervised=LAW.supervised)
    found = fit_yielding_law(fit)
    assert found.objective < 0.8 * fit.objective
    assert found.law.kappa == pytest.approx(0.01, abs=0.003)
    assert found.law.epsilon == pytest.approx(0.4, abs=0.2)
    predicted = found.law.loss(runs["N_S"], runs["D_S"], runs["L_T"])
    assert np.log(predicted / runs["L_S"]).to_numpy() == pytest.approx(found.residuals, abs=1e-9)


def test_no_yielding_floor_is_found_where_there_is_none():
    runs = students(LAW, noise=0.001)
    fit = fit_distillation_law(runs["N_S"], runs["D_S"], runs["L_T"], runs["L_S"], supervised=LAW.supervised)
    found = fit_yielding_law(fit, fades=False)
    assert abs(found.law.kappa) < 0.002
    assert found.law.epsilon == 0.0
    assert found.objective <= fit.objective * (1 + 1e-6)


def test_without_a_gain_the_yielding_law_is_the_published_one():
    runs = students(LAW)
    same = YieldingLaw(LAW, kappa=0.0, epsilon=0.5).loss(runs["N_S"], runs["D_S"], runs["L_T"])
    assert same == pytest.approx(LAW.loss(runs["N_S"], runs["D_S"], runs["L_T"]))
    assert isinstance(YieldingLaw(LAW, 0.01, 0.5).loss(1e9, 2e10, 2.5), float)


def test_extrapolation_says_which_runs_were_predicted():
    runs = supervised_runs(LAW.supervised)
    tables = criticism.extrapolate(criticism.supervised_candidates(), runs, runs["L"] >= 2.2)
    table = tables["free gamma"]
    assert table["fitted"].sum() == (runs["L"] >= 2.2).sum()
    assert table["error"].abs().mean() < 0.005
    assert (
        tables["gamma = 1"].loc[~table["fitted"], "error"].abs().mean()
        > table.loc[~table["fitted"], "error"].abs().mean()
    )


def test_bad_input():
    runs = supervised_runs(LAW.supervised)
    candidates = criticism.supervised_candidates()
    with pytest.raises(ValueError, match="reference = 'gamma' is unknown"):
        criticism.compare(candidates, runs, groups=runs["N"], reference="gamma")
    with pytest.raises(ValueError, match="groups has 6 distinct labels for folds = 8"):
        criticism.compare(candidates, runs, groups=runs["D"], reference="gamma = 1")
    with pytest.raises(ValueError, match="leave some to predict"):
        criticism.extrapolate(candidates, runs, np.ones(len(runs), dtype=bool))
