"""Bootstraps: resamples are what they are called, and intervals cover what they should."""

import numpy as np
import pytest

from distill_lib.scaling.fitting import fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import SupervisedLaw, published_law
from distill_lib.scaling.uncertainty import resampled_weights

LAW = published_law()
BASE = SupervisedLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 7), np.geomspace(2e9, 2e11, 6)))
FIT = fit_supervised_law(N, D, BASE.loss(N, D) * np.exp(0.005 * np.random.default_rng(0).normal(size=N.size)))


def students(noise=0.003):
    axes = np.meshgrid(np.geomspace(1.5e8, 7e9, 5), (10, 40, 160), (1.8, 1.95, 2.1, 2.3, 2.6))
    N_S, M, L_T = (axis.ravel() for axis in axes)
    L_S = LAW.loss(N_S, M * N_S, L_T) * np.exp(noise * np.random.default_rng(0).normal(size=L_T.size))
    return N_S, M * N_S, L_T, L_S


DISTILLATION = fit_distillation_law(*students(), supervised=LAW.supervised)


def test_cases_and_clusters_are_drawn_whole():
    rng = np.random.default_rng(0)
    cases = resampled_weights(10, 500, rng)
    assert (cases.sum(axis=1) == 10).all()
    assert cases.mean(axis=0) == pytest.approx(np.ones(10), abs=0.2)
    labels = np.repeat(["a", "b", "c", "d"], [1, 2, 3, 4])
    clusters = resampled_weights(10, 50, rng, labels)
    for label in "abcd":
        assert np.ptp(clusters[:, labels == label], axis=1).max() == 0
    assert (clusters[:, [0, 1, 3, 6]].sum(axis=1) == 4).all()


def test_a_draw_is_a_fit_to_the_repeated_runs():
    weights = resampled_weights(N.size, 5, np.random.default_rng(1))
    found = FIT.bootstrap(weights=weights).coefficients
    L = np.exp(FIT.problem.log_L)
    for draw in (0, 4):
        counts = weights[draw].astype(int)
        again = fit_supervised_law(*(np.repeat(column, counts) for column in (N, D, L)))
        assert found["alpha"][draw] == pytest.approx(again.law.alpha, rel=1e-4)
        assert found["E"][draw] == pytest.approx(again.law.E, rel=1e-5)


def test_the_same_seed_gives_the_same_draws():
    one, two, other = (FIT.bootstrap(20, seed=seed).coefficients for seed in (3, 3, 4))
    assert one.equals(two)
    assert not one.equals(other)


def test_residual_resamples_keep_the_design():
    found = FIT.bootstrap(300, kind="residual")
    case = FIT.bootstrap(300)
    assert found.kind == "residual"
    spread = found.coefficients["alpha"].std() / case.coefficients["alpha"].std()
    assert 0.4 < spread < 1.6


def test_clusters_widen_the_intervals_of_correlated_runs():
    rng = np.random.default_rng(5)
    sizes = np.unique(N, return_inverse=True)[1]
    shared = 0.006 * rng.normal(size=7)[sizes] + 0.0005 * rng.normal(size=N.size)
    fit = fit_supervised_law(N, D, BASE.loss(N, D) * np.exp(shared))
    width = {
        name: np.ptp(fit.bootstrap(300, clusters=clusters).intervals().loc["alpha", ["low", "high"]])
        for name, clusters in (("case", None), ("cluster", sizes))
    }
    assert width["cluster"] > 1.2 * width["case"]


def test_intervals_name_the_combinations_that_runs_can_tell():
    table = DISTILLATION.bootstrap(60).intervals()
    assert list(table.index[-3:]) == ["a", "b", "k"]
    assert table.loc["a", "value"] + table.loc["b", "value"] == pytest.approx(1.0)
    assert table.loc["k", "value"] == pytest.approx(DISTILLATION.law.steepness)
    relative = (table["high"] - table["low"]) / table["value"]
    assert relative["k"] < 0.5
    assert 10 * relative["k"] < relative["A"]


