"""Figures of learning rates and of the ladder: they show the runs, and mark what the statistics say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib import figures, paper
from distill_lib.figures.style import PAGE_WIDTH
from distill_lib.scaling.learning_rates import DISTILLED, RATES, SCALED, best_rates

PROTOCOLS = ("learning-rates", "learning-rates-unscaled", "learning-rates-distilled")


@pytest.fixture
def sweep() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"protocol": protocol, "split": "student", "d_model": width, "N": 24 * width**2, "lr": lr, "seed": seed,
         "L": 3 - width / 100 + 0.03 * np.log(lr / 0.02) ** 2 + 0.001 * rng.normal()}
        for protocol in PROTOCOLS for width in (16, 32, 64) for lr in RATES for seed in (0, 1)
        if (protocol, width) != ("learning-rates-unscaled", 32)  # those of the first arm stand for it
    ]  # fmt: skip
    return pd.DataFrame(rows)


def ticks(ax):
    return sorted(line.get_xydata()[0].tolist() for line in ax.lines if line.get_marker() == "|")


def test_fig53_marks_the_best_rate_of_each_size_and_the_papers(sweep):
    fig, axes = figures.fig53_learning_rates(sweep)
    assert fig.get_size_inches()[0] <= PAGE_WIDTH
    best = best_rates(sweep)
    for ax, arm in zip(axes, (DISTILLED, SCALED), strict=True):
        expected = best.loc[best["arm"] == arm, ["lr", "L"]].to_numpy()
        np.testing.assert_allclose(ticks(ax), sorted(expected.tolist()))
        [diamond] = [line for line in ax.lines if line.get_marker() == "D"]
        assert diamond.get_xdata()[0] == float(paper.table("claims").set_index("claim").loc["c64", "value"])
        curves = [line for line in ax.lines if line.get_marker() == "o"]
        assert [len(line.get_xdata()) for line in curves] == [len(RATES)] * 3
        # Bars are the spread over seeds.
        means = sweep[sweep["protocol"] == PROTOCOLS[2 if arm == DISTILLED else 0]]
        of = means.query("d_model == 16").groupby("lr")["L"]
        np.testing.assert_allclose(curves[0].get_ydata(orig=False), of.mean())
        bars = ax.collections[0].get_segments()
        np.testing.assert_allclose([bar[1, 1] - bar[0, 1] for bar in bars], 2 * of.std())


def test_transfer_shows_the_best_rate_of_each_width_in_both_arms(sweep):
    fig, axes = figures.learning_rate_transfer(sweep)
    assert fig.get_size_inches()[0] <= PAGE_WIDTH
    best = best_rates(sweep)
    lines = {container.get_label(): container.lines[0] for container in axes[2].containers}
    for arm, line in lines.items():
        np.testing.assert_allclose(line.get_ydata(orig=False), best.loc[best["arm"] == arm, "lr"])
    assert len(lines) == 2


def test_shapes_are_shown_with_one_mark_per_depth():
    rows = [
        {"n_layers": layers, "d_model": width, "N": 12 * layers * width**2, "L": 2.5 - layers / 100 + seed / 1000}
        for layers, width in ((1, 48), (2, 24), (2, 32), (4, 24)) for seed in (0, 1)
    ]  # fmt: skip
    _, ax = figures.depth_and_width(pd.DataFrame(rows))
    drawn = {container.get_label(): container.lines[0] for container in ax.containers}
    assert set(drawn) == {"1 layer", "2 layers", "4 layers"}
    np.testing.assert_allclose(drawn["2 layers"].get_ydata(orig=False), 2.5 - 0.02 + 0.0005)
    assert drawn["1 layer"].get_marker() != drawn["4 layers"].get_marker()


def test_learning_curves_show_the_floor_and_what_is_above_it():
    def runs(L: float) -> pd.DataFrame:
        row = {"objective": "supervised", "split": "student"}
        rows = [row | {"N": N, "D": D, "L": L + 10 / D**0.5} for N in (1e3, 1e4) for D in (1e4, 1e5)]
        return pd.DataFrame([*rows, rows[0] | {"split": "teacher", "L": 0.0}])

    _, axes = figures.learning_curves(runs(4.0), runs(2.0), E=2.0)
    curve = axes[2].containers[0].lines[0]
    np.testing.assert_allclose(curve.get_ydata(orig=False), [0.1, 10 / 1e5**0.5])
    assert axes[2].get_yscale() == "log"
    floors = [line for line in axes[1].lines if line.get_linestyle() == ":"]
    assert [line.get_ydata(orig=False)[0] for line in floors] == [2.0]
