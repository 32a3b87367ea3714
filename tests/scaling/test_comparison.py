import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.comparison import mean_interval, paired_students


def table(rows):
    columns = ["corpus", "objective", "N", "D", "seed", "L", "teacher_run", "N_T", "L_T", "lam", "tau"]
    return pd.DataFrame(rows, columns=columns)


RUNS = table(
    [
        ("text", "supervised", 100, 1000, 0, 3.0, None, None, None, None, None),
        ("text", "supervised", 100, 1000, 1, 3.2, None, None, None, None, None),
        ("text", "supervised", 100, 2000, 0, 2.8, None, None, None, None, None),
        ("text", "distilled", 100, 1000, 1, 3.0, "t", 400, 2.5, 1.0, 1.0),
        ("text", "distilled", 100, 1000, 0, 2.9, "t", 400, 2.5, 1.0, 1.0),
    ]
)


def test_students_are_paired_by_size_tokens_and_seed():
    pairs = paired_students(RUNS).set_index("seed")
    assert pairs.loc[0, "difference"] == pytest.approx(-0.1)
    assert pairs.loc[1, "difference"] == pytest.approx(-0.2)
    assert len(pairs) == 2


def test_a_table_without_pairs_is_refused():
    with pytest.raises(ValueError, match="no distilled row shares"):
        paired_students(RUNS[RUNS["objective"] == "supervised"])


def test_two_supervised_runs_for_one_student_are_refused():
    with pytest.raises(ValueError, match="unique"):
        paired_students(pd.concat([RUNS, RUNS.iloc[:1]]))


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.normal(loc=2.0, size=(4000, 5))
    hits = [
        interval.low <= 2.0 <= interval.high for interval in (mean_interval(s, level=0.9) for s in samples)
    ]
    # 4,000 draws: the share has a standard error of 0.005.
    assert np.mean(hits) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ([1.0], 0.95, "at least two seeds"),
        ([1.0, np.nan], 0.95, r"values\[1\] is nan"),
        ([1.0, 2.0], 95, "between 0 and 1"),
    ],
)
def test_bad_input_names_the_remedy(values, level, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values, level=level)
