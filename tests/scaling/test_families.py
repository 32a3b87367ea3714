"""A family planned together: against plans of one student, SciPy's optimisers, brute force, and limits."""

import json
import math

import numpy as np
import pytest
from scipy import optimize

from distill_lib.scaling import formulas
from distill_lib.scaling.families import plan_family
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.planning import SCENARIOS, plan

LAW = published_law()
SIZES = [5e8, 1e9, 4e9]


def mean_loss(v, *, scenario, logits, weights, C):
    """Return (weighted mean loss, bill / C - 1) straight from the definitions.

    v holds ln of each D_S, of N_T, of D_T and of the tokens that the teacher predicts in a shared pass, which is a
    variable of its own so that the bill has no kink.
    """
    a, b = formulas.SCENARIOS[scenario]
    D, (N_T, D_T, longest) = np.exp(v[: len(SIZES)]), np.exp(v[len(SIZES) :])
    L_T = LAW.supervised.loss(N_T, D_T)
    loss = np.average([LAW.loss(N, d, L_T) for N, d in zip(SIZES, D, strict=True)], weights=weights)
    F_T = formulas.forward_flops(N_T)
    students = sum(3 * formulas.forward_flops(N) * d for N, d in zip(SIZES, D, strict=True))
    predicted = longest if logits == "shared" else D.sum()
    return loss, (students + a * F_T * predicted + 3 * b * F_T * D_T) / C - 1


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_students_of_one_size_are_one_student_who_shares(scenario):
    family, one = plan_family([1e9] * 3, 3e21, scenario), plan(1e9, 1e21, scenario, students_sharing=3)
    assert family.L_S == pytest.approx([one.L_S] * 3, abs=1e-10)
    assert family.gap == pytest.approx(one.gap, abs=1e-10)
    assert family.C == pytest.approx(3e21, rel=1e-9)
    alone, single = plan_family([1e9], 1e21, scenario, logits="each"), plan(1e9, 1e21, scenario)
    assert (alone.L_S[0], alone.C) == (
        pytest.approx(single.L_S, abs=1e-10),
        pytest.approx(single.C, rel=1e-9),
    )
    assert alone.outcome == single.outcome
    reached = plan_family([1e9] * 3, scenario=scenario, target_losses=[2.3] * 3)
    shared = plan(1e9, target_loss=2.3, scenario=scenario, students_sharing=3)
    assert reached.C == pytest.approx(3 * shared.C, rel=1e-9)
    assert reached.gap == pytest.approx(shared.gap, abs=1e-9)


@pytest.mark.parametrize("logits", ["shared", "each"])
@pytest.mark.parametrize("scenario", SCENARIOS[1:])
def test_no_optimiser_of_scipy_finds_a_better_plan(scenario, logits):
    weights, C = (1.0, 2.0, 1.0), 3e21
    how = {"scenario": scenario, "logits": logits, "weights": weights, "C": C}
    p = plan_family(SIZES, C, scenario, weights=weights, logits=logits)
    bounds = [(math.log(1e6), math.log(1e17))] * 6
    constraints = [
        {"type": "ineq", "fun": lambda v: -mean_loss(v, **how)[1]},
        {"type": "ineq", "fun": lambda v: v[5] - v[:3]},
    ]
    best = math.inf
    for start in ([3e10, 3e10, 2e10, 2e9, 5e10, 3e10], [1e11, 8e10, 1e10, 5e9, 1e11, 1e11]):
        found = optimize.minimize(
            lambda v: mean_loss(v, **how)[0], np.log(start), method="SLSQP", bounds=bounds, constraints=constraints,
            options={"ftol": 1e-14, "maxiter": 1000},
        )  # fmt: skip
        if mean_loss(found.x, **how)[1] < 1e-9 and np.all(found.x[5] >= found.x[:3] - 1e-9):
            best = min(best, mean_loss(found.x, **how)[0])
    assert p.mean_L_S <= best + 1e-9
    assert p.mean_L_S == pytest.approx(best, abs=1e-6)
    mine = np.log([*p.D_S, p.N_T, p.D_T, max(p.D_S)])
    assert mean_loss(mine, **how) == (pytest.approx(p.mean_L_S, abs=1e-12), pytest.approx(0.0, abs=1e-9))
    assert p.shortfall < 1e-9


