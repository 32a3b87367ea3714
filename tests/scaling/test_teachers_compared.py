"""The best teacher and the price of the others, on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.best_settings import best_settings, differences_from
from distill_lib.scaling.comparison import mean_interval, rise_from_the_best
from distill_lib.scaling.teachers_compared import (
    beyond_the_loss,
    errors_by_teacher,
    over_seeds,
    rises,
    teachers_compared,
    trend_of_errors,
)


def gap(noise: float, seeds: int = 8) -> pd.DataFrame:
    """Students that are best under the middle teacher by 0.02 and 0.04, teachers that differ by 0.01."""
    rng = np.random.default_rng(1)
    rows = []
    for seed in range(seeds):
        luck = rng.standard_normal()
        for N_T, cost in ((6e3, 0.02), (25e3, 0.0), (98e3, 0.04)):
            for twin in range(2):
                own = noise * rng.standard_normal()
                rows.append(
                    {
                        "objective": "distilled",
                        "N": 6000,
                        "D": 1000,
                        "N_T": N_T,
                        "L_T": 4 - N_T / 1e5,
                        "teacher_run": f"{N_T}-{twin}",
                        "seed": seed,
                        "L": 4.0 + luck + cost + 0.01 * twin + own,
                    }
                )
    alone = [dict(rows[0], objective="supervised", L=1.0, N_T=np.nan)]
    return pd.DataFrame(rows + alone)


def test_pairing_takes_the_luck_of_the_seed_out():
    found = teachers_compared(gap(noise=0.0)).set_index("N_T")
    assert found["best"].idxmax() == 25e3
    assert found.loc[6e3, "difference"] == pytest.approx(0.02)
    assert found.loc[98e3, "low"] == pytest.approx(0.04)
    assert found.loc[98e3, "positive"] == 8
    # The twins of both sizes differ by 0.01 either way.
    assert found.loc[98e3, "least"] == pytest.approx(0.03)
    assert found.loc[98e3, "most"] == pytest.approx(0.05)
    assert list(found["teachers"]) == [2, 2, 2]


def test_the_interval_is_that_of_the_seeds():
    table = gap(noise=0.01)
    found = teachers_compared(table, level=0.9).set_index("N_T").loc[98e3]
    by_seed = table[table["objective"] == "distilled"].pivot_table(index="seed", columns="N_T", values="L")
    interval = mean_interval(by_seed[98e3] - by_seed[25e3], level=0.9)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert found["low"] < 0.04 < found["high"]


def test_one_seed_has_no_interval():
    found = teachers_compared(gap(noise=0.01, seeds=1)).set_index("N_T")
    assert np.isnan(found.loc[98e3, "low"])
    assert found.loc[98e3, "difference"] > 0


def test_seeds_are_averaged_by_configuration():
    found = over_seeds(pd.DataFrame({"N": [1, 1, 2], "L": [3.0, 5.0, 1.0]}), ["N"])
    assert list(found["mean"]) == [4.0, 1.0]
    assert found["sd"].iloc[0] == pytest.approx(np.sqrt(2))
    assert np.isnan(found["sd"].iloc[1])
    assert list(found["n"]) == [2, 1]


def settings(noise: float) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "objective": "distilled",
            "N": 6000,
            "D": 1000,
            "N_T": 25e3,
            "L_T": 3.0,
            "seed": seed,
            "lam": lam,
            "L": 4.0 + 0.1 * (lam - 0.7) ** 2 + 0.3 * seed + noise * rng.standard_normal(),
        }
        for seed in range(4)
        for lam in (0.0, 0.5, 0.7, 1.0)
    )


def test_the_best_setting_is_found_with_those_that_seeds_cannot_tell_from_it():
    sharp = best_settings(settings(noise=1e-6), "lam").iloc[0]
    assert (sharp["best"], sharp["low"], sharp["high"]) == (0.7, 0.7, 0.7)
    assert sharp["worst"] == 0.0
    assert sharp["cost"] == pytest.approx(0.049, abs=1e-4)
    blurred = best_settings(settings(noise=0.05), "lam").iloc[0]
    assert blurred["low"] < blurred["high"]


def test_a_setting_that_no_seed_has_finished_is_refused():
    table = settings(noise=0.0)
    table = table[(table["lam"] != 0.5) | (table["seed"] > 3)]
    gone = table.copy()
    gone.loc[len(gone) + 100] = table.iloc[0].to_dict() | {"lam": 0.5, "seed": 9}
    with pytest.raises(ValueError, match="no seed has run every value of lam"):
        best_settings(gone, "lam")


def test_the_rise_is_judged_where_the_other_seeds_choose():
    table = pd.DataFrame({6e3: [0.5, 1.0, 1.0], 25e3: [1.0, 0.9, 0.9], 98e3: [1.2, 1.1, 1.1]})
    found = rise_from_the_best(table)
    # The first seed's lucky 0.5 does not choose for itself, but chooses for the others.
    assert list(found["chosen"]) == [25e3, 6e3, 6e3]
    assert found["rise"].to_numpy() == pytest.approx([0.2, 0.1, 0.1])


def test_equal_teachers_show_no_rise_on_average():
    rng = np.random.default_rng(3)
    tables = (pd.DataFrame(0.01 * rng.standard_normal((4, 5))) for _ in range(300))
    mean = np.mean([rise_from_the_best(table)["rise"].mean() for table in tables])
    assert abs(mean) < 0.002


def test_rises_by_student():
    found = rises(gap(noise=0.0))
    assert list(found) == [(6000, 1000)]
    assert found[6000, 1000]["rise"].to_numpy() == pytest.approx(np.full(8, 0.04))


def test_a_seed_without_an_option_is_refused():
    with pytest.raises(ValueError, match="every seed needs every option"):
        rise_from_the_best(pd.DataFrame({1: [0.1, np.nan], 2: [0.2, 0.3]}))


def many_teachers(bias: float) -> pd.DataFrame:
    """Students of twelve teachers that matter through their loss, and by `bias` through their size too."""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(12):
        N_T, L_T = 5e3 * 2.0 ** (number % 4), 2.5 + 0.1 * number
        for seed in range(3):
            L = 3.0 + 0.8 * (L_T - 3.0) + bias * np.log(N_T / 1e4) + 0.01 * rng.standard_normal()
            rows.append(
                {"objective": "distilled", "N": 6000, "D": 1000, "N_T": N_T, "L_T": L_T, "teacher_run": f"t{number}",
                 "seed": seed, "L": L}
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_a_teacher_known_by_its_loss_leaves_what_seeds_explain():
    found = beyond_the_loss(many_teachers(bias=0.0)).loc[6000]
    assert found["teachers"] == 12
    assert found["scatter"] == pytest.approx(found["seeds"], rel=0.6)
    assert found["worst"] < 0.01


def test_a_teacher_that_matters_by_its_size_is_seen():
    found = beyond_the_loss(many_teachers(bias=0.05)).loc[6000]
    assert found["scatter"] > 3 * found["seeds"]
    assert found["tilt"] > 0.8


def test_a_few_teachers_cannot_test_a_curve():
    few = many_teachers(bias=0.0)
    with pytest.raises(ValueError, match="5 teachers; at least six"):
        beyond_the_loss(few[few["teacher_run"].isin([f"t{n}" for n in range(5)])])


def taught(noise: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    """Students whose law errs by -1 % for each factor of ten by which a teacher is trained less."""
    rng = np.random.default_rng(2)
    rows, residuals = [], []
    for number, M in enumerate(np.logspace(0, 2, 9)):
        for _ in range(4):
            rows.append({"teacher_run": f"t{number}", "N_T": 1e4, "D_T": 1e4 * M, "L_T": 3.0})
            residuals.append(np.log1p(0.01 * (np.log10(M) - 2.0)) + noise * rng.standard_normal())
    return pd.DataFrame(rows), np.array(residuals)


def test_errors_are_averaged_over_the_students_of_a_teacher():
    table = errors_by_teacher(*taught())
    assert table.loc["t0", "error"] == pytest.approx(-0.02)
    assert table.loc["t8", ["M_T", "students"]].tolist() == pytest.approx([100.0, 4])


def test_a_trend_over_teachers_comes_back_with_its_interval():
    table = errors_by_teacher(*taught(noise=0.003))
    trend = trend_of_errors(table, "M_T")
    assert trend.low < 0.01 < trend.high
    assert trend.low > 0
    assert trend.n == 9
    with pytest.raises(ValueError, match="9 teachers with 1 values of N_T"):
        trend_of_errors(table, "N_T")
    with pytest.raises(ValueError, match=r"shape \[2\] for 36 students"):
        errors_by_teacher(taught()[0], [0.0, 0.1])


def switched() -> pd.DataFrame:
    """Students that lose 0.1 per unit of share, whatever luck their seed has; all distilled has an empty field."""
    rows = []
    for seed in range(4):
        common = {"N": 10, "D": 100, "seed": seed, "split": "student"}
        luck = 0.5 * seed
        rows.append(common | {"objective": "supervised", "N_T": np.nan, "share": np.nan, "L": 4.0 + luck})
        for share in (0.25, 0.75, 1.0):
            field = np.nan if share == 1.0 else share
            loss = 4.0 + luck - 0.1 * share + 0.001 * seed * (share < 1)
            rows.append(common | {"objective": "distilled", "N_T": 50, "share": field, "L": loss})
    return pd.DataFrame(rows)


def test_each_value_is_set_against_the_reference_seed_by_seed():
    found = differences_from(switched(), "share", 1.0, alone=0.0).set_index("share")
    assert list(found.index) == [0.0, 0.25, 0.75]
    assert found["difference"].tolist() == pytest.approx([0.1, 0.0765, 0.0265])
    assert found.loc[0.75, "low"] < 0.0265 < found.loc[0.75, "high"]
    assert set(found["seeds"]) == {4}
    assert list(differences_from(switched(), "share", 1.0)["share"]) == [0.25, 0.75]


def test_one_seed_gives_no_interval():
    table = switched()
    with pytest.raises(ValueError, match="at least two seeds"):
        differences_from(table[table["seed"] == 0], "share", 1.0)
