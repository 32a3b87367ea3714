"""The audit on points whose truth is known: it must find the planted slip, and only that."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.audit import (
    current_audit,
    error_table,
    find_points,
    interval_of_B,
    log_errors,
    one_coefficient_repairs,
    read_audit,
    refit,
    rival_readings,
    token_effect,
    write_audit,
)
from distill_lib.scaling.laws import published_law

TRUTH = published_law("reconciled")


def students(law=TRUTH, noise=0.0, seed=0):
    """Students of three sizes at four ratios, all with the same seven teachers."""
    N_S, M, L_T = np.meshgrid([1.43e8, 5.46e8, 1.82e9], [20.0, 40.0, 80.0, 160.0], np.linspace(1.9, 2.7, 7))
    N_S, D_S, L_T = N_S.ravel(), (N_S * M).ravel(), L_T.ravel()
    L_S = law.loss(N_S, D_S, L_T) * np.exp(noise * np.random.default_rng(seed).standard_normal(N_S.size))
    return pd.DataFrame({"N_S": N_S, "D_S": D_S, "L_T": L_T, "L_S": L_S})


def test_the_true_reading_has_no_error_and_the_others_do():
    table = error_table(students(), rival_readings())
    assert table.loc["reconciled", ["mean", "worst"]].max() < 1e-10
    assert table.drop(index="reconciled")["mean"].min() > 0.005
    assert table.loc["printed", "bias"] < -0.5
    assert list(table.index)[:2] == ["printed", "reconciled"]


def test_it_can_say_that_the_printed_law_was_right():
    table = error_table(students(published_law("printed")), rival_readings())
    assert table["mean"].idxmin() == "printed"


def test_the_slip_is_found_in_the_coefficient_it_was_planted_in():
    repairs = one_coefficient_repairs(students())
    assert repairs.index[0] == "B"
    assert repairs.loc["B", "best"] == pytest.approx(TRUTH.B, rel=1e-6)
    assert repairs.loc["B", "mean"] < 1e-6
    assert repairs["mean"].iloc[1] > 0.05
    other = one_coefficient_repairs(students(replace(published_law("printed"), d1=1.5)))
    assert other.index[0] == "d1"


def test_refit_recovers_what_was_changed():
    start = replace(TRUTH, B=3e6, beta=0.6)
    fitted = refit(students(), start, ("B", "beta"))
    assert (fitted.law.B, fitted.law.beta) == pytest.approx((TRUTH.B, TRUTH.beta), rel=1e-6)
    assert fitted.law.supervised == TRUTH.supervised
    assert fitted.mean < 1e-8
    assert refit(students(noise=0.003), TRUTH, ("B",)).objective > 0


@pytest.mark.parametrize("by_curve", [True, False])
def test_the_interval_holds_the_truth_and_narrows_with_less_noise(by_curve):
    wide, narrow = (
        interval_of_B(students(noise=noise), by_curve=by_curve, draws=300) for noise in (0.004, 0.001)
    )
    for best, low, high in (wide, narrow):
        assert low < best < high
        assert low < TRUTH.B < high
    assert np.log(narrow[2] / narrow[1]) < np.log(wide[2] / wide[1])
    assert interval_of_B(students(noise=0.004), by_curve=by_curve, draws=300) == wide  # seeded


def test_token_effect_needs_no_fit():
    laws = {name: rival_readings()[name] for name in ("printed", "reconciled")}
    table = token_effect(students(), laws)
    assert len(table) == 3 * 3
    assert (table["teachers"] == 7).all()
    assert table["reconciled"].to_numpy() == pytest.approx(table["observed"].to_numpy(), rel=1e-10)
    assert (table["observed"] < table["printed"]).all()  # as printed, tokens do too little
    first = table.iloc[0]
    L_T = np.linspace(1.9, 2.7, 7)
    by_hand = np.mean(TRUTH.loss(first.N_S, first.D_S_to, L_T) - TRUTH.loss(first.N_S, first.D_S_from, L_T))
    assert first.observed == pytest.approx(by_hand)


def test_token_effect_passes_over_teachers_that_are_not_shared():
    points = students()
    points.loc[points["D_S"] == points["D_S"].min(), "L_T"] += 0.001
    assert len(token_effect(points, {})) == 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: log_errors(p.drop(columns="L_T"), TRUTH), r"points has no column L_T"),
        (lambda p: log_errors(p.assign(L_S=-1.0), TRUTH), r"points.L_S\[0\] = -1.0 is out of range"),
        (lambda p: refit(p, TRUTH, ("B'",)), r"free\[0\] = \"B'\" is unknown"),
        (lambda p: refit(p, TRUTH, ("B", "B")), r"each once"),
        (lambda p: refit(p, TRUTH, ()), r"at least one"),
        (lambda p: refit(p.head(1), TRUTH, ("A", "B")), r"1 points cannot fix 2"),
        (lambda p: interval_of_B(p, level=90), r"level = 90 is out of range"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(students())


def test_points_are_found_where_the_variable_says_and_missed_in_silence(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_LIB_DATA", str(tmp_path))
    assert find_points() is None
    (tmp_path / "distillation_points").mkdir()
    students().assign(note="left out").to_csv(tmp_path / "distillation_points" / "points.csv", index=False)
    pd.testing.assert_frame_equal(find_points(), students())


@pytest.fixture
def simulated_copy(tmp_path, monkeypatch):
    """A copy of points that were simulated, found like the real one."""
    monkeypatch.setenv("DISTILL_LIB_DATA", str(tmp_path))
    (tmp_path / "distillation_points").mkdir()
    students(noise=0.003).to_csv(tmp_path / "distillation_points" / "points.csv", index=False)


def without_points(monkeypatch, tmp_path):
    monkeypatch.setenv("DISTILL_LIB_DATA", str(tmp_path / "nothing here"))


def same(one, other, rtol):
    """Compare two audits; of nine free coefficients the fit fixes hardly one, but it fixes the error."""
    assert one.points == other.points
    assert one.weak_to_strong == pytest.approx(other.weak_to_strong, rel=rtol)
    assert one.B == pytest.approx(other.B, rel=rtol)
    assert one.free.objective == pytest.approx(other.free.objective, rel=rtol)
    assert one.free.mean == pytest.approx(other.free.mean, rel=rtol)
    for name in ("errors", "repairs", "changes", "quantiles"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), rtol=rtol, atol=1e-8)
    for name in ("alpha", "beta", "gamma"):
        assert getattr(one.free.law, name) == pytest.approx(getattr(other.free.law, name), abs=0.02)


def test_a_record_reads_back_as_it_was_computed(simulated_copy, tmp_path, monkeypatch):
    record = write_audit(tmp_path / "record.csv")
    computed = current_audit()
    assert (computed.source, read_audit(record).source) == ("computed", "recorded")
    same(read_audit(record), computed, 1e-7)
    assert read_audit(record).made == computed.made
    assert len(computed.made["points_sha256"]) == 64


def test_an_audit_gathers_what_its_parts_give(simulated_copy):
    points, audit = find_points(), current_audit()
    pd.testing.assert_frame_equal(audit.errors, error_table(points, rival_readings()))
    assert audit.B == interval_of_B(points)
    assert audit.weak_to_strong == pytest.approx((points["L_S"] < points["L_T"]).mean())
    # The middle of the distribution is the median of the table, its end the worst.
    np.testing.assert_allclose(audit.quantiles.loc[0.5], audit.errors["median"])
    np.testing.assert_allclose(audit.quantiles.loc[1.0], audit.errors["worst"])
    # Simulated students are never better than their teachers, but for the noise on good copies of poor ones.
    assert 0.05 < audit.weak_to_strong < 0.25


def test_without_points_the_committed_record_serves_and_is_not_recorded_again(monkeypatch, tmp_path):
    without_points(monkeypatch, tmp_path)
    audit = current_audit()
    assert audit.source == "recorded"
    assert list(audit.errors.index) == list(rival_readings())
    for name, law in rival_readings().items():
        assert audit.errors.loc[name, "B"] == pytest.approx(law.B, rel=1e-8), (
            "the record is of other readings"
        )
    with pytest.raises(FileNotFoundError, match="nothing to record"):
        write_audit(tmp_path / "record.csv")
    with pytest.raises(FileNotFoundError, match="no record at"):
        read_audit(tmp_path / "record.csv")


def test_the_committed_record_is_what_the_points_give():
    computed = current_audit()
    if computed.source == "recorded":
        pytest.skip("no copy of the points at hand")
    recorded = read_audit()
    assert recorded.made == computed.made, "the points or the command changed: make the record anew"
    # Optimisers end a little differently on other machines.
    same(recorded, computed, 1e-4)
