"""The plain-Python mathematics: slopes against differences, one source for scalars and arrays, no imports."""

import ast
import inspect

import numpy as np
import pytest

from distill_lib.scaling import (
    answers,
    formulas,
    hinges,
    law_files,
    robustness,
    sketches,
    sureness,
    verdicts,
    wording,
)
from distill_lib.scaling.laws import published_law

LAW = published_law().to_dict()


def test_nothing_but_math_is_imported():
    tree = ast.parse(inspect.getsource(formulas))
    imported = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"math"}
    # Type checkers alone see the other one.
    assert [node.module for node in imported if isinstance(node, ast.ImportFrom)] == ["typing"]
    assert formulas.TYPE_CHECKING is False


@pytest.mark.parametrize(
    "module", [formulas, wording, answers, verdicts, law_files, robustness, hinges, sureness, sketches]
)
def test_no_syntax_that_micropython_lacks(module):
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.Match, ast.NamedExpr)), ast.dump(node)
        if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
            assert not any(isinstance(item, ast.Starred) for item in node.elts), ast.dump(node)
        if isinstance(node, ast.arguments):
            assert not node.posonlyargs


@pytest.mark.parametrize("L_T", [1.3, 1.9, 2.6, 4.0])
def test_slopes_equal_central_differences(L_T):
    N, D, h = 7e8, 3e10, 1e-5
    excess, by_tokens, by_teacher = formulas.student_term(N, D, L_T, LAW)
    assert formulas.distillation_loss(N, D, L_T, LAW) == L_T + np.exp(excess)

    def ex(d, t):
        return formulas.student_term(N, D * np.exp(d), L_T * np.exp(t), LAW)[0]

    assert by_tokens == pytest.approx((ex(h, 0) - ex(-h, 0)) / (2 * h), rel=1e-6)
    assert by_teacher == pytest.approx((ex(0, h) - ex(0, -h)) / (2 * h), rel=1e-6)


def test_log_add_is_safe_at_both_ends():
    assert formulas.log_add(1e4, -1e4) == 1e4
    assert formulas.log_add(-800.0, -800.0) == pytest.approx(-800.0 + np.log(2))
    assert formulas.log_add(0.3, 1.2) == pytest.approx(np.logaddexp(0.3, 1.2), rel=1e-15)


def test_bill_of_the_four_scenarios():
    F = formulas.forward_flops
    N_S, D_S, N_T, D_T = 1e9, 2e10, 3e9, 6e10
    for deltas in formulas.SCENARIOS.values():
        student, logits, teacher = formulas.compute_bill(N_S, D_S, N_T, D_T, *deltas)
        assert student == pytest.approx(3 * F(N_S) * D_S)
        assert logits == pytest.approx(deltas[0] * F(N_T) * D_S)
        assert teacher == pytest.approx(3 * deltas[1] * F(N_T) * D_T)


@pytest.mark.parametrize("scenario", formulas.SCENARIOS)
def test_arrays_and_floats_run_the_same_lines(scenario):
    deltas = formulas.SCENARIOS[scenario]
    N_S, C = np.array([3e8, 1e9, 1e10]), np.array([1e20, 1e22, 1e25])
    many = formulas.plan_student(N_S, C, LAW, deltas, ops=np)
    for i in range(3):
        single = formulas.plan_student(float(N_S[i]), float(C[i]), LAW, deltas)
        assert single["L_S"] == pytest.approx(many["L_S"][i], rel=1e-13)
        for name in ("D_S", "N_T", "D_T", "L_T"):
            assert single[name] == pytest.approx(many[name][i], rel=1e-5), name


DELTAS = [(1.0, 1.0), (0.3, 0.01), (0.0, 1.0), (1.0, 1e-6)]


def same_loss(L_T, N):
    """Tokens of teachers with N parameters and the loss L_T, where such teachers exist."""
    base = LAW["supervised"]
    left = (L_T - base["E"]) ** (1 / base["gamma"]) - base["A"] * N ** -base["alpha"]
    return N[left > 0], (base["B"] / left[left > 0]) ** (1 / base["beta"])


