"""The options of a run do what they are named after: checked against hand-written sums and plain runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import TINY, tiny_run

from distill_lib.scaling.specifications import LanguageSpec, TruncationSpec
from distill_lib.training import trainer
from distill_lib.training.corpus import Corpus, CorpusError, open_corpus
from distill_lib.training.objectives import reading_order, seen_teacher, step_loss
from distill_lib.training.sparse_teachers import SparseTeacher
from distill_lib.training.trainer import train

TEACHER = tiny_run(split="teacher", D=2**14)


@pytest.fixture(scope="module")
def teacher(corpus: Corpus) -> torch.nn.Module:
    return train(TEACHER, corpus).model


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    student, teacher = (2.0 * torch.randn(2, 3, 512, generator=random, dtype=torch.float64) for _ in range(2))
    return student, teacher, torch.randint(512, (2, 3), generator=random)


def distilled(**options):
    return tiny_run(D=2**12).distilled_from(TEACHER, **options)


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return (p * (p.log() - q.log())).nan_to_num(0.0).sum(-1).mean()


def test_a_supervised_step_is_cross_entropy(logits):
    student, _, labels = logits
    found = step_loss(tiny_run(), student, labels, None)
    assert found.item() == pytest.approx(F.cross_entropy(student.flatten(0, 1), labels.flatten()).item())


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_jensen_shannon_is_weighted_by_its_beta(beta: float, logits):
    student, teacher, labels = logits
    p, q = teacher.softmax(-1), student.softmax(-1)
    mixture = beta * p + (1 - beta) * q
    slow = beta * kl(p, mixture) + (1 - beta) * kl(q, mixture)
    found = step_loss(distilled(direction="jensen_shannon", beta=beta), student, labels, teacher)
    assert found.item() == pytest.approx(slow.item(), rel=1e-9)


def test_lam_and_tau_mix_as_in_the_paper(logits):
    student, teacher, labels = logits
    soft = kl((teacher / 2).softmax(-1), (student / 2).softmax(-1))
    hard = F.cross_entropy(student.flatten(0, 1), labels.flatten())
    found = step_loss(distilled(lam=0.25, tau=2.0), student, labels, teacher)
    assert found.item() == pytest.approx((0.75 * hard + 0.25 * 4 * soft).item(), rel=1e-9)


def test_renormalised_top_k_is_the_divergence_from_the_kept_tokens(logits):
    student, teacher, labels = logits
    cut = TruncationSpec(keep="top_k", k=5)
    kept = torch.full_like(teacher, -math.inf).scatter(-1, teacher.topk(5).indices, teacher.topk(5).values)
    found = step_loss(distilled(truncation=cut), student, labels, teacher)
    assert found.item() == pytest.approx(kl(kept.softmax(-1), student.softmax(-1)).item(), rel=1e-6)


def test_a_tail_holds_the_others_together(logits):
    student, teacher, labels = logits
    cut = TruncationSpec(keep="top_k", k=5, missing="tail")
    ids = teacher.topk(5).indices

    def coarse(z: torch.Tensor) -> torch.Tensor:
        head = z.softmax(-1).gather(-1, ids)
        return torch.cat([head, 1 - head.sum(-1, keepdim=True)], -1)

    found = step_loss(distilled(truncation=cut), student, labels, teacher)
    assert found.item() == pytest.approx(kl(coarse(teacher), coarse(student)).item(), rel=1e-6)


def test_top_p_keeps_the_fewest_tokens_that_reach_it(logits):
    _, teacher, _ = logits
    seen = seen_teacher(distilled(truncation=TruncationSpec(keep="top_p", p=0.5)), teacher)
    assert isinstance(seen, SparseTeacher)
    kept = seen.logprobs.exp()
    assert (kept.sum(-1) >= 0.5).all()
    assert (kept.sum(-1) - kept.masked_fill(kept == 0, 2.0).amin(-1) < 0.5).all()


def test_the_top_token_alone_is_a_hard_label(logits):
    student, teacher, labels = logits
    spec = distilled(truncation=TruncationSpec(keep="top_token"))
    hard = F.cross_entropy(student.flatten(0, 1), teacher.argmax(-1).flatten())
    assert step_loss(spec, student, labels, teacher).item() == pytest.approx(hard.item(), rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"direction": "jensen_shannon", "beta": 0.3},
        {"direction": "reverse"},
        {"truncation": TruncationSpec(keep="top_k", k=8)},
        {"truncation": TruncationSpec(keep="top_k", k=8, missing="tail")},
        {"truncation": TruncationSpec(keep="top_p", p=0.9)},
        {"truncation": TruncationSpec(keep="top_token")},
        {"distilled_share": 0.5},
    ],
    ids=str,
)
def test_each_option_trains_and_makes_another_student(options: dict, corpus: Corpus, teacher):
    plain = train(distilled(), corpus, teacher=teacher).evaluation
    found = train(distilled(**options), corpus, teacher=teacher).evaluation
    # A truncated teacher says little or nothing of the other tokens, and this one knows little of the text:
    # the loss may be above that of no knowledge at all, but it is that of a run that went well.
    assert 2.0 < found.L < (12.0 if "truncation" in options else math.log(512))
    assert found.L != plain.L


def test_a_share_of_none_is_supervised_and_of_all_distilled(corpus: Corpus, teacher):
    def trained(spec):
        given = None if spec.teacher is None else teacher
        return list(train(spec, corpus, teacher=given).model.parameters())

    pairs = [
        (distilled(distilled_share=0.0), tiny_run(D=2**12)),
        (distilled(distilled_share=1.0), distilled()),
    ]
    for one, other in pairs:
        for a, b in zip(trained(one), trained(other), strict=True):
            assert torch.equal(a, b)


def test_the_teacher_is_asked_at_the_first_share_of_the_steps_alone(corpus: Corpus, teacher):
    asked = []

    class Watched(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            asked.append(torch.is_inference_mode_enabled())  # only evaluation runs in that mode
            return teacher(tokens)

    spec = distilled(distilled_share=0.25)
    train(spec, corpus, teacher=Watched())
    assert asked.count(False) == spec.distilled_steps == spec.steps / 4


def test_a_teacher_that_gives_no_numbers_is_blamed_by_name(corpus: Corpus, teacher):
    class Broken(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return teacher(tokens) * math.nan

    with pytest.raises(ValueError, match=rf"teacher {TEACHER.run} gives logits that are not numbers"):
        train(distilled(), corpus, teacher=Broken())


def test_a_repeated_text_is_shuffled_anew_in_each_pass(corpus: Corpus):
    held = corpus.n_windows("student", 32)
    spec = tiny_run(D=(2 * held * 32 // 256 + 8) * 256, repeat=True)
    order, epochs = reading_order(spec, corpus)
    assert order.shape == (spec.steps, 8)
    assert epochs == pytest.approx(spec.D / (held * 32))
    flat = order.reshape(-1)
    first, second = flat[:held], flat[held : 2 * held]
    assert np.array_equal(np.sort(first), np.arange(held))
    assert np.array_equal(np.sort(second), np.arange(held))
    assert (first != second).mean() > 0.9
    assert np.array_equal(first, corpus.order("student", 32, held * 32, spec.seed))
    short, none = reading_order(tiny_run(D=2**12), corpus)
    assert none is None
    assert np.array_equal(short.reshape(-1), first[: short.size])


def test_a_repeated_run_says_how_often_it_read(corpus: Corpus):
    assert train(tiny_run(D=2**12), corpus).epochs is None
    spec = tiny_run(D=2**12, repeat=True)
    result = train(spec, corpus)
    assert result.epochs == pytest.approx(2**12 / (corpus.n_windows("student", 32) * 32))
    plain = train(tiny_run(D=2**12), corpus)
    assert result.evaluation == plain.evaluation  # nothing was repeated yet


def test_repetition_is_refused_unless_asked_for(corpus: Corpus):
    with pytest.raises(CorpusError, match=r"asked for.*repeat=True"):
        reading_order(tiny_run(D=2**20), corpus)


def test_a_language_is_never_repeated(cache):
    language = open_corpus(LanguageSpec(vocab_size=4, order=1, features=8), cache)
    spec = tiny_run(
        corpus=LanguageSpec(vocab_size=4, order=1, features=8),
        model=TEACHER.model.model_copy(update={"vocab_size": 4}),
        repeat=True,
    )
    order, epochs = reading_order(spec, language)
    assert len(np.unique(order)) == order.size
    assert 0 < epochs < 1e-3
    assert TINY != spec.corpus
    assert trainer.train(spec, language).evaluation is not None
