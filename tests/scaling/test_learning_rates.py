"""The sweep of learning rates: what it asks for, and the best rate that is read from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.depths import SHAPES, depths
from distill_lib.scaling.learning_rates import (
    DISTILLED,
    RATES,
    SCALED,
    UNSCALED,
    WIDTHS,
    arms,
    best_rates,
    learning_rates,
    vertex,
)

CURVATURE = 0.03  # nats/token per squared factor of e


def sweep(best: dict[str, dict[int, float]], jitter: float = 0.0) -> pd.DataFrame:
    """Make the table of a sweep whose losses are parabolas in ln(rate) with known lowest points."""
    protocols = {
        SCALED: "learning-rates",
        UNSCALED: "learning-rates-unscaled",
        DISTILLED: "learning-rates-distilled",
    }
    rows = [
        {
            "protocol": protocols[arm],
            "split": "student",
            "d_model": width,
            "N": 24 * width**2,
            "lr": lr,
            "seed": seed,
            "L": 3 - width / 100 + CURVATURE * np.log(lr / (at * np.exp((2 * seed - 1) * jitter))) ** 2,
        }
        for arm, widths in best.items()
        for width, at in widths.items()
        for lr in RATES
        for seed in (0, 1)
    ]
    return pd.DataFrame([rows[0] | {"split": "teacher", "L": 0.0}, *rows])


def test_the_sweep_covers_all_sizes_and_rates_once_and_crosses_over_only_where_it_says():
    specs = learning_rates(2)
    assert len({spec.spec_hash for spec in specs}) == len(specs)
    teacher = specs[0]
    assert teacher.split == "teacher"
    scaled = [spec for spec in specs if spec.protocol == "learning-rates"]
    assert {(s.model.d_model, s.lr, s.seed) for s in scaled} == {
        (width, lr, seed) for width in WIDTHS for lr in RATES for seed in (0, 1)
    }
    unscaled = [spec for spec in specs if spec.protocol == "learning-rates-unscaled"]
    assert {spec.model.mup for spec in unscaled} == {False}
    assert 32 not in {spec.model.d_model for spec in unscaled}
    distilled = [spec for spec in specs if spec.objective == "distilled"]
    assert {spec.teacher for spec in distilled} == {teacher}
    assert len({spec.D for spec in specs if spec is not teacher}) == 1
    with pytest.raises(ValueError, match="seeds"):
        learning_rates(0)


def test_rates_are_steps_of_two_around_that_of_all_other_runs():
    steps = np.diff(np.log2(RATES))
    np.testing.assert_allclose(steps, 1.0)
    assert RATES[len(RATES) // 2] == learning_rates(1)[0].lr


@pytest.mark.parametrize("at", [0.011, 0.016, 0.03])
def test_the_lowest_point_of_a_parabola_is_found_between_the_rates(at: float):
    rates = np.array(RATES)
    L = 2.5 + CURVATURE * np.log(rates / at) ** 2
    lr, low = vertex(rates, L)
    assert lr == pytest.approx(at)
    assert low == pytest.approx(2.5)


def test_a_lowest_loss_at_the_end_is_that_end_and_lost_runs_are_left_out():
    rates = np.array(RATES)
    assert vertex(rates, -rates) == (rates[-1], -rates[-1])
    L = 2.5 + CURVATURE * np.log(rates / 0.016) ** 2
    L[-1] = np.nan
    assert vertex(rates, L)[0] == pytest.approx(0.016)


def test_best_rates_are_those_that_were_put_in():
    put_in = {
        SCALED: {16: 0.02, 32: 0.018, 64: 0.016},
        UNSCALED: {16: 0.04, 64: 0.009},
        DISTILLED: {16: 0.03},
    }
    found = best_rates(sweep(put_in, jitter=0.1)).set_index(["arm", "d_model"])
    for arm, widths in put_in.items():
        for width, at in widths.items():
            row = found.loc[(arm, width)]
            assert row["lr"] == pytest.approx(at)
            assert row["lr_low"] == pytest.approx(at * np.exp(-0.1))
            assert row["lr_high"] == pytest.approx(at * np.exp(0.1))
            assert row["L"] == pytest.approx(3 - width / 100)
            assert row["inside"]
    # The width where scaling changes nothing stands in both arms.
    assert found.loc[(UNSCALED, 32), "lr"] == found.loc[(SCALED, 32), "lr"]


def test_the_price_of_a_common_rate_is_what_the_parabolas_say():
    found = best_rates(sweep({SCALED: {16: 0.016, 32: 0.016}, UNSCALED: {16: 0.064, 64: 0.004}}))
    scaled, unscaled = (found[found["arm"] == arm].set_index("d_model") for arm in (SCALED, UNSCALED))
    assert set(scaled["common_lr"]) == {0.016}
    assert scaled["common"].abs().max() < 1e-9
    assert set(unscaled["common_lr"]) == {0.016}
    assert unscaled.loc[16, "common"] == pytest.approx(CURVATURE * np.log(4) ** 2)
    # Half a decade lies between one and two steps of two: on the chord between their losses.
    along = (np.log(10) / 2 - np.log(2)) / np.log(2)
    assert scaled.loc[16, "decade"] == pytest.approx(CURVATURE * np.log(2) ** 2 * (1 + 3 * along))


def test_an_end_of_the_sweep_is_reported_as_such():
    found = best_rates(sweep({SCALED: {16: 1.0, 32: 0.016}})).set_index("d_model")
    assert not found.loc[16, "inside"]
    assert found.loc[32, "inside"]


def test_a_table_of_another_protocol_is_refused():
    other = sweep({SCALED: {16: 0.016}}).assign(protocol="smoke")
    with pytest.raises(ValueError, match="learning-rates"):
        best_rates(other)
    assert set(arms(sweep({SCALED: {16: 0.016}}))["arm"]) == {SCALED}


def test_shapes_come_in_pairs_of_the_same_size():
    specs = depths(2)
    assert len({spec.spec_hash for spec in specs}) == len(specs) == 2 * len(SHAPES)
    sizes = {(spec.model.n_layers, spec.model.d_model): spec.model.N for spec in specs}
    assert sizes[1, 48] == pytest.approx(sizes[4, 24], rel=0.01)
    assert sizes[2, 32] == pytest.approx(sizes[8, 16], rel=0.01)
    with pytest.raises(ValueError, match="seeds"):
        depths(0)
