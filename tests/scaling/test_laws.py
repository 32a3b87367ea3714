"""Both laws: values against high-precision arithmetic, limits, inverses, the best teacher, bad input."""

import json
from decimal import Decimal, getcontext

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from distill_lib import paper
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw, published_law

LAWS = {reading: published_law(reading) for reading in ("reconciled", "printed")}
calm = settings(derandomize=True, deadline=None, max_examples=60)

sizes = st.floats(6, 12).map(lambda x: 10.0**x)
tokens = st.floats(7, 16).map(lambda x: 10.0**x)
losses = st.floats(1.25, 6.0)


def by_decimal(law, N_S, D_S, L_T):
    """Eq 8 as it is printed, in 60 digits."""
    getcontext().prec = 60

    def number(x):
        return Decimal(float(x))

    base = law.supervised
    N, D, T = number(N_S), number(D_S), number(L_T)

    def term(c, n, k):
        return number(c) * n ** -number(k)

    tilde = number(base.E) + (term(base.A, N, base.alpha) + term(base.B, D, base.beta)) ** number(base.gamma)
    broken = (1 + (T / (tilde * number(law.d1))) ** (1 / number(law.f1))) ** -(
        number(law.c1) * number(law.f1)
    )
    student = (term(law.A, N, law.alpha) + term(law.B, D, law.beta)) ** number(law.gamma)
    return float(T + T ** -number(law.c0) * broken * student)


@pytest.mark.parametrize("reading", LAWS)
@pytest.mark.parametrize("N_S", [1e6, 1.98e8, 1e9, 1e12])
@pytest.mark.parametrize("L_T", [1.23, 1.9, 2.4, 4.0, 9.0])
def test_log_sum_exp_form_equals_the_printed_form(reading, N_S, L_T):
    for D_S in (1e6, 2e10, 1e15):
        assert LAWS[reading].loss(N_S, D_S, L_T) == pytest.approx(
            by_decimal(LAWS[reading], N_S, D_S, L_T), rel=2e-14
        )


def test_coefficients_are_those_of_the_table():
    law, printed = LAWS["reconciled"], LAWS["printed"]
    table = paper.coefficients("distillation")
    assert printed.B == table["B'"].value == 24181.0
    assert law.B == pytest.approx(24181.0 * 1000.0**0.637)
    assert law.B == pytest.approx(1.970e6, rel=1e-3)
    assert {**law.to_dict(), "B": 0, "name": ""} == {**printed.to_dict(), "B": 0, "name": ""}
    assert (law.name, printed.name) == ("reconciled", "printed")
    assert law.supervised.exponents == pytest.approx((0.513, 0.486), abs=1e-3)


def test_reconciling_is_counting_D_S_in_thousands():
    # B' 1000^beta' D^-beta' is B' (D / 1000)^-beta'
    D_S = np.geomspace(1e8, 1e12, 7)
    law, printed = LAWS["reconciled"], LAWS["printed"]
    thousands = printed.B * (D_S / 1000.0) ** -printed.beta
    assert law.B * D_S**-law.beta == pytest.approx(thousands, rel=1e-13)


# ---------------------------------------------------------------- limits the authors designed (Sec 4.3)


@calm
@given(losses)
def test_unlimited_student_reaches_its_teacher(L_T):
    for law in LAWS.values():
        assert law.loss(1e300, 1e300, L_T) == pytest.approx(L_T, rel=1e-9)


@calm
@given(sizes, tokens, st.floats(3.0, 6.0))
def test_a_hopeless_teacher_makes_a_hopeless_student(N_S, D_S, exponent):
    L_T = 10.0**exponent
    for law in LAWS.values():
        assert law.loss(N_S, D_S, L_T) == pytest.approx(L_T, rel=1e-3)


@calm
@given(sizes, tokens, losses, st.floats(1.01, 100.0))
def test_more_tokens_never_hurt_a_student(N_S, D_S, L_T, factor):
    for law in LAWS.values():
        before, after = law.loss(N_S, D_S, L_T), law.loss(N_S, D_S * factor, L_T)
        assert after <= before * (1 + 1e-14)
        assert after >= law.floor(N_S, L_T) * (1 - 1e-14) >= L_T * (1 - 1e-14)