def test_a_given_teacher_by_brute_force():
    teacher, C = (3e9, 2e11), 2e21
    p = plan_family([5e8, 2e9], C, "teacher_inference", teachers=[(1e7, 1e9), teacher])
    assert p.teacher == 1
    L_T, F_T = LAW.supervised.loss(*teacher), formulas.forward_flops(3e9)
    F = [formulas.forward_flops(N) for N in (5e8, 2e9)]
    small = np.geomspace(1e9, C / (3 * F[0]), 200_001)
    # What the first student leaves is the second's, whose tokens may lengthen the pass.
    left = C - 3 * F[0] * small
    large = np.where(
        left / (3 * F[1] + F_T) >= small, left / (3 * F[1] + F_T), (left - F_T * small) / (3 * F[1])
    )
    good = large > 1e6
    losses = 0.5 * (LAW.loss(5e8, small[good], L_T) + LAW.loss(2e9, large[good], L_T))
    assert p.mean_L_S <= losses.min() + 1e-12
    assert p.mean_L_S == pytest.approx(losses.min(), abs=1e-8)
    assert p.C == pytest.approx(C, rel=1e-9)


def test_targets_against_scipy():
    targets = [2.45, 2.35, 2.2]
    p = plan_family(SIZES, target_losses=targets)
    assert p.L_S == pytest.approx(targets, abs=1e-10)

    def bill(v):
        N_T, D_T = np.exp(v)
        L_T = LAW.supervised.loss(N_T, D_T)
        tokens = [
            formulas.tokens_for_loss(N, L_T, L, LAW.to_dict(), formulas.BOUNDS)
            for N, L in zip(SIZES, targets, strict=True)
        ]
        if math.isinf(max(tokens)):
            return 1e3
        F_T = formulas.forward_flops(N_T)
        students = sum(3 * formulas.forward_flops(N) * D for N, D in zip(SIZES, tokens, strict=True))
        return math.log(students + F_T * max(tokens) + 3 * F_T * D_T)

    found = optimize.minimize(
        bill, np.log([4e9, 8e10]), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-13}
    )
    assert math.log(p.C) <= found.fun + 1e-9
    assert math.log(p.C) == pytest.approx(found.fun, abs=1e-8)
    assert math.isnan(p.shortfall)
    assert p.goal == "targets"


def test_supervised_students_divide_the_budget_as_well_as_can_be():
    p = plan_family(SIZES, 3e21)
    prices = [3 * formulas.forward_flops(N) for N in SIZES]

    def loss(v):
        tokens = np.exp(v) * 3e21 / np.exp(v).sum() / prices
        return sum(LAW.supervised.loss(N, D) for N, D in zip(SIZES, tokens, strict=True)) / 3

    found = optimize.minimize(loss, np.zeros(3), options={"gtol": 1e-10})
    assert p.mean_L_supervised == pytest.approx(found.fun, abs=1e-9)
    assert p.C_supervised == pytest.approx(3e21, rel=1e-9)


def test_more_weight_more_tokens_and_only_ratios_count():
    even, twice, heavy = (plan_family(SIZES, 2e21, weights=w) for w in (None, [2, 2, 2], [1, 1, 5]))
    assert even.D_S == twice.D_S
    assert heavy.D_S[2] > even.D_S[2]
    assert heavy.L_S[2] < even.L_S[2]
    assert sum(heavy.weights) == pytest.approx(1.0)


def test_more_students_share_the_teacher_and_more_compute_never_hurts():
    losses = [plan_family(SIZES, C, scenario="teacher_inference").mean_L_S for C in (1e20, 1e21, 1e22, 1e23)]
    assert losses == sorted(losses, reverse=True)
    free = plan_family(SIZES, 2e21, "best_case").mean_L_S
    paid = [
        plan_family(SIZES, 2e21, scenario, logits=how).mean_L_S
        for scenario in SCENARIOS[1:]
        for how in ("shared", "each")
    ]
    assert free < min(paid)
    assert all(shared <= each + 1e-12 for shared, each in zip(paid[::2], paid[1::2], strict=True))


