"""The figures of fits, of intervals and of forms draw what was computed."""

import numpy as np
import pandas as pd
import pytest

import distill_lib as dl
from distill_lib import figures
from distill_lib.figures.fitting import SOURCE_COLOURS, SYMBOLS
from distill_lib.figures.style import PAGE_WIDTH
from distill_lib.scaling.paper_protocols import supervised_runs
from distill_lib.scaling.simulate import simulate_supervised

BLUE, ORANGE = SOURCE_COLOURS[1:3]


@pytest.fixture(scope="module")
def runs(law):
    return simulate_supervised(supervised_runs(), law.supervised, seed=0)


@pytest.fixture(scope="module")
def fit(runs):
    return dl.fit_supervised_law(runs["N"], runs["D"], runs["L"], gamma="free", delta=1e-4)


@pytest.fixture(scope="module")
def boot(fit):
    return fit.bootstrap(60, seed=0)


@pytest.fixture(scope="module")
def students(law):
    N, D, L_T = (x.ravel() for x in np.meshgrid([2e8, 6e8, 2e9], [4e9, 2e10, 1e11], [1.9, 2.1, 2.4, 2.8]))
    table = pd.DataFrame({"N_S": N, "D_S": D, "L_T": L_T})
    error = 0.002 * np.random.default_rng(0).standard_normal(len(table))
    return table.assign(L_S=law.loss(N, D, L_T) * np.exp(error))


def markers(ax, marker, **looks):
    """Points of all lines of a marker, of a colour or a face where given."""
    chosen = [
        line for line in ax.lines
        if line.get_marker() == marker and all(getattr(line, f"get_{k}")() == v for k, v in looks.items())
    ]  # fmt: skip
    points = [line.get_xydata() for line in chosen if len(line.get_xdata())]
    return np.concatenate(points) if points else np.empty((0, 2))


def table(observed, error, fitted):
    return pd.DataFrame({"observed": observed, "error": error, "fitted": fitted})


class TestPredictedAgainstObserved:
    @pytest.fixture
    def axes(self):
        observed = np.array([2.0, 2.2, 2.5, 2.8])
        whole = table(observed, [0.001, -0.002, 0.0, 0.003], True)
        high = table(observed, [0.02, -0.01, 0.001, 0.0], observed >= 2.3)
        fig, axes = figures.fig05_predicted_against_observed({"a law": {"all runs": whole, "high": high}})
        assert fig.get_size_inches()[0] <= PAGE_WIDTH
        return axes[:, 0]

    def test_predicted_runs_are_filled_and_fitted_ones_open(self, axes):
        np.testing.assert_allclose(
            markers(axes[0], "o", color=ORANGE, markerfacecolor=ORANGE), [[2.0, 2.04], [2.2, 2.178]]
        )
        opened = markers(axes[0], "o", color=ORANGE, markerfacecolor="none")
        np.testing.assert_allclose(opened, [[2.5, 2.5025], [2.8, 2.8]])
        assert len(markers(axes[0], "o", color=BLUE, markerfacecolor="none")) == 4
        assert len(markers(axes[0], "o", color=BLUE, markerfacecolor=BLUE)) == 0

    def test_errors_are_in_percent_around_a_band_of_one(self, axes):
        np.testing.assert_allclose(
            markers(axes[1], "o", color=ORANGE, markerfacecolor=ORANGE), [[2.0, 2.0], [2.2, -1.0]]
        )
        (band,) = axes[1].patches
        assert (band.get_y(), band.get_y() + band.get_height()) == (-1.0, 1.0)

    def test_the_legend_says_which_were_predicted(self, axes, drawn):
        assert list(drawn(axes[0]).lines) == ["all runs", "high (filled: predicted)"]

    def test_panels_share_their_errors_and_have_letters(self):
        observed = np.array([2.0, 2.5])
        panels = {
            title: {"fit": table(observed, [0.0, size], [False, True])}
            for title, size in (("a", 0.001), ("b", 0.05))
        }
        _, axes = figures.fig05_predicted_against_observed(panels)
        assert axes[1, 0].get_ylim() == axes[1, 1].get_ylim()
        assert [ax.get_title() for ax in axes[0]] == ["a", "b"]
        assert [ax.texts[0].get_text() for ax in axes[0]] == ["a", "b"]


