"""The recorded study: every run once, resumed where it stopped, each row with its provenance."""

import json

import pandas as pd
import pytest

from distill_lib import runs as files
from distill_lib.scaling.mapping_record import MappingRecordError, read_mapping_runs
from distill_lib.training import mapping_study
from distill_lib.training.mapping_problem import RECIPE, Recipe, parameters
from distill_lib.training.mapping_study import main, run_mapping_study, teachers

TINY = Recipe(positions=3, batch=8)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Run a study of tiny networks, a few steps each, counting the trainings."""
    monkeypatch.setattr(Recipe, "steps", lambda recipe, N: 4)
    trained = []
    for name in ("train", "train_teacher"):
        plain = getattr(mapping_study, name)

        def counted(*args, plain=plain, name=name, **kwargs):
            trained.append(name)
            return plain(*args, **kwargs)

        monkeypatch.setattr(mapping_study, name, counted)

    def run(**options):
        trained.clear()
        settings = {"seeds": 2, "students": (4, 6), "widths": (4, 8), "lengths": (5,), "recipe": TINY}
        table = run_mapping_study(tmp_path / "m.csv", cache=tmp_path, quiet=True, **settings | options)
        return table, list(trained)

    run.path = tmp_path / "m.csv"
    run.cache = tmp_path / "mapping_problem"
    return run


def test_a_study_trains_everything_once_and_goes_on_where_it_was(study, monkeypatch):
    monkeypatch.setattr(mapping_study.mapping_record, "WIDEST", 8)
    first, trained = study(studies=("width",), seeds=1, students=(4,))
    assert (trained.count("train_teacher"), trained.count("train")) == (2, 3)
    table, trained = study()
    # The first trial has its wide and narrow teachers already, in the cache; students are new.
    assert (trained.count("train_teacher"), trained.count("train")) == (4, 16 - 3)
    assert not table["run"].duplicated().any()
    assert table.iloc[: len(first)].equals(first)
    again, trained = study()
    assert trained == []
    assert again.equals(table)
    assert (table["role"] == "distilled").sum() == 2 * 2 * 3


def test_rows_say_what_was_trained_and_the_manifest_who_made_them(study):
    table, _ = study(studies=("width",), command="the command")
    student = table.set_index("run").loc["student-6-from-8x4-K3-easy0.5-batch8-s1"]
    teacher = table.set_index("run").loc[student["teacher_run"]]
    assert (student["teacher_width"], student["L_T"]) == (8, teacher["L"])
    assert student["N"] == parameters(6, TINY)
    assert student["samples"] == 4 * 8
    assert student["kl_teacher"] > 0
    assert pd.isna(teacher["tau"])
    manifest = files.verify_manifest(study.path)
    assert manifest["sweeps"][0]["command"] == "the command"
    assert manifest["sweeps"][0]["runs"] == table["run"].tolist()
    assert manifest["sweeps"][0]["recipe"]["warmup"] == 0.05


def test_a_row_that_its_command_could_not_claim_is_claimed_by_the_next(study):
    study(studies=("width",), seeds=1, students=(4,))
    path = files.manifest_path(study.path)
    manifest = json.loads(path.read_text())
    lost = manifest["sweeps"][0]["runs"].pop()
    path.write_text(json.dumps(manifest))
    study(studies=("width",), seeds=1, students=(4, 6))
    sweeps = files.verify_manifest(study.path)["sweeps"]
    assert lost in sweeps[0]["runs"]
    assert len(sweeps) == 2


def test_a_teacher_that_does_not_repeat_its_row_is_not_used(study):
    table, _ = study(studies=("width",), seeds=1, students=(4,))
    changed = table.copy()
    of_teacher = changed["run"].str.startswith("teacher-8x4")
    changed.loc[of_teacher, "L"] += 0.01
    changed.loc[changed["teacher_run"].fillna("").str.startswith("teacher-8x4"), "L_T"] += 0.01
    study.path.write_text(changed.to_csv(index=False))
    with pytest.raises(MappingRecordError, match="the trained network has L"):
        study(studies=("width",), seeds=1, students=(4, 6))


def test_teachers_without_their_cache_are_trained_anew_to_the_same_loss(study):
    study(studies=("width",), seeds=1, students=(4,))
    for kept in study.cache.glob("*.pt"):
        kept.unlink()
    table, trained = study(studies=("width",), seeds=1, students=(4, 6))
    assert trained.count("train_teacher") == 2
    assert (table["role"] == "teacher").sum() == 2


def test_the_papers_teachers():
    by_width = teachers("width", 4)
    assert [t.width for t in by_width[:5]] == [128, 181, 256, 362, 512]
    assert {t.seed for t in by_width} == {0, 1, 2, 3}
    assert by_width[4].steps == RECIPE.steps(parameters(512)) == -(-20 * parameters(512) // 512)
    assert {t.width for t in teachers("steps", 1)} == {512}


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DISTILL_LIB_CACHE", str(tmp_path))
    out = tmp_path / "m.csv"
    words = [
        "--out",
        str(out),
        "--seeds",
        "1",
        "--studies",
        "width",
        "--students",
        "2",
        "--teacher-widths",
        "3",
    ]
    main([*words, "--positions", "3", "--easy", "0.25"])
    assert "3 networks on record" in capsys.readouterr().out
    table = read_mapping_runs(out)
    assert (table["easy"] == 0.25).all()
    assert files.verify_manifest(out)["sweeps"][0]["command"].startswith(
        "python -m distill_lib.training.mapping_study"
    )
