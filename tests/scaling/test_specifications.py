"""A specification is refused before anything is trained, and equal ones have one hash."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from distill_lib.scaling.specifications import LanguageSpec, ModelSpec, RunSpec


def run(**options) -> RunSpec:
    return RunSpec(**({"model": ModelSpec(d_model=16), "D": 2**17} | options))


@pytest.mark.parametrize("name", ["tau", "lr", "weight_decay", "warmup", "lam"])
@pytest.mark.parametrize("value", [math.inf, math.nan, -1.0])
def test_numbers_without_a_meaning_are_refused(name: str, value: float):
    teacher = run(split="teacher")
    options = {"teacher": teacher, "lam": 1.0, "tau": 1.0, "direction": "forward"}
    assert run(**options).objective == "distilled"
    with pytest.raises(ValidationError, match=name):
        run(**options | {name: value})


def test_equal_specifications_have_one_hash():
    one, other = run(weight_decay=0.0), run(weight_decay=-0.0)
    assert one == other
    assert one.spec_hash == other.spec_hash
    languages = [LanguageSpec(zipf=zero, amplitude=zero) for zero in (0.0, -0.0)]
    hashes = {
        run(corpus=language, model=ModelSpec(d_model=16, vocab_size=64)).spec_hash for language in languages
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("options", [{"batch_token": 1024}, {"teecher": None}, {"model": {"d_modle": 16}}])
def test_a_misspelled_field_is_named(options: dict):
    (name,) = options.get("model", options)
    with pytest.raises(ValidationError, match=name):
        run(**options)


def test_an_evaluation_of_less_than_a_window_is_refused():
    with pytest.raises(ValidationError, match=r"eval_tokens=63 is less than seq_len=64, a window"):
        run(eval_tokens=63)
    assert run(eval_tokens=64).eval_tokens == 64


def test_a_context_that_hides_what_matters_is_refused():
    language = LanguageSpec(vocab_size=4, order=3, features=8)
    model = ModelSpec(d_model=16, vocab_size=4, seq_len=2)
    with pytest.raises(
        ValidationError, match=r"seq_len=2 shows less than the 3 tokens that matter: raise it"
    ):
        run(corpus=language, model=model)
    run(corpus=language, model=model.model_copy(update={"seq_len": 4}))
