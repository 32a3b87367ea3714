"""The choice between closing brackets, asked where the window answers it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny import tiny_run
from tokenizers import Tokenizer

from distill_lib.training.brackets import choice_logits, closing_kinds, closings
from distill_lib.training.corpus import FILE_TOKEN, Corpus
from distill_lib.training.evaluation import evaluate
from distill_lib.training.model import Decoder


@pytest.fixture(scope="module")
def tokeniser(corpus: Corpus) -> Tokenizer:
    return Tokenizer.from_file(str(corpus.folder / "tokenizer.json"))


def letters(tokeniser: Tokenizer, text: str) -> np.ndarray:
    """Encode letter by letter, so that each bracket is a token of its own; | begins a file."""
    marks = [
        tokeniser.token_to_id(FILE_TOKEN) if letter == "|" else tokeniser.encode(letter).ids[0]
        for letter in text
    ]
    return np.array([marks])


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("x(a)", "  0"),
        ("f(a[i])", "    10"),
        ("{(a)}", "  02"),
        ("a)b]", "   "),  # nothing is open
        ("(a]b)", "    "),  # a false one makes all forgotten
        ("([a|])", "     "),  # a file begins
        ("()()", "0 0"),
    ],
)
def test_brackets_are_asked_for_where_the_window_answers(
    corpus: Corpus, tokeniser: Tokenizer, text: str, kinds: str
):
    found = closings(corpus, letters(tokeniser, text))[0]
    assert found.tolist() == [-1 if kind == " " else int(kind) for kind in kinds]


def test_windows_know_nothing_of_each_other(corpus: Corpus, tokeniser: Tokenizer):
    both = np.concatenate([letters(tokeniser, "(ab"), letters(tokeniser, "a)b"), letters(tokeniser, "(a)")])
    assert closings(corpus, both).tolist() == [[-1, -1], [-1, -1], [-1, 0]]


def test_tokens_are_sorted_by_the_bracket_that_they_begin_with(corpus: Corpus, tokeniser: Tokenizer):
    kinds = closing_kinds(corpus)
    assert set(kinds) == {-1, 0, 1, 2}
    for token, kind in enumerate(kinds):
        text = tokeniser.decode([token]).strip()
        assert kind == (")]}".index(text[0]) if text and text[0] in ")]}" else -1)


def test_a_choice_adds_the_tokens_that_begin_alike():
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.05, 0.35]]))
    choice = choice_logits(logits, np.array([0, 1, 0, 2, -1])).softmax(-1)
    assert choice[0].tolist() == pytest.approx([0.4 / 0.65, 0.2 / 0.65, 0.05 / 0.65])


def test_a_model_that_knows_nothing_guesses_by_the_number_of_tokens(corpus: Corpus):
    bins = [one for one in evaluate(Decoder(tiny_run().model), corpus, 4_096).bins if one.by == "bracket"]
    sizes = np.bincount(closing_kinds(corpus)[closing_kinds(corpus) >= 0])
    assert sizes.argmax() == 0
    index = corpus.order("validation", 32, 4_096, seed=0)
    asked = closings(corpus, corpus.windows("validation", index, 32))
    assert [one.count for one in bins] == np.bincount(asked[asked >= 0], minlength=3).tolist()
    assert bins[0].count > 20
    for one, size in zip(bins, sizes, strict=True):
        if one.count:
            assert one.accuracy == (1.0 if one.bin == 0 else 0.0)
            assert one.loss == pytest.approx(-math.log(size / sizes.sum()), rel=1e-5)
