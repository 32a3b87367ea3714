"""What is kept of a teacher is the smaller of what gives the same student, and is shared by those who see it alike."""

from __future__ import annotations

import pytest
from tiny import tiny_run

from distill_lib.scaling.specifications import LanguageSpec, ModelSpec, OracleSpec, TruncationSpec
from distill_lib.training.sharing import bytes_per_token, kept_tokens, sharing_key

TEACHER = tiny_run(split="teacher", D=2**14)


def student(**options):
    return tiny_run(D=2**12).distilled_from(TEACHER, **options)


def cut(keep: str, **options):
    return student(truncation=TruncationSpec(keep=keep, **options))


@pytest.mark.parametrize(
    ("spec", "k"),
    [
        (student(), None),
        (cut("top_k", k=8), 8),
        (cut("top_k", k=8, missing="tail"), 8),
        (cut("top_token"), 1),
        (cut("top_p", p=0.5), None),
        (cut("top_k", k=169), 169),  # 1,018 bytes against 1,024
        (cut("top_k", k=170), None),
    ],
)
def test_no_more_is_kept_than_all_logits_take(spec, k: int | None):
    assert kept_tokens(spec) == k
    assert bytes_per_token(512, kept_tokens(spec)) <= bytes_per_token(512) == 1024


def test_bytes_are_those_of_the_numbers_kept():
    assert bytes_per_token(32_768) == 65_536
    assert bytes_per_token(32_768, 64) == 64 * (4 + 2) + 4


def test_students_share_what_they_see_alike():
    eight = cut("top_k", k=8)
    same = [
        cut("top_k", k=8, missing="tail"),
        student(truncation=eight.truncation, lam=0.5),
        student(truncation=TruncationSpec(keep="top_k", k=8, missing="tail"), direction="reverse"),
    ]
    assert {sharing_key(spec) for spec in same} == {sharing_key(eight)}
    apart = [student(), cut("top_k", k=4), student(truncation=eight.truncation, tau=2.0), cut("top_token")]
    assert len({sharing_key(spec) for spec in [eight, *apart]}) == 5
    assert sharing_key(student(tau=2.0)) == sharing_key(student()) == sharing_key(cut("top_p", p=0.5))


def test_who_asks_no_trained_teacher_shares_nothing():
    language = LanguageSpec()
    oracle = tiny_run(corpus=language, model=ModelSpec(d_model=8, vocab_size=64)).distilled_from(OracleSpec())
    for spec in (TEACHER, student(lam=0.0), student(distilled_share=0.0), oracle):
        assert sharing_key(spec) is None
