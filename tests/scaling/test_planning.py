"""Plans: certified optima, special cases, limits, warnings, and refusals."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lib import paper
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.planning import SCENARIOS, plan, plan_map

LAWS = {reading: published_law(reading) for reading in ("reconciled", "printed")}
calm = settings(derandomize=True, deadline=None, max_examples=25)

sizes = st.floats(8, 11).map(lambda x: 10.0**x)
budgets = st.floats(19.5, 26).map(lambda x: 10.0**x)
scenarios = st.sampled_from(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("reading", LAWS)
def test_the_bill_adds_up_and_the_loss_is_the_laws(scenario, reading):
    law = LAWS[reading]
    p = plan(3e9, 1e22, scenario, law)
    assert p.flops_student + p.flops_logits + p.flops_teacher == pytest.approx(1e22, rel=1e-9)
    assert p.C == pytest.approx(1e22, rel=1e-9)
    assert sum(p.shares.values()) == pytest.approx(1.0, rel=1e-12)
    assert p.flops_student == pytest.approx(3 * forward_flops(3e9) * p.D_S, rel=1e-12)
    assert p.L_T == pytest.approx(law.supervised.loss(p.N_T, p.D_T), rel=1e-12)
    assert p.L_S == pytest.approx(law.loss(3e9, p.D_S, p.L_T), rel=1e-12)
    assert p.L_supervised == pytest.approx(law.supervised.loss(3e9, p.D_supervised), rel=1e-12)


@calm
@given(sizes, budgets, scenarios, st.sampled_from(list(LAWS)))
def test_first_order_conditions_hold(N_S, C, scenario, reading):
    assert plan(N_S, C, scenario, LAWS[reading]).residual < 1e-6


@calm
@given(sizes, budgets, scenarios, st.floats(1.05, 100.0))
def test_more_compute_never_hurts(N_S, C, scenario, factor):
    assert plan(N_S, C * factor, scenario).L_S <= plan(N_S, C, scenario).L_S * (1 + 1e-12)


@calm
@given(sizes, budgets)
def test_a_cheaper_teacher_never_hurts(N_S, C):
    best, inference, pretraining, both = (plan(N_S, C, scenario).L_S for scenario in SCENARIOS)
    assert best <= min(inference, pretraining) * (1 + 1e-12)
    assert max(inference, pretraining) <= both * (1 + 1e-12)


@calm
@given(sizes, budgets)
def test_best_case_is_the_best_free_teacher(N_S, C):
    law = LAWS["reconciled"]
    p = plan(N_S, C, "best_case")
    assert p.D_S == pytest.approx(p.D_supervised)
    L_T, L_S = law.best_teacher(N_S, p.D_S)
    assert p.L_S == pytest.approx(L_S, abs=1e-9)
    if p.L_T > 1.3:  # below, the bounds on N_T and D_T hold the planner back, not the law
        assert p.L_T == pytest.approx(L_T, rel=1e-4)
    # of all ways to this teacher, the one that supervised training would take
    N, D = law.supervised.compute_optimal(3 * forward_flops(p.N_T) * p.D_T)
    assert (p.N_T, p.D_T) == (pytest.approx(N, rel=1e-4), pytest.approx(D, rel=1e-4))


def test_teacher_inference_overtrains_to_the_bound():
    assert plan(1e9, 1e22, "teacher_inference").D_T == 1e17


def test_teacher_pretraining_wants_the_supervised_optimum():
    p = plan(3e9, 1e23, "teacher_pretraining")
    N, D = LAWS["reconciled"].supervised.compute_optimal(p.flops_teacher)
    assert (p.N_T, p.D_T) == (pytest.approx(N, rel=1e-6), pytest.approx(D, rel=1e-6))


# ---------------------------------------------------------------- other questions


@calm
@given(sizes, budgets, scenarios)
def test_target_loss_inverts_the_budget(N_S, C, scenario):
    p = plan(N_S, C, scenario)
    again = plan(N_S, target_loss=p.L_S, scenario=scenario)
    assert again.C <= C * (1 + 1e-9)
    assert again.L_S == pytest.approx(p.L_S, rel=1e-12)
    slope = (plan(N_S, C * 1.01, scenario).L_S - p.L_S) / 0.01
    if slope < -1e-6:  # else the budget is more than the loss needs
        assert again.C == pytest.approx(C, rel=1e-6)
        assert again.residual < 1e-5


@pytest.mark.parametrize("target", [2.4, 9.0])
def test_a_target_that_fixed_tokens_overshoot_is_met_by_the_cheapest_plan(target):
    p = plan(1e9, target_loss=target, D_S=1e10)
    assert p.D_S == 1e10
    assert p.L_S <= target * (1 + 1e-12)
    assert p.residual < 1e-6
    # With logits alone to pay for, cheaper means a smaller and so a weaker teacher.
    weaker = LAWS["reconciled"].supervised.loss(p.N_T * 0.99, 1e17)
    assert target == 9.0 or LAWS["reconciled"].loss(1e9, 1e10, weaker) > target


def test_app_D5_compute_ratios():
    # 500M to 2.4 nats at about 3/4, 10B to 2.2 nats at about 1/2 (erratum e13)
    small, large = plan(5e8, target_loss=2.4), plan(1e10, target_loss=2.2)
    assert small.C / small.C_supervised == pytest.approx(0.75, abs=0.05)
    assert large.C / large.C_supervised == pytest.approx(0.5, abs=0.1)
    printed = plan(1e10, target_loss=2.2, law=LAWS["printed"])
    assert printed.C / printed.C_supervised < 0.01  # why the printed B' cannot be


CORNERS = {("small", "small"): (1e9, 1e20), ("small", "large"): (1e9, 1e25), ("large", "small"): (1e10, 1e20),
           ("large", "large"): (3e10, 1e26)}  # fmt: skip


@pytest.mark.parametrize(
    "row", list(paper.table("allocation").itertuples()), ids=lambda row: f"{row.students}-{row.budgets}"
)
def test_table_3_says_where_compute_goes(row):
    N_S, C = CORNERS[row.students, row.budgets]
    shares = plan(N_S, C, row.scenario).shares
    student, logits, teacher = (
        shares[k] for k in ("student_training", "teacher_logits", "teacher_pretraining")
    )
    said = {
        "teacher_pretraining": teacher > 0.5,
        "student_and_logits": teacher < 0.1 and abs(student - logits) < 0.15,
        "student": student > 0.6,
        "thirds": max(student, logits, teacher) < 0.5 and min(student, logits, teacher) > 0.2,
    }
    assert [name for name, holds in said.items() if holds] == [row.most_to]


def test_the_printed_reading_contradicts_table_3():
    N_S, C = CORNERS["large", "small"]
    assert plan(N_S, C, SCENARIOS[3], LAWS["printed"]).shares["student_training"] < 0.2


def test_a_cap_on_tokens_caps_both_students():
    p = plan(1e9, 1e23, "best_case", max_D_S=1e11)
    assert p.D_S == p.D_supervised == 1e11
    assert p.C < 1e23
    assert p.residual < 1e-6
    # with inference to pay for, the budget is not the limit any more and the best teacher can be had
    q = plan(1e9, 1e23, "teacher_inference", max_D_S=1e11)
    assert q.D_S == 1e11
    assert q.L_S == pytest.approx(p.L_S, abs=1e-9)
    assert q.residual < 1e-6


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_cap_on_the_teachers_tokens_binds_and_the_plan_is_still_the_best(scenario):
    cap, free = 1e11, plan(3e9, 1e23, scenario)
    p = plan(3e9, 1e23, scenario, max_D_T=cap)
    assert p.D_T == pytest.approx(cap, rel=1e-9)
    assert p.D_T < free.D_T
    assert free.L_S <= p.L_S
    assert p.residual < 1e-6
    # of all teachers on so many tokens, as a list, none serves better, and the nearest as well
    sizes = np.geomspace(p.N_T / 3, p.N_T * 3, 201)
    listed = plan(3e9, 1e23, scenario, teachers=[(N_T, cap) for N_T in sizes])
    assert p.L_S <= listed.L_S <= p.L_S + 1e-6
    assert plan(3e9, 1e23, scenario, max_D_T=1e18).L_S == free.L_S


def test_a_teacher_that_cannot_be_had_is_not_promised():
    cap = {"max_D_T": 1e9}
    with pytest.raises(
        ValueError, match=r"above (\d\.\d+) nats with up to 1e\+17 tokens and a teacher of up to 1e\+09"
    ) as e:
        plan(1e9, target_loss=2.1, **cap)
    floor = float(str(e.value).partition("above ")[2].split()[0])
    assert plan(1e9, target_loss=floor + 1e-3, **cap).D_T <= 1e9
    # This cap is not the reason.
    with pytest.raises(ValueError, match=r"with up to 1e\+17 tokens; ask for more"):
        plan(1e9, target_loss=1.5, max_D_T=1e16)
    small = plan(1e10, 1e24, "best_case", max_D_T=1e10)
    assert "falls short by" in small.verdict
    assert "bill" not in small.verdict


def test_fixed_tokens_without_a_budget_give_the_best_teacher():
    p = plan(1e9, D_S=2.5e11)
    assert (p.L_T, p.L_S) == pytest.approx(LAWS["reconciled"].best_teacher(1e9, 2.5e11), rel=1e-6)
    assert p.goal == "tokens"
    assert p.D_supervised == 2.5e11


def test_fixed_tokens_within_a_budget_leave_the_rest_to_the_teacher():
    p = plan(1e9, 1e21, "teacher_pretraining_inference", D_S=2e10)
    assert p.D_S == 2e10
    assert p.C == pytest.approx(1e21, rel=1e-6)
    assert p.residual < 1e-5


def test_existing_teachers_are_all_compared():
    law = LAWS["reconciled"]
    teachers = [(5e8, 1e11), (1e9, 2e11, 2.05), (7e9, 1.4e11), (3e10, 6e11)]
    p = plan(1e9, 1e22, teachers=teachers)
    losses = []
    for N_T, D_T, *L_T in teachers:
        D_S = 1e22 / (3 * forward_flops(1e9) + forward_flops(N_T))
        losses.append(law.loss(1e9, D_S, L_T[0] if L_T else law.supervised.loss(N_T, D_T)))
    assert p.L_S == pytest.approx(min(losses), rel=1e-12)
    assert math.isnan(p.residual)
    free = plan(1e9, 1e22, "best_case", teachers=[1.6, 1.9, 2.1])
    assert free.L_T == min((1.6, 1.9, 2.1), key=lambda L_T: law.loss(1e9, free.D_S, L_T))
    assert plan(1e9, target_loss=2.25, teachers=teachers).L_S == pytest.approx(2.25, rel=1e-10)


def test_sharing_a_teacher_interpolates_between_scenarios():
    alone = plan(1e9, 1e21, "teacher_pretraining_inference").L_S
    pair = plan(1e9, 1e21, "teacher_pretraining_inference", students_sharing=2).L_S
    many = plan(1e9, 1e21, "teacher_pretraining_inference", students_sharing=1e9).L_S
    assert plan(1e9, 1e21, "best_case").L_S < many < pair < alone
    assert many == pytest.approx(plan(1e9, 1e21, "best_case").L_S, abs=1e-4)
    assert plan(1e9, 1e21, deltas=(0.5, 0.5)).L_S == pair


def test_lifetime_inference_is_paid_first():
    spent = 1e12 * forward_flops(1e9)
    p = plan(1e9, 1e22, inference_tokens=1e12)
    assert p.flops_inference == pytest.approx(spent)
    assert p.L_S == pytest.approx(plan(1e9, 1e22 - spent).L_S, rel=1e-12)
    assert sum(p.shares.values()) == pytest.approx(1.0)
    assert p.C_supervised == pytest.approx(1e22)


# ---------------------------------------------------------------- words


def test_a_plan_reads_as_a_table_and_survives_json():
    p = plan(1e9, 1e21)
    text = str(p)
    for word in (
        "distilled",
        "supervised",
        "teacher size N_T",
        f"{p.L_S:.4f}",
        "reconciled",
        "Too close to call",
    ):
        assert word in text
    again = json.loads(json.dumps(p.to_dict(), allow_nan=False))
    assert again["L_S"] == p.L_S
    assert again["law"]["B"] == p.law.B


def test_reason_splits_the_advantage():
    for scenario in SCENARIOS:
        p = plan(1e9, 1e21, scenario)
        assert p.reason["teacher"] - p.reason["bill"] == pytest.approx(p.advantage, abs=1e-9)
        assert p.reason["bill"] > -1e-9


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"C": 1e20, "scenario": "best_case"}, "Distil: with this budget it wins"),
        ({"C": 1e21, "scenario": "teacher_pretraining"}, "its bill costs"),
        ({"C": 1e25, "scenario": "best_case"}, "the data teach as well as the best free teacher"),
        ({"D_S": 2e10}, "on these tokens"),
        ({"target_loss": 2.4}, "Distil: it needs 0.66 times the compute of supervised training"),
        ({"target_loss": 2.0884, "scenario": "best_case"}, "near the floor data teach more"),
    ],
)
def test_verdicts_give_their_reason(question, words):
    assert words in plan(1e9, **question).verdict


def test_leaving_the_fitted_ranges_is_said_with_the_range():
    calm_plan = plan(1e9, 1e21, "teacher_pretraining")
    assert calm_plan.warnings == ()
    far = plan(1e11, 1e26, "teacher_pretraining")
    assert any(w.startswith("N_S = 1e+11 is outside 1.43e+08 to 1.26e+10") for w in far.warnings)
    assert any(w.startswith("D_T = ") for w in far.warnings)
    assert f"Note: {far.warnings[0]}" in str(far)


# ---------------------------------------------------------------- maps


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_map_is_its_plans(scenario):
    N_S, C = [3e8, 1e10, 5e10], [1e20, 3e22, 1e25, 1e26]
    grid = plan_map(N_S, C, scenario)
    assert grid.L_S.shape == (3, 4)
    assert sum(grid.shares.values()) == pytest.approx(np.ones((3, 4)))
    for i, n in enumerate(N_S):
        for j, c in enumerate(C):
            p = plan(n, c, scenario)
            assert grid.L_S[i, j] == pytest.approx(p.L_S, rel=1e-12)
            assert grid.L_supervised[i, j] == pytest.approx(p.L_supervised, rel=1e-12)
            assert grid.N_T[i, j] == pytest.approx(p.N_T, rel=1e-4)


def test_budgets_that_buy_nothing_are_nan_in_a_map():
    grid = plan_map([1e9], [1e10, 1e15, 1e21], "teacher_inference")
    assert np.isnan(grid.L_S[0]).tolist() == [True, True, False]
    assert np.isnan(grid.shares["student_training"][0, 0])


def test_a_map_of_figure_27_takes_well_under_two_seconds():
    start = time.process_time()
    for scenario in SCENARIOS:
        plan_map(np.geomspace(3e8, 5e10, 64), np.geomspace(1e20, 1e26, 64), scenario)
    assert time.process_time() - start < 2.0


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"C": -1.0}, r"C = -1.0 is out of range. C is in FLOPs"),
        ({"C": "1e21"}, r"C = '1e21' is not a number"),
        ({"C": [1e21, 1e22]}, r"is an array; give one number"),
        ({"C": math.nan}, r"C = nan is out of range"),
        ({"C": 1e12}, r"C = 1000000000000.0 is too small to train anything.*give C of at least"),
        ({"C": 1e21, "N_S": 0}, r"N_S = 0.0 is out of range"),
        ({"C": 1e21, "scenario": "free"}, r"scenario = 'free' is unknown; choose one of: 'best_case'"),
        ({"C": 1e21, "law": "printed"}, r"law = 'printed' is no DistillationLaw"),
        ({"C": 1e21, "target_loss": 2.0}, r"two questions"),
        ({}, r"nothing to plan for"),
        ({"target_loss": 2.0}, r"target_loss = 2.0 is out of reach.*above 2\.0"),
        ({"C": 1e21, "D_S": 0.2}, r"D_S = 0.2 is out of range"),
        ({"C": 1e21, "max_D_S": math.inf}, r"max_D_S = inf is out of range"),
        ({"C": 1e21, "D_S": 1e9, "max_D_S": 1e9}, r"leave out max_D_S"),
        ({"C": 1e21, "max_D_T": 0.5}, r"max_D_T = 0.5 is out of range"),
        (
            {"C": 1e21, "max_D_T": 1e10, "teachers": [(1e9, 1e10)]},
            r"max_D_T = .* leave it out where teachers are given",
        ),
        ({"C": 1e21, "D_S": 1e12}, r"C = 1e\+21 is too small.*1e\+12 student tokens"),
        ({"C": 1e21, "teachers": []}, r"teachers = \[\]; give a list"),
        ({"C": 1e21, "teachers": 2.0}, r"teachers = 2.0; give a list"),
        ({"C": 1e21, "teachers": [2.0]}, r"teachers\[0\] = 2.0 is a loss alone"),
        ({"C": 1e21, "teachers": [(1e9, 2e10), (1e9,)]}, r"teachers\[1\] = "),
        ({"C": 1e21, "teachers": [(1e9, 2e10, 11.0)]}, r"worse than guessing uniformly; valid is up to 10.4"),
        ({"C": 1e21, "teachers": [(1e9, 2e10, -1)]}, r"teachers\[0\] L_T = -1.0 is out of range"),
        ({"C": 1e17, "teachers": [(1e15, 2e10)]}, r"no given teacher serves"),
        ({"C": 1e21, "students_sharing": 0.5}, r"students_sharing = 0.5 is out of range"),
        ({"C": 1e21, "deltas": (0.5, 1.5)}, r"deltas\[1\] = 1.5 is out of range"),
        ({"C": 1e21, "deltas": (0.5,)}, r"give two parts"),
        ({"C": 1e21, "inference_tokens": -1}, r"inference_tokens = -1 is out of range"),
        ({"C": 1e21, "inference_tokens": 1e14}, r"too small to train anything"),
    ],
)
def test_bad_input(question, message):
    with pytest.raises(ValueError, match=message):
        plan(**{"N_S": 1e9, **question})


def test_bad_input_to_maps():
    with pytest.raises(ValueError, match=r"C\[1\] = -1.0 is out of range"):
        plan_map([1e9], [1e21, -1.0])
    with pytest.raises(ValueError, match=r"N_S has shape \[1, 2\]"):
        plan_map([[1e9, 2e9]], [1e21])