@pytest.mark.parametrize("deltas", DELTAS)
@pytest.mark.parametrize("L_T", [1.7, 2.2, 3.0])
def test_cheapest_teacher_beats_every_other_of_the_same_loss(L_T, deltas):
    base, D_S = LAW["supervised"], 5e10
    ranges = formulas.term_ranges(base, formulas.BOUNDS, formulas.BOUNDS)
    z = np.log(L_T - base["E"])
    F, N, D, *_ = formulas.cheapest_teacher(
        z, 0.0, lambda F, D: D_S, base, deltas, formulas.flop_terms(), ranges, 20
    )
    assert formulas.supervised_loss(N, D, base) == pytest.approx(L_T, rel=1e-12)
    assert formulas.forward_flops(N) == pytest.approx(F, rel=1e-12)
    N_others, D_others = same_loss(L_T, N * np.geomspace(0.2, 5.0, 2001))
    costs = formulas.forward_flops(N_others) * (deltas[0] * D_S + 3 * deltas[1] * D_others)
    assert F * (deltas[0] * D_S + 3 * deltas[1] * D) <= costs.min() * (1 + 1e-12)


@pytest.mark.parametrize("deltas", DELTAS)
@pytest.mark.parametrize("L_T", [2.2, 3.0])
def test_cheapest_teacher_leaves_the_most_tokens_of_a_budget(L_T, deltas):
    base, C, F_S = LAW["supervised"], 1e22, formulas.forward_flops(1e9)
    ranges = formulas.term_ranges(base, formulas.BOUNDS, formulas.BOUNDS)

    def tokens(F, D):
        return (C - 3 * deltas[1] * F * D) / (3 * F_S + deltas[0] * F)

    z = np.log(L_T - base["E"])
    F, N, D, *_ = formulas.cheapest_teacher(z, 0.0, tokens, base, deltas, formulas.flop_terms(), ranges, 20)
    N_others, D_others = same_loss(L_T, N * np.geomspace(0.2, 5.0, 2001))
    assert tokens(F, D) >= tokens(formulas.forward_flops(N_others), D_others).max() * (1 - 1e-12)


def test_lowest_point_finds_the_deeper_of_two_valleys():
    def curve(place, start):
        return (place**2 - 1) ** 2 + 1e-4 * place, 4 * place * (place**2 - 1) + 1e-4, place, start

    grid = [2.0 - 0.1 * i for i in range(41)]
    value, slope, place, _ = formulas.lowest_point(curve, grid, 0.0)
    assert abs(slope) < 1e-12
    assert place == pytest.approx(-1.0 - 1.25e-5, abs=1e-8)
    assert value < -1e-4


def test_lowest_point_may_be_an_end_or_a_kink():
    grid = [1.0 - 0.1 * i for i in range(11)]
    assert formulas.lowest_point(lambda p, s: (p, 1.0, p, s), grid, 0.0)[2] == grid[-1]
    assert formulas.lowest_point(lambda p, s: (-p, -1.0, p, s), grid, 0.0)[2] == 1.0

    def kink(p, s):
        return abs(p - 0.333), 5.0 if p > 0.333 else -0.01, p, s

    assert formulas.lowest_point(kink, grid, 0.0)[2] == pytest.approx(0.333, abs=1e-9)


@pytest.mark.parametrize("scenario", formulas.SCENARIOS)
@pytest.mark.parametrize("target", [None, 2.4])
def test_a_finer_scan_gives_the_same_plan(scenario, target, monkeypatch):
    deltas = formulas.SCENARIOS[scenario]
    found = formulas.plan_student(1e9, 1e21, LAW, deltas, target_loss=target)
    monkeypatch.setattr(formulas, "TEACHER_SCAN", 301)
    finer = formulas.plan_student(1e9, 1e21, LAW, deltas, target_loss=target)
    for name in ("L_S", "C", "N_T", "D_S"):
        assert found[name] == pytest.approx(finer[name], rel=1e-7), name


def test_other_laws_are_searched_as_well(monkeypatch):
    """Laws with coefficients 25 % off have humps and narrow valleys; a scan six times finer finds no more."""
    rng = np.random.default_rng(1)
    N_S, C = np.meshgrid(np.geomspace(1e7, 1e12, 7), np.geomspace(1e18, 1e28, 7))
    for _ in range(6):
        law = published_law(str(rng.choice(["printed", "reconciled"]))).to_dict()
        for part in (law, law["supervised"]):
            for name in sorted(set(part) - {"name", "supervised", "d1"}):
                part[name] *= float(np.exp(0.25 * rng.standard_normal()))
        for deltas in formulas.SCENARIOS.values():
            found = formulas.plan_student(N_S, C, law, deltas, ops=np)
            with monkeypatch.context() as patch:
                patch.setattr(formulas, "TEACHER_SCAN", 120)
                finer = formulas.plan_student(N_S, C, law, deltas, ops=np)
            assert np.array_equal(found["feasible"], finer["feasible"])
            assert np.abs(found["L_S"] - finer["L_S"])[found["feasible"]].max() < 1e-9
