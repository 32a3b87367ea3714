"""IsoFLOP figures: what they mark is what was fitted."""

import numpy as np
import pytest

from distill_lib import figures
from distill_lib.figures.isoflop import VARIANT_COLOURS, VARIANT_STYLES
from distill_lib.figures.style import PAGE_WIDTH
from distill_lib.scaling.isoflop import VARIANTS, fit_isoflops
from distill_lib.scaling.isoflop_bias import profile_bias
from distill_lib.scaling.paper_protocols import supervised_runs
from distill_lib.scaling.simulate import simulate_supervised


@pytest.fixture(scope="module")
def fit(law):
    grid = supervised_runs().query("protocol == 'isoflop'")
    runs = simulate_supervised(grid, law.supervised, seed=1)
    return fit_isoflops(runs["N"], runs["L"], C=runs["C"], bootstraps=50)


def test_profiles_show_every_run_and_mark_every_minimum(fit, law):
    fig, axes = figures.isoflop_profiles(fit, law=law.supervised, law_label="the law drawn from")
    assert fig.get_size_inches()[0] <= PAGE_WIDTH
    lines = axes["profiles"].lines
    dots = [line for line in lines if line.get_marker() == "o" and len(line.get_xdata()) > 1]
    assert sum(len(line.get_xdata()) for line in dots) == 56
    marks = {
        variant: [line.get_xydata()[0] for line in lines
                  if len(line.get_xdata()) == 1 and line.get_markeredgecolor() == VARIANT_COLOURS[variant]]
        for variant in VARIANTS
    }  # fmt: skip
    for variant in VARIANTS:
        np.testing.assert_allclose(marks[variant], fit.optima.loc[variant, ["N_opt", "L_opt"]])
    dashed = next(line for line in lines if line.get_linestyle() == "--")
    N, D = law.supervised.compute_optimal(1e20)
    along = np.interp(np.log(N), np.log(dashed.get_xdata()), dashed.get_ydata())
    assert along == pytest.approx(law.supervised.loss(N, D), abs=1e-3)
    for ax in axes.values():
        assert "(" in ax.get_xlabel()
        assert "(" in ax.get_ylabel()


def test_power_laws_and_their_exponents_are_those_of_the_fit(fit, law, drawn):
    _, axes = figures.isoflop_profiles(fit, law=law.supervised)
    for quantity in ("N", "D"):
        lines = drawn(axes[quantity]).lines
        for variant in VARIANTS:
            a = fit.exponents.loc[(variant, quantity), "exponent"]
            x, y = next(line for label, line in lines.items() if variant in label and f"{a:.3f}" in label)
            assert np.polyfit(np.log(x), np.log(y), 1)[0] == pytest.approx(a)
        x, y = lines["the law's optimum"]
        np.testing.assert_allclose(y, law.supervised.compute_optimal(x)[quantity == "D"])


def test_without_a_law_nothing_is_dashed(fit):
    _, axes = figures.isoflop_profiles(fit)
    assert all(line.get_linestyle() != "--" for ax in axes.values() for line in ax.lines)


def test_bars_are_the_intervals_and_without_bootstraps_there_are_none(fit):
    def bars(of):
        panel = figures.isoflop_profiles(of)[1]["N"]
        return [
            segment for lines in panel.collections for segment in lines.get_segments() if len(segment) == 2
        ]

    bare = fit_isoflops(fit.runs["N"], fit.runs["L"], C=fit.runs["C"], bootstraps=0)
    ends = np.concatenate([segment[:, 1] for segment in bars(fit)])
    np.testing.assert_allclose(
        np.sort(ends), np.sort(fit.optima[["N_opt_low", "N_opt_high"]].to_numpy().ravel())
    )
    assert not any(np.isfinite(segment).all() for segment in bars(bare))


def test_a_minimum_outside_is_an_open_mark():
    x = np.linspace(-1.5, 1.5, 7)
    N = np.concatenate([1e9 * np.exp(x), 2e9 * np.exp(x), 4e9 * np.exp(x)])
    L = np.concatenate([2.5 + 0.04 * (x + 3) ** 2, 2.4 + 0.04 * x**2, 2.3 + 0.04 * x**2])
    fit = fit_isoflops(N, L, C=np.repeat([1e20, 1e21, 1e22], 7), bootstraps=20)
    _, axes = figures.isoflop_profiles(fit)
    for ax in axes.values():
        marks = [
            line
            for line in ax.lines
            if line.get_markeredgecolor() in VARIANT_COLOURS.values() and line.get_marker() in "oD"
        ]
        is_open = {True: 0, False: 0}
        for mark in marks:
            is_open[mark.get_markerfacecolor() == "white"] += len(mark.get_xdata())
        assert is_open == {True: 2, False: 4}, "two variants, three budgets"


def test_bias_is_drawn_in_per_cent_where_the_optimum_is_inside(law):
    table = profile_bias(law.supervised, width=[4, 64], offset=[0.25, 0.5, 1, 2, 4])
    fig, axes = figures.profile_bias({"published law": table, "again": table})
    assert fig.get_size_inches()[0] <= PAGE_WIDTH
    assert [ax.get_title() for ax in axes] == ["published law", "again"]
    for ax in axes:
        assert ax.has_data()
    curves = [
        line
        for line in axes[0].lines
        if line.get_linestyle() in VARIANT_STYLES.values() and len(line.get_xdata()) > 2
    ]
    longest = max(curves, key=lambda line: len(line.get_xdata()))
    wide = table[(table["width"] == 64) & (table["variant"] == "parabola")]
    np.testing.assert_allclose(longest.get_xdata(), wide["offset"])
    np.testing.assert_allclose(longest.get_ydata(), 100 * wide["bias"])
    # Of the narrow profile only the centre at the optimum and its neighbours hold the optimum inside.
    held = table[(table["width"] == 4) & (table["variant"] == "parabola") & table["inside"]][
        "offset"
    ].tolist()
    assert held == [1.0]
    assert sum(list(line.get_xdata()) == held for line in axes[0].lines) == 2


def test_bias_needs_one_budget_and_a_table(law):
    with pytest.raises(ValueError, match="tables is empty; give one table"):
        figures.profile_bias({})
    table = profile_bias(law.supervised, C=[1e20, 1e21])
    with pytest.raises(ValueError, match=r"tables\['law'\] has 2 budgets; give one"):
        figures.profile_bias({"law": table})