class TestFitReport:
    def test_lines_are_the_law_where_a_size_has_several_runs(self, fit, runs):
        fig, axes = figures.fit_report(fit)
        assert fig.get_size_inches()[0] <= PAGE_WIDTH
        curves = [line for line in axes[0].lines if line.get_linestyle() == "-"]
        labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
        assert len(curves) == len(labels) == 6
        sizes = {figures.count(size): size for size in runs["N"]}
        for label, line in zip(labels, curves, strict=True):
            D = line.get_xdata()
            assert D[-1] > D[0]
            np.testing.assert_allclose(line.get_ydata(), fit.law.loss(sizes[label], D))

    def test_every_run_is_drawn_once_in_colour_or_grey(self, fit, runs):
        _, axes = figures.fit_report(fit)
        points = markers(axes[0], "o")
        np.testing.assert_allclose(np.sort(points[:, 1]), np.sort(runs["L"]))

    def test_residuals_and_standard_errors_are_those_of_the_fit(self, fit):
        _, axes = figures.fit_report(fit)
        x, y = markers(axes[1], "o").T
        np.testing.assert_allclose(y, 100 * np.expm1(fit.residuals))
        np.testing.assert_allclose(x * np.exp(fit.residuals), fit.law.loss(*runs_of(fit)))
        errors = fit.curvature.standard_errors
        np.testing.assert_allclose(markers(axes[2], "o")[:, 0], 100 * np.expm1(list(errors.values())))
        assert [t.get_text() for t in axes[2].get_yticklabels()] == [SYMBOLS[name] for name in errors]

    def test_a_coefficient_on_its_bound_is_called_not_fixed(self, law):
        N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e6, 3e6, 5), np.geomspace(2e7, 1e8, 5)))
        far = simulate_supervised(pd.DataFrame({"N": N, "D": D}), law.supervised, seed=0)
        lost = dl.fit_supervised_law(far["N"], far["D"], far["L"], gamma="free")
        assert "E ended on a bound" in lost.status
        _, axes = figures.fit_report(lost)
        (word,) = axes[2].texts
        assert (word.get_text(), word.xy[1]) == ("not fixed", 0), "E is the first row"

    def test_students_are_drawn_against_their_teachers(self, law, students):
        where = [students[name] for name in ("N_S", "D_S", "L_T", "L_S")]
        found = dl.fit_distillation_law(*where, supervised=law.supervised)
        _, axes = figures.fit_report(found)
        assert axes[0].get_xlabel() == "Teacher loss $L_T$ (nats/token)"
        assert set(markers(axes[0], "o")[:, 0].round(9)) == {1.9, 2.1, 2.4, 2.8}
        curve = next(line for line in axes[0].lines if line.get_linestyle() == "-")
        L_T = curve.get_xdata()
        np.testing.assert_allclose(curve.get_ydata(), found.law.loss(2e8, 4e9, L_T))


def runs_of(fit):
    """N and D that a fit was made from."""
    form = fit.problem.form
    return np.exp(form.x + form.centre[0]), np.exp(form.y + form.centre[1])