@calm
@given(sizes, tokens, st.floats(1.01, 100.0))
def test_supervised_law_falls_in_both_arguments_towards_its_floor(N, D, factor):
    base = LAWS["printed"].supervised
    assert base.loss(N * factor, D) < base.loss(N, D)
    assert base.loss(N, D * factor) < base.loss(N, D)
    assert base.loss(N, 1e300) == pytest.approx(base.floor(N), rel=1e-12)
    assert base.loss(1e300, 1e300) == pytest.approx(base.E, rel=1e-9)


@calm
@given(arrays.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
def test_arguments_broadcast_elementwise(shapes):
    law = LAWS["reconciled"]
    rng = np.random.default_rng(0)
    N, D, L = (
        np.exp(rng.uniform(low, high, shape))
        for (low, high), shape in zip(((18, 25), (20, 30), (0.5, 1.2)), shapes.input_shapes, strict=True)
    )
    together = law.loss(N, D, L)
    assert np.shape(together) == shapes.result_shape
    for index, (n, d, t) in enumerate(np.nditer([N, D, L])):
        assert np.ravel(together)[index] == pytest.approx(law.loss(float(n), float(d), float(t)), rel=1e-14)


# ---------------------------------------------------------------- inverses and optima


@calm
@given(sizes, tokens, losses)
@example(N_S=1e12, D_S=1e7, L_T=6.0)
def test_tokens_for_loss_inverts_the_distillation_law(N_S, D_S, L_T):
    law = LAWS["reconciled"]
    L_S = law.loss(N_S, D_S, L_T)
    slope = (law.loss(N_S, D_S * 1.001, L_T) - L_S) / 0.001
    if slope < -1e-9:  # where more tokens do nothing the inverse is not defined
        found = law.tokens_for_loss(N_S, L_T, L_S)
        assert law.loss(N_S, found, L_T) == pytest.approx(L_S, rel=1e-9)


@calm
@given(sizes, tokens)
def test_tokens_for_loss_inverts_the_supervised_law(N, D):
    base = LAWS["reconciled"].supervised
    assert base.tokens_for_loss(N, base.loss(N, D)) == pytest.approx(D, rel=1e-4)


def test_losses_below_the_floor_need_unlimited_tokens():
    law = LAWS["reconciled"]
    assert (
        law.supervised.tokens_for_loss(1e9, [law.supervised.floor(1e9) * 0.999, 1.0]).tolist() == [np.inf] * 2
    )
    assert law.tokens_for_loss(1e9, 2.0, [1.9, law.floor(1e9, 2.0) * 0.9999]).tolist() == [np.inf] * 2


def test_compute_optimal_is_a_minimum_that_spends_the_budget():
    from distill_lib.scaling.architecture import forward_flops

    base = LAWS["reconciled"].supervised
    for C in (1e19, 1e21, 1e24):
        N, D = base.compute_optimal(C)
        assert 3 * forward_flops(N) * D == pytest.approx(C, rel=1e-12)

        def loss(s, C=C):
            return base.loss(np.exp(s), C / (3 * forward_flops(np.exp(s))))

        best = minimize_scalar(loss, bounds=(15, 30), method="bounded", options={"xatol": 1e-9})
        assert np.log(N) == pytest.approx(best.x, abs=1e-4)
        assert base.loss(N, D) <= best.fun * (1 + 1e-12)
    assert base.compute_optimal(np.array([[1e19, 1e20]]))[0].shape == (1, 2)


def test_compute_optimal_ratio_is_about_15_tokens_per_parameter():
    N, D = LAWS["reconciled"].supervised.compute_optimal(np.array([3e19, 1e20, 3e20, 1e21]))
    assert np.all((D / N > 14.5) & (D / N < 16.5))


@pytest.mark.parametrize("reading", LAWS)
def test_best_teacher_is_the_global_minimum(reading):
    law = LAWS[reading]
    N_S, D_S = np.meshgrid([1e8, 1e9, 1e10, 1e11], [1e9, 2e10, 1e12, 1e15])
    L_T, L_S = law.best_teacher(N_S, D_S)
    grid = np.geomspace(law.supervised.E, 10.0, 4001)
    everywhere = law.loss(N_S[..., None], D_S[..., None], grid)
    assert np.all(L_S <= everywhere.min(axis=-1) * (1 + 1e-12))
    assert L_S == pytest.approx(law.loss(N_S, D_S, L_T), rel=1e-12)
    assert np.abs(L_S - everywhere.min(axis=-1)).max() < 1e-4


def test_infinite_data_bounds_agree_as_in_figure_40():
    law = LAWS["reconciled"]
    N = np.geomspace(1e8, 1e11, 13)
    assert np.abs(law.best_teacher(N, None)[1] / law.supervised.floor(N) - 1).max() < 0.0085
    # B' plays no part there
    assert np.array_equal(law.best_teacher(N, None)[1], LAWS["printed"].best_teacher(N, None)[1])


def test_the_break_and_its_steepness():
    law = LAWS["reconciled"]
    assert law.break_loss(1e9, 2e10) == pytest.approx(1.315 * law.supervised.loss(1e9, 2e10))
    assert law.steepness == pytest.approx(2.244, abs=1e-3)


# ---------------------------------------------------------------- storing


def test_a_law_survives_json():
    for law in LAWS.values():
        again = DistillationLaw.from_dict(json.loads(json.dumps(law.to_dict())))
        assert again == law
        assert again.name == law.name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda law: law.loss([1e9, -1], 1e10, 2), r"N_S\[1\] = -1.0 is out of range"),
        (lambda law: law.loss(1e9, [[1e10, 0.5]], 2), r"D_S\[0, 1\] = 0.5.*at least 1;"),
        (lambda law: law.loss(1e9, 1e10, float("nan")), r"L_T = nan is out of range.*nats per token"),
        (lambda law: law.loss(1e9, float("inf"), 2), r"D_S = inf is out of range"),
        (lambda law: law.loss(0, 1e10, 2), r"N_S = 0.0 is out of range"),
        (lambda law: law.loss("1e9", 1e10, 2), r"N_S = '1e9' is not a number"),
        (lambda law: law.loss(1e9, [1e10, None], 2), r"D_S\[1\] = None is not a number"),
        (lambda law: law.loss(True, 1e10, 2), r"N_S = True is not a number"),
        (lambda law: law.loss(1e9, [], 2), r"D_S is empty"),
        (lambda law: law.loss([1e9] * 2, [1e10] * 3, 2), r"do not broadcast: N_S \[2\], D_S \[3\]"),
        (lambda law: law.supervised.loss(-1, 1e9), r"N = -1.0 is out of range"),
        (lambda law: law.supervised.compute_optimal(0), r"C = 0.0 is out of range"),
        (lambda law: law.supervised.compute_optimal(10), r"C is too small"),
        (
            lambda law: published_law("corrected"),
            r"reading = 'corrected' is unknown.*'reconciled', 'printed'",
        ),
        (lambda law: SupervisedLaw(1.2, 3e3, -1, 0.4, 0.4), r"B = -1 is no coefficient"),
        (lambda law: SupervisedLaw.from_dict({"E": 1.0, "x": 2}), r"missing: A, B, alpha, beta; unknown: x"),
        (lambda law: DistillationLaw(1, 1, 1, 1, 1, 1, 1, 1, 1, supervised=None), r"must be a SupervisedLaw"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(LAWS["reconciled"])


def test_big_integers_and_mixed_lists_are_numbers():
    law = LAWS["reconciled"]
    assert law.loss(10**9, [10**20, 1e10], 2) == pytest.approx(law.loss(1e9, np.array([1e20, 1e10]), 2.0))
    assert isinstance(law.loss(10**9, 10**10, 2), float)
