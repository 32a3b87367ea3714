"""Intervals of a plan: around its numbers, wider with wider coefficients, and honest about what they are."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distill_lib as dl
from distill_lib import paper
from distill_lib.scaling.law_draws import draw_published_laws
from distill_lib.scaling.laws import DistillationLaw, published_law
from distill_lib.scaling.planning import SCENARIOS, plan, replan
from distill_lib.scaling.propagation import plan_uncertainty
from distill_lib.scaling.robustness import QUANTITIES
from distill_lib.scaling.sensitivity import moved_laws

LAW = published_law()
OWN = DistillationLaw.from_dict(LAW.to_dict() | {"name": "own", "c0": 2.5})
OPEN = ("L_S", "L_supervised", "gap", "D_S", "L_T", "N_T")


# ---------------------------------------------------------------- draws from Table 6


def test_draws_have_the_printed_intervals_and_middles():
    laws = draw_published_laws(20_000, "printed", seed=3)
    for which in ("supervised", "distillation"):
        for symbol, entry in paper.coefficients(which).items():
            name = symbol.rstrip("'")
            if name in ("a", "b"):
                continue
            of = [getattr(law.supervised if which == "supervised" else law, name) for law in laws]
            low, middle, high = np.quantile(of, [0.05, 0.5, 0.95])
            width = entry.high - entry.low
            assert (low, middle, high) == pytest.approx(
                (entry.low, entry.value, entry.high), abs=0.03 * width + 1e-9
            )


def test_the_reconciled_B_moves_with_its_exponent():
    printed, reconciled = (draw_published_laws(50, reading) for reading in ("printed", "reconciled"))
    for a, b in zip(printed, reconciled, strict=True):
        assert b.B == pytest.approx(a.B * 1000.0**a.beta, rel=1e-12)
        assert (a.beta, a.supervised) == (b.beta, b.supervised)


def test_draws_are_repeatable_and_differ_by_seed():
    assert draw_published_laws(3, seed=1) == draw_published_laws(3, seed=1)
    assert draw_published_laws(3, seed=1) != draw_published_laws(3, seed=2)
    assert all(law == draw_published_laws(1, widen=0.0)[0] for law in draw_published_laws(4, widen=0.0))


def test_laws_within_the_stated_accuracy_are_kept():
    N, D, L_T = np.meshgrid(
        np.geomspace(1.43e8, 1.26e10, 5), np.geomspace(4e9, 5.12e11, 5), np.geomspace(1.8, 2.8, 5)
    )

    def far(law):
        of_runs = np.abs(law.supervised.loss(N, D) / LAW.supervised.loss(N, D) - 1).max()
        return max(of_runs, np.abs(law.loss(N, D, L_T) / LAW.loss(N, D, L_T) - 1).max())

    free, near = draw_published_laws(200), draw_published_laws(200, within=0.01)
    assert len(near) == 200
    assert max(map(far, near)) <= 0.01 < max(map(far, free))
    # What is said in the docstring: most independent draws are not as near as the paper says its law is.
    assert np.mean([far(law) > 0.01 for law in free]) > 0.5
    p = plan(1e9, 1e21)
    (_, low, high), (_, lowest, highest) = (
        plan_uncertainty(p, within=w).intervals["L_S"] for w in (0.01, None)
    )
    assert lowest < low < p.L_S < high < highest
    assert "within 0.01 of the published ones" in str(plan_uncertainty(p, within=0.01))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": 5, "within": 0.0}, r"within = 0.0 is out of range"),
        ({"count": 5, "within": 1e-5}, r"within = 1e-05 leaves 0 of 200 laws drawn; give a larger share"),
        ({"count": 0}, "count = 0 is out of range"),
        ({"count": 5, "seed": -1}, "seed = -1 is out of range"),
        ({"count": 5, "widen": -1.0}, r"widen = -1.0 is out of range"),
        ({"count": 5, "reading": "free"}, "reading = 'free' is unknown"),
    ],
)
def test_wrong_draws(given, words):
    with pytest.raises(ValueError, match=words):
        draw_published_laws(**given)


# ---------------------------------------------------------------- intervals of a plan


@settings(derandomize=True, deadline=None, max_examples=8)
@given(
    st.floats(8.3, 10.3),
    st.floats(20, 24),
    st.sampled_from(SCENARIOS),
    st.sampled_from(["reconciled", "printed"]),
)
def test_intervals_hold_the_plan_itself(size, budget, scenario, reading):
    p = plan(10.0**size, 10.0**budget, scenario, published_law(reading))
    found = plan_uncertainty(p, count=100)
    for name in OPEN:
        value, low, high = found.intervals[name]
        assert low <= value * (1 + 1e-9)
        assert value <= high * (1 + 1e-9) if value > 0 else value <= high
    assert found.intervals["L_S"][0] == p.L_S
    assert found.intervals["gap"][0] == p.advantage
    assert found.intervals["regret"][0] == pytest.approx(0.0, abs=1e-9)
    assert found.intervals["regret"][1] > -1e-6, "no plan beats the best one of its law"


@pytest.mark.parametrize(
    "question", [{"C": 1e22}, {"C": 1e20, "scenario": "best_case"}, {"target_loss": 2.3}]
)
def test_intervals_widen_with_those_of_the_coefficients(question):
    p = plan(1.5e9, **question)
    widths = []
    for widen in (0.25, 0.5, 1.0, 2.0):
        found = plan_uncertainty(p, count=200, widen=widen)
        low, high = np.array([found.intervals[name][1:] for name in ("gap", "L_T", "N_T")]).T
        widths.append(high - low)
    assert np.all(np.diff(widths, axis=0) > 0.0)
    assert plan_uncertainty(p, count=20, widen=0.0).intervals["gap"] == pytest.approx([p.gap] * 3)


def test_a_higher_coverage_is_wider():
    p = plan(1e9, 1e21)
    narrow, wide = (plan_uncertainty(p, level=level).intervals["L_S"] for level in (0.5, 0.95))
    assert wide[1] < narrow[1] < p.L_S < narrow[2] < wide[2]


def test_the_numbers_are_those_of_planning_with_each_law():
    p, laws = plan(1e9, 1e21, "teacher_pretraining"), draw_published_laws(60, seed=5)
    found = plan_uncertainty(p, count=60, seed=5)
    plans = [plan(1e9, 1e21, "teacher_pretraining", law) for law in laws]
    assert found.wins == np.mean([each.advantage > 0 for each in plans])
    assert found.holds == np.mean([each.outcome == p.outcome for each in plans])
    for name, end in (("L_S", 1), ("N_T", 2)):
        values = [getattr(each, name) for each in plans]
        wanted = np.quantile(values, [0.05, 0.95], method="closest_observation")[end - 1]
        assert found.intervals[name][end] == wanted
    kept = [
        law.loss(1e9, p.D_S, law.supervised.loss(p.N_T, p.D_T)) - q.L_S
        for law, q in zip(laws, plans, strict=True)
    ]
    wanted = np.quantile(kept, 0.95, method="closest_observation")
    assert found.intervals["regret"][2] == pytest.approx(wanted, abs=1e-13)


def test_a_measured_teacher_keeps_its_loss_in_every_draw():
    p = plan(1e9, 1e22, teachers=[(1e9, 2e11, 2.05)])
    assert plan_uncertainty(p, count=20).intervals["L_T"] == (2.05, 2.05, 2.05)
    modelled = plan_uncertainty(plan(1e9, 1e22, teachers=[(1e9, 2e11)]), count=20).intervals["L_T"]
    assert modelled[1] < modelled[2]


def test_targets_out_of_reach_of_some_laws_are_counted():
    p = plan(1e9, target_loss=2.10, scenario="best_case")
    found = plan_uncertainty(p, count=100)
    assert 0.0 < found.without < 1.0
    assert "of the draws have no answer and are left out" in str(found)
    assert (
        math.isinf(found.intervals["C_supervised"][2]) or found.intervals["C_supervised"][2] > p.C_supervised
    )


# ---------------------------------------------------------------- verdicts


def test_a_verdict_needs_enough_draws_on_its_side():
    clear = plan_uncertainty(plan(1e9, 1e20, "best_case"))
    assert clear.outcome == "distil"
    assert 0.99 < clear.wins <= 1.0
    assert clear.verdict.startswith("Distil: advantage +0.076 nats")
    shaky_plan = plan(1e9, 1e21, accuracy=1e-4)  # the law alone would call it
    shaky = plan_uncertainty(shaky_plan)
    assert shaky_plan.outcome == "distil"
    assert 0.5 < shaky.wins < 0.9
    assert shaky.outcome == "too close to call"
    assert "Too close to call, though the law alone says to distil" in shaky.verdict
    assert plan_uncertainty(shaky_plan, level=0.5).outcome == "distil"
    lost = plan_uncertainty(plan(1e10, 1e23, "teacher_pretraining_inference"))
    assert (lost.outcome, lost.wins) == ("supervised", 0.0)
    assert lost.verdict.startswith("Train supervised")


def test_both_readings_are_asked():
    split = plan_uncertainty(plan(1e10, 1e21, "teacher_pretraining_inference"), count=20)
    assert set(split.readings) == {"reconciled", "printed"}
    for name, found in split.readings.items():
        assert found.L_S == plan(1e10, 1e21, "teacher_pretraining_inference", published_law(name)).L_S
    outcomes = {found.outcome for found in split.readings.values()}
    assert split.survives_readings == (len(outcomes) == 1)
    assert ("survives" if split.survives_readings else "does not survive") in split.readings_say
    agree = plan_uncertainty(plan(1e9, 1e20, "best_case"), count=20)
    assert agree.survives_readings is True


def test_sensitivities_are_those_of_moving_one_coefficient():
    p = plan(1e9, 1e21)
    found = plan_uncertainty(p, count=20)
    by_name = {each.coefficient: each for each in found.sensitivities}
    assert "c1" not in by_name, "its printed interval has no width"
    assert len(by_name) == 14, "six of the supervised law, eight of the other"
    sizes = [each.size for each in found.sensitivities]
    assert sizes == sorted(sizes, reverse=True)
    for symbol, name in (("d1", "d1"), ("gamma'", "gamma")):
        entry = paper.coefficients("distillation")[symbol]
        moved = DistillationLaw.from_dict(LAW.to_dict() | {name: entry.high})
        assert by_name[symbol].high == pytest.approx(replan(p, moved).gap - p.gap, abs=1e-12)
    beta = paper.coefficients("distillation")["beta'"]
    B = paper.coefficients("distillation")["B'"].value * 1000**beta.low
    moved = DistillationLaw.from_dict(LAW.to_dict() | {"beta": beta.low, "B": B})
    assert by_name["beta'"].low == pytest.approx(replan(p, moved).gap - p.gap, abs=1e-12)
    assert found.sensitivities[0].coefficient in found.sensitivity
    for (_, *near), (_, *far) in zip(moved_laws("reconciled"), moved_laws("reconciled", 2.0), strict=True):
        for one, two in zip(near, far, strict=True):
            once, twice = (abs(replan(p, law).gap - p.gap) for law in (one, two))
            assert twice >= once


# ---------------------------------------------------------------- one's own law


def test_draws_of_ones_own_law_are_used_as_they_are():
    laws = [DistillationLaw.from_dict(OWN.to_dict() | {"c0": 2.5 + 0.01 * k}) for k in range(-10, 11)]
    p = plan(1e9, 1e21, law=OWN)
    found = p.uncertainty(laws)
    assert (found.source, found.draws, found.readings, found.survives_readings) == ("draws", 21, {}, None)
    assert [each.coefficient for each in found.sensitivities] == ["c0"], "nothing else differs"
    assert found.intervals["L_supervised"] == (p.L_supervised,) * 3
    assert "others moving along" in found.sensitivity
    assert "Table 6" not in str(found)


def test_a_bootstrap_serves_as_draws():
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1.5e8, 7e9, 4), (10, 40, 160)))
    N_S, M, L_T = (
        a.ravel() for a in (np.repeat(N, 4), np.repeat(D, 4), np.tile((1.8, 2.0, 2.2, 2.6), N.size))
    )
    L_S = LAW.loss(N_S, M * N_S, L_T) * np.exp(0.003 * np.random.default_rng(1).normal(size=L_T.size))
    fit = dl.fit_distillation_law(N_S, M * N_S, L_T, L_S, supervised=LAW.supervised)
    boot = fit.bootstrap(20)
    p = plan(1e9, 1e21, law=fit.law, accuracy=fit.mean_error)
    found = p.uncertainty(boot)
    assert found.draws == 20
    assert found.wins == boot.plan(1e9, 1e21, draws=20).attrs["distil"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {},
            r"the law 'own' is not the published one, whose intervals are known; give draws, such as fit.bootstrap",
        ),
        ({"draws": [OWN]}, r"draws has 1 laws; give 2 at least"),
        ({"draws": [OWN, LAW.supervised]}, r"draws\[1\] = .* is no DistillationLaw"),
        ({"draws": [OWN, OWN], "level": 1.5}, r"level = 1.5 is out of range"),
        ({"draws": [OWN, OWN], "count": 1}, r"count = 1 is out of range"),
    ],
)
def test_wrong_arguments(given, words):
    with pytest.raises(ValueError, match=words):
        plan_uncertainty(plan(1e9, 1e21, law=OWN), **given)


def test_draws_without_an_answer_are_refused():
    worse = DistillationLaw.from_dict(OWN.to_dict() | {"supervised": OWN.supervised.to_dict() | {"E": 3.0}})
    with pytest.raises(ValueError, match=r"only 0 of 2 draws have an answer to this question"):
        plan_uncertainty(plan(1e9, target_loss=2.3, law=OWN), [worse, worse])


# ---------------------------------------------------------------- how it is told


def test_it_prints_shows_and_serialises():
    found = plan(1e9, 1e21).uncertainty(count=50)
    text = str(found)
    for words in (
        "low (5 %)",
        "high (95 %)",
        "student loss L_S (nats/token)",
        "no covariances",
        "not as a chance",
    ):
        assert words in text
    shown = found._repr_html_()
    assert shown.count("<table>") == shown.count("</table>") == 1
    assert "B&#x27;" in shown, "primes are escaped"
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["intervals"]["L_S"]["value"] == found.plan.L_S
    assert values["wins"] == found.wins
    frame = found.to_frame()
    assert list(frame.index) == list(QUANTITIES)
    assert frame.loc["L_S", "low"] == found.intervals["L_S"][1]