class TestCoefficientsCompared:
    @pytest.fixture
    def sources(self):
        columns = ["value", "low", "high"]
        base = pd.DataFrame([[2.0, 1.8, 2.4], [10.0, 9.0, 12.0]], index=["E", "A"], columns=columns)
        other = pd.DataFrame([[1.0, 0.2, 1.4], [40.0, 8.0, 900.0]], index=["E", "A"], columns=columns)
        return {"base": base, "other": other}

    def test_everything_is_relative_to_the_reference(self, sources):
        _, ax = figures.coefficients_compared(sources, reference="base")
        np.testing.assert_allclose(markers(ax, "D")[:, 0], [1.0, 1.0])
        np.testing.assert_allclose(markers(ax, "o")[:, 0], [0.5, 4.0])
        bars = [line.get_xdata() for line in ax.lines if line.get_linestyle() == "-" and line.get_lw() == 1.6]
        np.testing.assert_allclose(bars, [[0.9, 1.2], [0.9, 1.2], [0.2, 0.7], [0.8, 5.0]])
        assert ax.get_xlabel().endswith("relative to base")

    def test_intervals_that_go_on_end_in_arrows(self, sources):
        _, ax = figures.coefficients_compared(sources, reference="base")
        left, right = markers(ax, "<"), markers(ax, ">")
        assert left[:, 0].tolist() == [0.2]
        assert right[:, 0].tolist() == [5.0]
        assert left[0, 1] < right[0, 1], "E is above A"

    @pytest.mark.parametrize(("value", "marker", "at"), [(0.1, "<", 0.2), (100.0, ">", 5.0)])
    def test_a_value_beyond_the_axis_is_one_arrow_that_points_outwards(self, sources, value, marker, at):
        printed = pd.DataFrame({"value": value, "low": value, "high": value}, index=["E"])
        _, ax = figures.coefficients_compared({"base": sources["base"], "far": printed}, reference="base")
        assert markers(ax, marker)[:, 0].tolist() == [at]
        assert len(markers(ax, {"<": ">", ">": "<"}[marker])) == 0
        assert len(markers(ax, "o")) == 0
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == ["base", "far"], "it is named although its mark is off the axis"

    def test_a_coefficient_that_a_source_lacks_is_left_out(self, sources):
        sources["other"] = sources["other"].drop(index="A")
        _, ax = figures.coefficients_compared(sources, reference="base")
        assert len(markers(ax, "o")) == 1

    def test_primes_are_for_the_student_term_only(self):
        base = pd.DataFrame(1.0, index=["A", "c0", "a"], columns=["value", "low", "high"])
        _, ax = figures.coefficients_compared({"x": base}, reference="x", primes=True)
        assert [t.get_text() for t in ax.get_yticklabels()] == ["$A'$", "$c_0$", "$a'$"]


def test_draws_of_a_bootstrap_are_points_and_their_widths_are_beside_them(boot):
    _, axes = figures.ridge_of_draws(boot, [("A", "alpha"), ("gamma", "E")])
    np.testing.assert_allclose(markers(axes[0], "o"), boot.coefficients[["A", "alpha"]])
    np.testing.assert_allclose(markers(axes[1], "D"), [[boot.law.gamma, boot.law.E]])
    assert [ax.get_xscale() for ax in axes[:2]] == ["log", "linear"], "A spans decades, gamma does not"
    known = boot.intervals()
    np.testing.assert_allclose(
        markers(axes[2], "o")[:, 0], 50 * (known["high"] - known["low"]) / known["value"]
    )


def test_held_coefficients_have_no_width_to_draw(runs):
    held = dl.fit_supervised_law(runs["N"], runs["D"], runs["L"], gamma=1.0).bootstrap(30)
    _, axes = figures.ridge_of_draws(held, [("A", "alpha")])
    assert SYMBOLS["gamma"] not in [t.get_text() for t in axes[-1].get_yticklabels()]


def test_spectra_begin_at_one_and_count_the_coefficients(fit, drawn):
    shorter = np.array([4.0, 1.0, 0.01])
    _, ax = figures.spectra_of_curvature({"free": fit.curvature.spectrum, "short": shorter})
    lines = drawn(ax).lines
    np.testing.assert_allclose(lines["short"], [[1, 2, 3], [1.0, 0.25, 0.0025]])
    x, y = lines["free"]
    assert (x[-1], y[0]) == (6, 1.0)
    assert y[-1] == pytest.approx(1 / fit.curvature.condition)
    assert list(ax.get_xticks()) == [1, 2, 3, 4, 5, 6]


def test_forms_show_both_errors_and_mark_the_reference():
    forms = pd.DataFrame(
        {"coefficients": [5, 6], "fitted": [0.4, 0.3], "held_out": [0.5, 0.6]}, index=["plain", "rich"]
    )
    _, ax = figures.forms_compared(forms, reference="plain")
    np.testing.assert_allclose(markers(ax, "o", markerfacecolor="white"), [[0.4, 0], [0.3, 1]])
    np.testing.assert_allclose(markers(ax, "o", markerfacecolor=BLUE), [[0.5, 0], [0.6, 1]])
    labels = ax.get_yticklabels()
    assert [label.get_text() for label in labels] == ["plain (5)", "rich (6)"]
    assert [label.get_fontweight() for label in labels] == ["bold", "normal"]


