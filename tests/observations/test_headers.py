"""Headers in other words are recognised, reported, and never guessed between."""

from __future__ import annotations

import pytest

from distill_lib.observations.headers import meanings, recognise


@pytest.mark.parametrize(
    ("headers", "columns"),
    [
        (["params", "tokens", "loss"], {"N": "params", "D": "tokens", "L": "loss"}),
        (["Model Size", "Training Tokens", "Val Loss"], {"N": "Model Size", "D": "Training Tokens", "L": "Val Loss"}),
        (["n_params", "numTokens", "cross-entropy"], {"N": "n_params", "D": "numTokens", "L": "cross-entropy"}),
        (["Non-embedding parameters", "dataset size", "eval/loss"], {"N": "Non-embedding parameters", "D": "dataset size", "L": "eval/loss"}),
        (["size", "tokens", "nll"], {"N": "size", "D": "tokens", "L": "nll"}),
        (["size", "params", "tokens", "loss"], {"N": "params", "D": "tokens", "L": "loss"}),
        (["N", "params", "D", "L"], {"N": "N", "D": "D", "L": "L"}),
        (["params", "tokens", "loss", "Training FLOP", "weight", "run_id"], {"N": "params", "D": "tokens", "L": "loss", "C": "Training FLOP", "weight": "weight", "run": "run_id"}),
        (["params", "tokens", "loss", "perplexity"], {"N": "params", "D": "tokens", "L": "loss"}),
    ],
)  # fmt: skip
def test_supervised_headers(headers, columns):
    found = recognise(headers, "supervised")
    assert found.columns == columns
    assert not [f for f in found.findings if f.severity != "note"]


@pytest.mark.parametrize(
    "headers",
    [
        ["N_S", "D_S", "L_T", "L_S"],
        ["student_params", "student_tokens", "teacher_loss", "student_loss"],
        ["Student Size", "Tokens (student)", "Loss of teacher", "Student val loss"],
        ["params_S", "tokens_S", "loss_T", "loss_S"],
        ["params", "tokens", "teacher_loss", "loss"],
        ["ns", "ds", "lt", "ls"],
    ],
)
def test_distillation_headers(headers):
    headers = ["loss_teacher" if header == "Loss of teacher" else header for header in headers]
    found = recognise(headers, "distillation")
    assert [found.columns.get(symbol) for symbol in ("N_S", "D_S", "L_T", "L_S")] == headers
    assert not found.findings


def test_a_students_column_goes_before_a_plain_one():
    found = recognise(["params", "teacher_params", "tokens", "loss", "student loss", "L_T"], "distillation")
    assert found.columns["L_S"] == "student loss"
    assert found.columns["N_T"] == "teacher_params"
    (note,) = found.findings
    assert "'loss' could be L_S too; 'student loss' is taken" in note.message


@pytest.mark.parametrize(
    ("header", "symbol", "unit"),
    [
        ("Params (M)", "N", "millions"),
        ("tokens [B]", "D", "billions"),
        ("params_millions", "N", "millions"),
        ("Tokens (1e9)", "D", "billions"),
        ("tokens_B", "D", "billions"),
        ("loss (bits)", "L", "bits"),
        ("val_loss (nats/token)", "L", "nats"),
        ("loss %", "L", "percent"),
        ("perplexity", "L", "perplexity"),
        ("val_bpb", "L", "bits-per-byte"),
        ("compute (PF-days)", "C", "petaflop-days"),
        ("params (non-embedding)", "N", None),
    ],
)
def test_units_in_a_header_are_seen(header, symbol, unit):
    (meaning,) = meanings(header, "supervised")
    assert (meaning.symbol, meaning.unit) == (symbol, unit)


@pytest.mark.parametrize(
    "header",
    [
        "N_T",
        "L_T",
        "N_S",
        "teacher_loss",
        "total_params",
        "N_total",
        "learning rate",
        "loss (millions)",
        "",
        "x",
        "D/N",
    ],
)
def test_what_is_not_meant_is_not_taken(header):
    assert meanings(header, "supervised") == []


def test_a_choice_is_left_to_the_reader():
    found = recognise(["params", "tokens", "train_loss", "val_loss"], "supervised")
    assert "L" not in found.columns
    (error,) = found.findings
    assert (error.severity, error.code, error.column) == ("error", "ambiguous", "L")
    assert "'train_loss' or 'val_loss' could be L" in error.message
    assert '--column L="val_loss"' in error.remedy
    named = recognise(["params", "tokens", "train_loss", "val_loss"], "supervised", {"val_loss": "L"})
    assert named.columns["L"] == "val_loss"
    assert not named.findings


def test_a_choice_between_columns_that_no_fit_needs_is_a_note():
    found = recognise(["N", "D", "L", "flops", "training flops"], "supervised")
    (note,) = found.findings
    assert note.severity == "note"
    assert "C" not in found.columns
    needed = recognise(["N", "L", "flops", "training flops"], "supervised", derived="D")
    assert [f.severity for f in needed.findings] == ["error"]


def test_a_column_that_is_not_there_is_named_with_the_nearest():
    found = recognise(["Model size", "tokens", "loss"], "supervised", {"Model Size": "N"})
    (error,) = found.findings
    assert "no column 'Model Size'" in error.message
    assert '--column N="Model size"' in error.remedy


def test_one_symbol_has_one_column():
    found = recognise(["a", "b", "D", "L"], "supervised", {"a": "N", "b": "N"})
    assert [f.code for f in found.findings] == ["ambiguous"]
    assert "both 'a' and 'b'" in found.findings[0].message


def test_the_other_kind_of_table_is_recognised():
    found = recognise(["N_S", "D_S", "L_T", "L_S"], "supervised")
    (error,) = found.findings
    assert "these look like distillation runs" in error.message
    assert "--distillation" in error.remedy
    (error,) = recognise(["N", "D", "L"], "distillation").findings
    assert "no columns for L_T: these look like supervised runs" in error.message
    (error,) = recognise(["N_S", "D_S", "L_S"], "distillation").findings
    assert error.column == "L_T"


def test_a_header_given_twice_is_refused_where_it_is_needed():
    found = recognise(["N", "D", "L", "L #2", "x", "x #2"], "supervised", repeated=("L", "x"))
    assert {f.column: f.severity for f in found.findings if f.code == "repeated"} == {
        "L": "error",
        "x": "warning",
    }
