"""The record of the mapping problem: whole rows, true pairs, and differences that pairing makes small."""

import pandas as pd
import pytest
from mapping_rows import RISE, record, row, table

from distill_lib import runs as files
from distill_lib.scaling import mapping_record
from distill_lib.scaling.mapping_record import (
    MappingRecordError,
    append_run,
    difference_in_words,
    paired_rise,
    read_mapping_runs,
    student_runs,
)


def test_rows_come_back_to_the_bit(tmp_path):
    path = tmp_path / "new" / "m.csv"
    for entry in record(trials=1):
        append_run(path, entry | {"L_easy": 1 / 3})
    back = read_mapping_runs(path)
    assert len(back) == len(record(trials=1))
    assert (back["L_easy"] == 1 / 3).all()
    assert tuple(back.columns) == mapping_record.COLUMNS
    assert back["teacher_width"].dtype == "Int64"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run": "teacher-128x1000-s0"}, "another row has the same name"),
        ({"role": "pupil"}, "role is none of teacher, distilled, supervised"),
        ({"study": None}, "study is neither width nor steps"),
        ({"L": -0.1}, "L is no cross-entropy"),
        ({"L": None}, "L is no cross-entropy"),
        ({"accuracy": 60.0}, "accuracy is no share"),
        ({"teacher_run": None}, "a distilled student without its teacher"),
        ({"teacher_run": "nobody"}, "its teacher is not in the record"),
        ({"L_T": 1.0}, "L_T is not its teacher's L"),
        ({"role": "supervised"}, "a teacher of a network that had none"),
        ({"steps": 501}, "samples are not steps times batch"),
        ({"width": "wide"}, "a value is missing or has the wrong type"),
        ({"height": 3}, "unknown column height"),
    ],
)
def test_a_wrong_row_is_refused_and_the_record_stays_as_it_was(tmp_path, changes, words):
    path = tmp_path / "m.csv"
    student = next(entry for entry in record(trials=1) if entry["role"] == "distilled")
    teacher = next(entry for entry in record(trials=1) if entry["run"] == student["teacher_run"])
    append_run(path, teacher)
    before = path.read_bytes()
    with pytest.raises(MappingRecordError, match=words):
        append_run(path, student | changes)
    assert path.read_bytes() == before
    append_run(path, student)


def test_a_torn_or_foreign_file_is_not_read(tmp_path):
    path = tmp_path / "m.csv"
    with pytest.raises(FileNotFoundError, match="make it: python -m distill_lib"):
        read_mapping_runs(path)
    path.write_text("run,L\na,1.0\n")
    with pytest.raises(MappingRecordError, match="columns"):
        read_mapping_runs(path)
    append_run(tmp_path / "n.csv", row("a", "supervised", 4, 0, 1.0))
    whole = (tmp_path / "n.csv").read_text()
    (tmp_path / "n.csv").write_text(whole[: whole.rindex(",0,cpu")])
    with pytest.raises(MappingRecordError, match="a value is missing"):
        read_mapping_runs(tmp_path / "n.csv")


def test_the_widest_teacher_belongs_to_both_studies():
    by_width, by_steps = (student_runs(table(), study) for study in ("width", "steps"))
    assert set(by_width["teacher_width"]) == {128, 256, 512}
    assert set(by_steps["teacher_steps"]) == {64, 256, 1000}
    assert set(by_steps["teacher_width"]) == {512}
    with pytest.raises(ValueError, match="no student of the study 'width' with this recipe"):
        student_runs(table(), "width", positions=8)
    with pytest.raises(ValueError, match="study = 'depth'"):
        student_runs(table(), "depth")


@pytest.mark.parametrize(("study", "best"), [("width", 256), ("steps", 256)])
def test_the_rise_is_free_of_the_luck_that_a_trials_students_share(study, best):
    found = paired_rise(table(luck=0.3), study=study)
    assert found["teacher"].eq(best).all()
    assert found["rise"].to_numpy() == pytest.approx(RISE)
    assert (found["largest"] - found["best"]).to_numpy() == pytest.approx(found["rise"].to_numpy())


def test_the_best_teacher_is_chosen_without_the_trial_it_is_judged_on():
    runs = table(luck=0.0)
    lucky = (runs["seed"] == 2) & (runs["teacher_width"] == 128) & (runs["width"] == 256)
    runs.loc[lucky, "L"] = 0.3
    found = paired_rise(runs)
    # The others see a fine teacher of 128 in trial 2; trial 2 itself is judged without its luck.
    assert found.loc[2, "teacher"] == 256
    assert (found.drop(index=2)["teacher"] == 128).all()
    assert (found.drop(index=2)["rise"] < 0).all()


def test_a_trial_with_a_missing_teacher_is_left_out():
    runs = table()
    cut = runs[~((runs["seed"] == 1) & (runs["teacher_width"] == 128))]
    assert list(paired_rise(cut).index) == [0, 2, 3]
    with pytest.raises(ValueError, match="no trial has students of width = 99"):
        paired_rise(runs, width=99)


def test_a_difference_is_told_with_its_interval_and_that_of_a_single_trial_without():
    # mean 0.045, standard error 0.00645, t of 3 degrees of freedom 3.182
    told = difference_in_words([0.03, 0.05, 0.04, 0.06])
    assert told == "+0.045 nats (95 % interval +0.024 to +0.066, 4 trials)"
    assert difference_in_words([-0.05]) == "-0.050 nats (one trial, so no interval)"
    with pytest.raises(ValueError, match="at least two"):
        difference_in_words([])
    with pytest.raises(ValueError, match="nan"):
        difference_in_words([0.1, float("nan")])


def test_the_committed_record_is_whole_and_known_by_its_manifest():
    runs = read_mapping_runs()
    manifest = files.verify_manifest(mapping_record.record_path())
    assert sorted(run for sweep in manifest["sweeps"] for run in sweep["runs"]) == sorted(runs["run"])
    assert not any("dirty" in str(commit) for commit in runs["commit"])
    # The rising part of Figure 11: the weakest teacher is far worse for the student than the best.
    students = student_runs(runs, "width")
    mean = students[students["width"] == 256].groupby("teacher_width")["L"].mean()
    assert mean.loc[128] > mean.min() + 0.5
    assert pd.notna(students["kl_teacher"]).all()