def test_caps_and_lifetime_use():
    p = plan_family(SIZES, 1e23, max_D_S=5e10, max_D_T=1e11)
    assert max(p.D_S) == pytest.approx(5e10)
    assert p.D_T <= 1e11 * (1 + 1e-12)
    assert p.C < 1e23, "what the caps leave over is not spent"
    assert max(p.D_supervised) == pytest.approx(5e10)
    used = plan_family(SIZES, 2e21, inference_tokens=[1e11, 0, 0])
    assert used.flops_inference == pytest.approx(1e11 * formulas.forward_flops(5e8))
    assert used.C == pytest.approx(2e21, rel=1e-9)
    assert used.mean_L_S > plan_family(SIZES, 2e21).mean_L_S
    same = plan_family(SIZES, 2e21, inference_tokens=1e10)
    assert same.flops_inference == pytest.approx(1e10 * sum(map(formulas.forward_flops, SIZES)))


def test_a_loss_no_supervised_student_reaches_is_said():
    low = float(LAW.supervised.loss(1e9, 2e9)) - 0.02
    p = plan_family([1e9, 4e9], target_losses=[low, 2.6], scenario="best_case", max_D_S=2e9)
    assert math.isinf(p.D_supervised[0])
    assert math.isinf(p.gap)
    assert p.outcome == "distil"
    assert "cannot reach the loss asked of 1B" in p.verdict
    assert json.loads(p.to_json())["D_supervised"][0] is None


def test_it_prints_shows_and_serialises():
    p = plan_family(SIZES, 2e21)
    text = str(p)
    for words in ("Family of 3 students", "one pass of logits for all", "500M", f"{p.L_S[0]:.4f}", p.verdict):
        assert words in text
    assert p._repr_html_().count("<table>") == 2
    values = json.loads(p.to_json())
    assert values["mean_L_S"] == p.mean_L_S
    assert values["law"]["B"] == LAW.B
    assert sum(p.shares.values()) == pytest.approx(1.0)
    assert any(w.startswith("N_S = 1e+12 is outside") for w in plan_family([1e9, 1e12], 1e25).warnings)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"N_S": 1e9, "C": 1e21}, "N_S = 1000000000.0 is no list"),
        ({"N_S": [], "C": 1e21}, r"N_S = \[\] is no list"),
        ({"N_S": [1e9, -1], "C": 1e21}, r"N_S\[1\] = -1.0 is out of range"),
        ({"N_S": [1e9] * 65, "C": 1e21}, "a family has 64 students at the most"),
        ({}, "nothing to plan for"),
        ({"C": 1e21, "target_losses": [2.2] * 3}, "two questions"),
        ({"target_losses": [2.2]}, "target_losses has 1 entries for 3 students"),
        ({"target_losses": [2.2] * 3, "weights": [1, 1, 1]}, "weights have no meaning"),
        ({"target_losses": [2.2, 2.2, 1.2]}, "target_losses .* are out of reach with one teacher for all"),
        ({"target_losses": [1.3] * 3, "teachers": [(1e9, 1e10)]}, "are out of reach with each of the given"),
        ({"C": 1e21, "weights": [1, 0, 1]}, r"weights\[1\] = 0.0 is out of range"),
        ({"C": 1e21, "weights": [1, 2]}, "weights has 2 entries for 3 students"),
        ({"C": 1e21, "logits": "none"}, "logits = 'none' is unknown"),
        ({"C": 1e21, "scenario": "free"}, "scenario = 'free' is unknown"),
        ({"C": 1e12}, "C = 1000000000000.0 is too small to train anything: the least teacher"),
        ({"C": 1e21, "inference_tokens": [1, 2]}, "inference_tokens has 2 entries for 3 students"),
        ({"C": 1e21, "inference_tokens": -1}, r"inference_tokens\[0\] = -1 is out of range"),
        ({"C": 1e21, "teachers": [2.0]}, r"teachers\[0\] = 2.0 is a loss alone"),
        ({"C": 1e21, "teachers": []}, r"teachers = \[\]"),
        ({"C": 1e18, "teachers": [(1e12, 1e13)]}, "no given teacher serves: C = "),
        ({"C": 1e21, "teachers": [(1e9, 1e10)], "max_D_T": 1e9}, "max_D_T = .* caps the tokens"),
    ],
)
def test_bad_input(question, words):
    with pytest.raises(ValueError, match=words):
        plan_family(**{"N_S": SIZES, **question})