def test_bands_equal_the_losses_of_the_draws():
    boot = FIT.bootstrap(80)
    band = boot.predict([1e9, 2e9], 5e10, level=0.8)
    losses = np.array([law.loss(np.array([1e9, 2e9]), 5e10) for law in boot.laws()])
    assert band["low"].to_numpy() == pytest.approx(np.percentile(losses, 10, axis=0))
    assert band["high"].to_numpy() == pytest.approx(np.percentile(losses, 90, axis=0))
    assert band["value"].to_numpy() == pytest.approx(FIT.law.loss(np.array([1e9, 2e9]), 5e10))


def test_optima_equal_those_of_the_laws_one_by_one():
    boot = FIT.bootstrap(40)
    table = boot.compute_optimal([1e20, 1e22], level=0.5)
    sizes = np.array([law.compute_optimal([1e20, 1e22])[0] for law in boot.laws()])
    assert table["N_low"].to_numpy() == pytest.approx(np.percentile(sizes, 25, axis=0))
    assert table["M"].to_numpy() == pytest.approx(table["D"] / table["N"])
    students = DISTILLATION.bootstrap(30)
    best = students.best_teacher([1e9, 3e9], [2e10, 1e11], level=0.5)
    teachers = np.array(
        [law.best_teacher(np.array([1e9, 3e9]), np.array([2e10, 1e11]))[0] for law in students.laws()]
    )
    assert best["L_T_high"].to_numpy() == pytest.approx(np.percentile(teachers, 75, axis=0), rel=1e-6)


def test_a_plan_and_a_crossover_have_intervals():
    boot = DISTILLATION.bootstrap(40)
    table = boot.plan(1e9, 1e21, draws=20)
    assert (table["low"] <= table["value"] * 1.02).all()
    assert 0.0 <= table.attrs["distil"] <= 1.0
    turn = boot.crossover(1e9, "best_case", draws=5)
    assert turn.loc["C", "low"] <= turn.loc["C", "high"]
    constant = boot.derive(lambda law: 1.0, draws=5)
    assert constant.loc["quantity"].tolist() == [1.0, 1.0, 1.0, 0.0]


def test_nothing_to_report_is_reported_as_such():
    boot = FIT.bootstrap(5)
    table = boot.derive(lambda law: float("nan"))
    assert np.isnan(table.loc["quantity", "low"])
    assert table.loc["quantity", "without"] == 1.0


def test_the_first_stage_is_carried_along():
    base = fit_supervised_law(
        N,
        D,
        LAW.supervised.loss(N, D) * np.exp(0.003 * np.random.default_rng(2).normal(size=N.size)),
        gamma="free",
    )
    both = fit_distillation_law(*students(), supervised=base).bootstrap(60)
    alone = fit_distillation_law(*students(), supervised=base.law).bootstrap(60)
    assert alone.supervised is None
    assert both.supervised is not None
    assert both.laws(3)[2].supervised != both.law.supervised
    width = [np.ptp(b.intervals().loc["k", ["low", "high"]]) for b in (both, alone)]
    assert width[0] > width[1]
    given = base.bootstrap(10)
    with pytest.raises(ValueError, match="supervised has 10 draws for 60"):
        fit_distillation_law(*students(), supervised=base).bootstrap(60, supervised=given)


def test_progress_is_told():
    done = []
    FIT.bootstrap(300, progress=done.append)
    assert sum(done) == 300
    assert len(done) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "draws = 0 is out of range"),
        ({"kind": "wild"}, "kind = 'wild' is unknown"),
        ({"kind": "cluster"}, "labels in clusters are given for 'cluster'"),
        ({"clusters": [1, 2]}, r"clusters has shape \[2\]; give one label for each of 42 runs"),
        ({"clusters": np.arange(42) % 2}, "clusters has 2 distinct labels"),
        ({"weights": np.ones((2, 3))}, r"weights has shape \[2, 3\]"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        FIT.bootstrap(**options)


def test_questions_to_the_other_law_are_refused():
    boot = FIT.bootstrap(5)
    for ask in (
        lambda: boot.best_teacher(1e9, 2e10),
        lambda: boot.plan(1e9, 1e21),
        lambda: boot.crossover(1e9),
    ):
        with pytest.raises(TypeError, match="a question to a distillation law"):
            ask()
    with pytest.raises(TypeError, match="a question to the supervised law"):
        DISTILLATION.bootstrap(5).compute_optimal(1e20)
