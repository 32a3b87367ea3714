"""The figure index lists everything once, and says of each figure who draws it, where, and how far it agrees."""

import json
import re
from pathlib import Path

import pytest

import distill_lib as dl
from distill_lib import figures, ledger, paper
from distill_lib import index as index_module

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def index():
    return dl.figure_index(ROOT / "notebooks")


def test_every_figure_and_table_stands_once_in_the_papers_order(index):
    tables = [f"Table {number}" for number in paper.table("tables")["table"]]
    assert list(index["figure"]) == [*paper.table("figures")["figure"], *tables]
    assert not index["figure"].duplicated().any()


def test_every_function_named_after_a_figure_is_in_the_index(index):
    named = {name for name in figures.__all__ if re.match(r"fig\d", name)}
    listed = {name for names in index["function"] for name in names.split() if name.startswith("fig")}
    assert named == listed


def test_every_figure_that_a_chapter_shows_has_a_kind_and_a_verdict(index):
    drawn = index[index["function"].str.startswith("fig")]
    shown = drawn[drawn["chapter"] != ""]
    assert not shown.loc[shown["kind"] == "not yet", "figure"].to_list()
    assert not shown.loc[shown["verdict"] == "open", "figure"].to_list()


def test_a_function_that_no_chapter_calls_waits_for_runs(index):
    drawn = index[index["function"].str.startswith("fig") & (index["chapter"] == "")]
    assert set(drawn["verdict"]) <= {"open"}, "no chapter shows these"
    assert drawn["reason"].str.contains("runs").all()


def test_what_nothing_draws_is_open(index):
    undrawn = index[(index["function"] == "") & ~index["figure"].str.startswith("Table")]
    assert set(undrawn["verdict"]) <= {"open"}
    assert set(undrawn["kind"]) <= {"not yet"}


def test_verdicts_and_kinds_are_of_the_lists_and_have_a_reason(index):
    assert index_module.VERDICTS == ledger.VERDICTS
    assert set(index["verdict"]) <= set(index_module.VERDICTS)
    assert set(index["kind"]) <= set(index_module.KINDS)
    assert (index["reason"].str.len() > 10).all()


def test_every_judgement_is_made_once_and_of_something_there_is(index):
    judged = index_module.verdicts()["figure"]
    assert set(judged) <= set(index["figure"])
    assert not judged.duplicated().any()


def test_chapters_are_found_by_what_they_call(tmp_path):
    def write(name, source, kind="code"):
        cells = [{"cell_type": kind, "source": [source]}]
        (tmp_path / name).write_text(json.dumps({"cells": cells}))

    write("a.ipynb", "fig, ax = figures.fig10_kernel_regression()")
    write("b.ipynb", "figures.fig10_kernel_regression(n=(300,))")
    write("c.ipynb", "see figures.fig10_kernel_regression", kind="markdown")
    found = dl.figure_index(tmp_path).set_index("figure")
    assert found.loc["10", "chapter"] == "a b"
    assert found.loc["9", "chapter"] == ""


def test_without_a_folder_no_chapter_is_named_and_a_wrong_one_is_refused():
    assert set(dl.figure_index()["chapter"]) == {""}
    with pytest.raises(FileNotFoundError, match="'nowhere' is no folder"):
        dl.figure_index("nowhere")