def test_coverage_is_in_percent_with_two_standard_errors():
    study = pd.DataFrame({"coverage": [0.92, 0.8], "se": [0.01, 0.02]}, index=["E", "L at 4 N and 4 D"])
    _, ax = figures.coverage_of_intervals({"runs": study, "residuals": study.iloc[:1]}, level=0.9)
    (dotted,) = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert set(dotted.get_xdata()) == {90.0}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["$E$", "L at 4 N and 4 D"]
    first, second = ax.containers
    assert list(first[0].get_xdata()) == [92.0, 80.0]
    bars = [segment[:, 0] for segment in first[2][0].get_segments()]
    np.testing.assert_allclose(bars, [[90.0, 94.0], [76.0, 84.0]])
    assert len(second[0].get_xdata()) == 1


class TestBands:
    @pytest.fixture
    def bands(self, boot):
        D = np.geomspace(1e10, 1e13, 7)
        return {"free gamma": boot.predict(1e9, D).assign(D=D)}

    def test_lines_are_dashed_beyond_what_was_seen(self, bands):
        _, axes = figures.losses_with_bands(bands, x="D", xlabel="Tokens", seen=(1e10, 1e12))
        (ax,) = axes
        dashed, solid = ax.lines
        assert dashed.get_linestyle() == "--"
        assert dashed.get_xdata()[-1] == pytest.approx(1e13)
        assert solid.get_linestyle() == "-"
        assert solid.get_xdata()[-1] == pytest.approx(1e12)
        np.testing.assert_allclose(solid.get_ydata(), bands["free gamma"]["value"][:5])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("Tokens", "Cross-entropy (nats/token)")

    def test_the_band_reaches_from_low_to_high(self, bands):
        _, (ax,) = figures.losses_with_bands(bands, x="D", xlabel="Tokens")
        shape = ax.collections[0].get_paths()[0].vertices[:, 1]
        assert shape.min() == pytest.approx(bands["free gamma"]["low"].min())
        assert shape.max() == pytest.approx(bands["free gamma"]["high"].max())

    def test_with_a_truth_a_second_panel_shows_errors(self, bands, law, drawn):
        table = bands["free gamma"]
        truth = pd.DataFrame({"D": table["D"], "value": law.supervised.loss(1e9, table["D"])})
        fig, axes = figures.losses_with_bands(bands, x="D", xlabel="Tokens", truth=truth)
        assert fig.get_size_inches()[0] <= PAGE_WIDTH
        losses, errors = (drawn(ax).lines for ax in axes)
        np.testing.assert_allclose(losses["the truth"][1], truth["value"])
        np.testing.assert_allclose(errors["the truth"][1], 0.0)
        np.testing.assert_allclose(
            errors["free gamma"][1], 100 * (table["value"] / truth["value"].to_numpy() - 1)
        )
        low = axes[1].collections[0].get_paths()[0].vertices[:, 1].min()
        assert low == pytest.approx((100 * (table["low"] / truth["value"] - 1)).min())


class TestStudentsAgainstTeachers:
    def test_without_points_both_panels_say_so(self, law):
        _, axes = figures.students_against_teachers(None, {}, supervised=law.supervised)
        for ax in axes:
            assert [text.get_text() for text in ax.texts] == ["no copy of the points at hand"]
            assert not ax.lines

    def test_students_below_their_teachers_are_set_apart(self, law, students, drawn):
        gifted = students.copy()
        gifted.loc[3, "L_S"] = 0.99 * gifted.loc[3, "L_T"]
        _, axes = figures.students_against_teachers(
            gifted, {"published": law, "again": law}, supervised=law.supervised
        )
        lines = drawn(axes[0]).lines
        below, above = lines["below its teacher"], lines["above its teacher"]
        expected = gifted["L_T"] / law.supervised.loss(gifted["N_S"], gifted["D_S"])
        under = gifted["L_S"] < gifted["L_T"]
        np.testing.assert_allclose(below[0], expected[under])
        assert -1.0 == pytest.approx(below[1].min())
        assert len(above[0]) + len(below[0]) == len(gifted)
        assert (above[1] >= 0).all()

    def test_errors_are_those_of_the_laws_and_their_mean(self, law, students, drawn):
        biased = students.assign(L_S=law.loss(students["N_S"], students["D_S"], students["L_T"]) / 1.01)
        _, axes = figures.students_against_teachers(biased, {"published": law}, supervised=law.supervised)
        np.testing.assert_allclose(markers(axes[1], "o", color=BLUE)[:, 1], 1.0)
        np.testing.assert_allclose(drawn(axes[1]).lines["published"][1], 1.0)
