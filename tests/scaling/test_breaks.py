"""The break, found again in students drawn from a law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.breaks import break_even, break_factor, remaining_gap
from distill_lib.scaling.laws import DistillationLaw, published_law

RATIOS = np.linspace(0.8, 1.15, 15)


@pytest.fixture(scope="module")
def law() -> DistillationLaw:
    return published_law()


def students(law: DistillationLaw, noise: float = 0.0, ratios: np.ndarray = RATIOS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for N in (2e8, 1e9, 4e9):
        for teacher, ratio in enumerate(ratios):
            alone = law.supervised.loss(N, 20 * N)
            rows.append(
                {
                    "N_S": N,
                    "D_S": 20 * N,
                    "L_T": ratio * alone,
                    "teacher_run": f"t{teacher}",
                    "supervised": alone * np.exp(noise * rng.standard_normal()),
                }
            )
    table = pd.DataFrame(rows)
    loss = law.loss(table["N_S"], table["D_S"], table["L_T"])
    table["L_S"] = loss * np.exp(noise * rng.standard_normal(len(table)))
    return table.assign(N=table["N_S"], D=table["D_S"], distilled=table["L_S"])


def test_the_law_leaves_what_its_own_students_leave(law: DistillationLaw):
    found = remaining_gap(law, students(law))
    np.testing.assert_allclose(found["remaining"], found["by_law"], rtol=1e-6, atol=1e-9)
    assert found["ratio"].tolist() == pytest.approx(np.tile(np.linspace(0.8, 1.15, 15), 3).tolist())


def test_the_factor_is_that_of_equation_8(law: DistillationLaw):
    ratio = np.array([0.5, 0.9, 1.0, 1.1])
    plain = (1 + (ratio / law.d1) ** (1 / law.f1)) ** (-law.c1 * law.f1)
    np.testing.assert_allclose(break_factor(law, ratio), plain, rtol=1e-10)
    assert break_factor(law, np.array([1e6]))[0] == 0.0  # where the power itself overflows


def test_runs_and_law_come_out_even_at_the_same_teacher(law: DistillationLaw):
    exact = break_even(students(law), law)
    assert exact.ratio == pytest.approx(exact.by_law, abs=1e-6)
    noisy = break_even(students(law, noise=0.004), law)
    assert noisy.low < noisy.by_law < noisy.high
    assert noisy.high - noisy.low < 0.05
    assert noisy.teachers < 15  # those near the break alone


def test_the_same_seed_gives_the_same_interval(law: DistillationLaw):
    pairs = students(law, noise=0.004)
    assert break_even(pairs, law) == break_even(pairs, law)
    assert break_even(pairs, law, level=0.5).high < break_even(pairs, law, level=0.95).high


def test_teachers_on_one_side_draw_no_line(law: DistillationLaw):
    with pytest.raises(ValueError, match=r"both sides.*weaker teachers"):
        break_even(students(law, ratios=np.linspace(0.91, 0.97, 6)), law)
    with pytest.raises(ValueError, match="window = 0"):
        break_even(students(law), law, window=0.0)
