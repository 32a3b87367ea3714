"""The figures of the audit draw what was computed, with and without points."""

import numpy as np
import pandas as pd
import pytest

import distill_lib as dl
from distill_lib import figures
from distill_lib.scaling.audit import audit_points
from distill_lib.scaling.identifiability import coefficient_uncertainty
from distill_lib.scaling.paper_protocols import distillation_runs


@pytest.fixture(scope="module")
def laws():
    return {name: dl.published_law(name) for name in ("printed", "reconciled")}


def test_printed_the_token_term_has_no_weight(laws):
    _, axes = figures.tokens_under_readings(laws, N_S=1e9, L_T=2.1)
    curves = {line.get_label(): line for line in axes[0].lines}
    tokens = curves["printed reading"].get_xdata()
    np.testing.assert_allclose(curves["printed reading"].get_ydata(), laws["printed"].loss(1e9, tokens, 2.1))
    supervised, printed, reconciled = (line.get_ydata() for line in axes[1].lines)
    assert printed.max() < 3
    assert reconciled[0] > 50
    assert supervised[0] > reconciled[0]


def test_only_the_reconciled_profiles_have_a_lowest_point(laws):
    _, axes = figures.isoflops_under_readings(laws)
    dots = [[line for line in ax.lines if line.get_marker() == "o"] for ax in axes]
    assert [len(found) for found in dots] == [0, 4]
    sizes = [dot.get_xdata()[0] for dot in dots[1]]
    assert sizes == sorted(sizes), "the lowest point moves to larger students with compute"


def test_windows_are_bars_and_candidates_are_lines():
    windows = pd.DataFrame(
        {"statement": ["a", "b"], "low": [1e5, np.nan], "high": [1e6, np.nan], "kind": ["statement"] * 2}
    )
    _, ax = figures.windows_of_B(windows, {"printed": 24181.0})
    bar, candidate = ax.lines
    assert list(bar.get_xdata()) == [1e5, 1e6]
    assert candidate.get_xdata()[0] == 24181.0
    assert [text.get_text() for text in ax.texts] == ["never"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]


def test_readings_are_drawn_against_what_was_computed_from_the_points(laws):
    N_S, M, L_T = np.meshgrid([2e8, 1e9], [20.0, 40.0, 80.0], np.linspace(2.0, 2.6, 5))
    points = pd.DataFrame({"N_S": N_S.ravel(), "D_S": (N_S * M).ravel(), "L_T": L_T.ravel()})
    points["L_S"] = laws["reconciled"].loss(points["N_S"], points["D_S"], points["L_T"]) * 1.001
    _, axes = figures.errors_at_points(audit_points(points), list(laws))
    by_name = {line.get_label(): line for line in axes[0].lines}
    reconciled = by_name["reconciled"]
    np.testing.assert_allclose(reconciled.get_ydata(), reconciled.get_xdata(), rtol=2e-3)
    assert (by_name["printed"].get_ydata() > by_name["printed"].get_xdata()).all()
    error = {line.get_label(): line for line in axes[1].lines}
    np.testing.assert_allclose(error["reconciled"].get_xdata(), 100 * np.log(1.001), rtol=1e-6)
    assert error["printed"].get_xdata()[20] > 0.2
    assert list(error["printed"].get_ydata())[::20] == [0.0, 0.5, 1.0]
    assert axes[1].get_title() == "all 30 points"


def test_what_a_fit_can_see_is_drawn_in_percent(laws):
    law = laws["reconciled"]
    table = coefficient_uncertainty(distillation_runs(law.supervised), law)
    _, ax = figures.what_a_fit_can_see(table)
    drawn = {line.get_label(): line.get_xdata() for line in ax.lines}
    np.testing.assert_allclose(drawn["all nine fitted"], table["together"])
    assert len(drawn["printed (Table 6)"]) == 8, "the interval of c1 has no width"
