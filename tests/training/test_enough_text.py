"""What a corpus does not hold is refused before a run begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny_run

from distill_lib.scaling.specifications import LanguageSpec, ModelSpec
from distill_lib.training import trainer
from distill_lib.training.corpus import Corpus, CorpusError, open_corpus
from distill_lib.training.enough_text import check_enough_text


def test_what_is_there_passes_to_the_last_window(corpus: Corpus):
    held = corpus.n_windows("student", 32) * 32 // 256 * 256
    check_enough_text(tiny_run(D=held), corpus)
    check_enough_text(tiny_run(D=100 * held, repeat=True), corpus)
    with pytest.raises(
        CorpusError, match=r"holds [\d,]+: lower D, raise corpus.megabytes \(now 0.1\), or allow"
    ):
        check_enough_text(tiny_run(D=held + 256), corpus)


def test_held_out_text_counts_too_and_is_looked_at_first(corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    seen = corpus.n_windows("validation", 32) * 32
    check_enough_text(tiny_run(eval_tokens=seen), corpus)
    monkeypatch.setattr(trainer, "step_loss", lambda *_: pytest.fail("trained before it was refused"))
    with pytest.raises(CorpusError, match=r"lower eval_tokens, or raise corpus.megabytes"):
        trainer.train(tiny_run(eval_tokens=seen + 1), corpus)


def test_a_context_longer_than_the_text_is_refused_even_with_repetition(corpus: Corpus):
    long = ModelSpec(d_model=8, n_layers=1, seq_len=2**17)
    spec = tiny_run(model=long, D=2**17, batch_tokens=2**17, eval_tokens=2**17, repeat=True)
    with pytest.raises(CorpusError, match="holds 0: lower D"):
        check_enough_text(spec, corpus)


def test_a_language_is_shared_among_seeds(cache: Path):
    language = LanguageSpec(vocab_size=4, order=1, features=8)
    known = open_corpus(language, cache)
    spec = tiny_run(
        corpus=language, model=ModelSpec(d_model=8, n_layers=1, seq_len=32, vocab_size=4), D=2**40
    )
    with pytest.raises(CorpusError, match="lower D, share it among several seeds, or allow"):
        check_enough_text(spec, known)
