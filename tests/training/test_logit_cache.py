"""Kept logits: the same student with and without, whatever happens to the files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_run

from distill_lib.scaling.specifications import ModelSpec, TruncationSpec
from distill_lib.training.corpus import Corpus
from distill_lib.training.divergences import kl_divergence
from distill_lib.training.kept_forms import AllLogits, KeptForm, LikeliestTokens, kept_form
from distill_lib.training.logit_cache import LogitCache, half, worth_caching
from distill_lib.training.losses import kd_loss
from distill_lib.training.model import Decoder
from distill_lib.training.objectives import reading_order
from distill_lib.training.sparse_teachers import SparseTeacher, top_k
from distill_lib.training.trainer import train

TEACHER = tiny_run(split="teacher", D=2**14)
STUDENT = tiny_run(D=2**14).distilled_from(TEACHER)  # 512 windows: two chunks
TOP_8 = TruncationSpec(keep="top_k", k=8)
FORMS = [AllLogits(512), LikeliestTokens(512, 8, 1.0, "tail")]


@pytest.fixture(scope="module")
def teacher(corpus: Corpus) -> Decoder:
    return train(TEACHER, corpus).model


class Counted(torch.nn.Module):
    """A teacher that counts how many windows it is asked for in training."""

    def __init__(self, teacher: Decoder) -> None:
        super().__init__()
        self.teacher, self.asked = teacher, 0

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if not torch.is_inference_mode_enabled():
            self.asked += len(tokens)
        return self.teacher(tokens)


def opened(folder: Path, teacher: torch.nn.Module, corpus: Corpus, **options) -> LogitCache:
    return LogitCache(folder, "teacher-s0", teacher, corpus, "student", 32, **options)


def weights(model: Decoder) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in model.parameters()])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"distilled_share": 0.5},
        {"truncation": TOP_8},
        {"truncation": TOP_8, "lam": 0.7},
        {"truncation": TruncationSpec(keep="top_k", k=8, missing="tail"), "direction": "reverse", "tau": 2.0},
        {"truncation": TruncationSpec(keep="top_token")},
        {"truncation": TruncationSpec(keep="top_k", k=300)},
        {"truncation": TruncationSpec(keep="top_p", p=0.9)},
    ],
    ids=str,
)
def test_a_student_is_the_same_to_the_bit(options: dict, corpus: Corpus, teacher: Decoder, tmp_path: Path):
    spec = tiny_run(D=2**14).distilled_from(TEACHER, **options)
    form = kept_form(spec)
    live = train(spec, corpus, teacher=teacher)
    built = train(spec, corpus, teacher=teacher, kept_logits=opened(tmp_path, teacher, corpus, form=form))
    asked = Counted(teacher)
    read = train(spec, corpus, teacher=asked, kept_logits=opened(tmp_path, asked, corpus, form=form))
    assert asked.asked == 0
    assert torch.equal(weights(live.model), weights(built.model))
    assert torch.equal(weights(live.model), weights(read.model))
    assert live.evaluation == read.evaluation


def test_a_shorter_run_reads_what_a_longer_one_kept(corpus: Corpus, teacher: Decoder, tmp_path: Path):
    train(STUDENT, corpus, teacher=teacher, kept_logits=opened(tmp_path, teacher, corpus))
    asked = Counted(teacher)
    short = tiny_run(D=2**13, batch_tokens=128).distilled_from(TEACHER)
    train(short, corpus, teacher=asked, kept_logits=opened(tmp_path, asked, corpus))
    assert asked.asked == 0


def test_only_the_tokens_that_are_seen_are_kept(corpus: Corpus, teacher: Decoder, tmp_path: Path):
    spec = STUDENT.distilled_from(TEACHER, truncation=TOP_8)
    train(spec, corpus, teacher=teacher, kept_logits=opened(tmp_path, teacher, corpus, form=kept_form(spec)))
    sizes = [path.stat().st_size for path in tmp_path.glob("*/*.logits")]
    assert sizes == [1024 + 256 * 32 * (8 * (4 + 2) + 4)] * 2


def test_both_uses_of_the_missing_mass_read_the_same_files(corpus: Corpus, teacher: Decoder, tmp_path: Path):
    order = reading_order(STUDENT, corpus)[0].reshape(-1)
    asked = Counted(teacher)
    kept = {
        missing: opened(tmp_path, asked, corpus, form=LikeliestTokens(512, 8, 1.0, missing)).logits(
            order, 3, 5
        )
        for missing in ("tail", "renormalise")
    }
    assert asked.asked == 256
    assert kept["renormalise"].tail is None
    whole = torch.from_numpy(corpus.windows("student", order[3:8], 32))
    with torch.no_grad():
        expected = top_k(half(teacher(whole[:, :-1])), 8, missing="tail")
    for teacher_seen in kept.values():
        assert torch.equal(teacher_seen.ids.long(), expected.ids)
        assert torch.equal(teacher_seen.logprobs, expected.logprobs)
    assert torch.equal(kept["tail"].tail, expected.tail)


def test_other_cuts_and_temperatures_are_kept_apart(corpus: Corpus, teacher: Decoder, tmp_path: Path):
    order = reading_order(STUDENT, corpus)[0].reshape(-1)
    forms = [
        AllLogits(512),
        *(LikeliestTokens(512, k, tau, "tail") for k, tau in ((8, 1.0), (4, 1.0), (8, 2.0))),
    ]
    for form in forms:
        opened(tmp_path, teacher, corpus, form=form).logits(order, 0, 8)
    assert len(list(tmp_path.glob("*/*.logits"))) == 4


def test_the_largest_ids_survive():
    logits = torch.zeros(1, 1, 65_536).index_fill(-1, torch.tensor([65_535, 40_000]), 9.0)
    form = LikeliestTokens(65_536, 2, 1.0, "tail")
    assert sorted(form.teacher(list(form.parts(logits))).ids.flatten().tolist()) == [40_000, 65_535]


def test_a_teacher_that_is_not_a_number_is_not_kept(corpus: Corpus, tmp_path: Path):
    broken = Decoder(TEACHER.model, seed=0)
    with torch.no_grad():
        next(broken.parameters()).fill_(math.nan)
    order = reading_order(STUDENT, corpus)[0].reshape(-1)
    with pytest.raises(ValueError, match=r"teacher_logits.* = nan"):
        opened(tmp_path, broken, corpus, form=FORMS[1]).logits(order, 0, 8)
    assert not list(tmp_path.glob("*/*.logits"))


def test_half_precision_moves_the_loss_by_less_than_a_hundred_thousandth(corpus: Corpus, teacher: Decoder):
    window = torch.from_numpy(corpus.windows("student", np.arange(64), 32))
    with torch.no_grad():
        exact = 4.0 * teacher(window[:, :-1])  # as sharp as a teacher that learned more
        student = exact + torch.randn(exact.shape, generator=torch.Generator().manual_seed(0))
    for direction in ("forward", "reverse"):
        one, other = (kd_loss(student, logits, direction=direction) for logits in (exact, half(exact)))
        assert abs(one - other) < 1e-5
    assert kl_divergence(half(exact), exact).mean() < 1e-6
    assert (exact.argmax(-1) == half(exact).argmax(-1)).float().mean() > 0.99


def test_half_keeps_what_is_excluded_excluded():
    found = half(torch.tensor([3.0, -math.inf, 100.0, -1e6]))
    assert found.tolist() == [-97.0, -math.inf, 0.0, -math.inf]
    assert half(torch.tensor([1.0, math.nan])).isnan().all()


def same(one: torch.Tensor | SparseTeacher, other: torch.Tensor | SparseTeacher) -> bool:
    if isinstance(one, SparseTeacher):
        return all(
            torch.equal(getattr(one, part), getattr(other, part)) for part in ("ids", "logprobs", "tail")
        )
    return torch.equal(one, other)


@pytest.mark.parametrize("form", FORMS, ids=["all", "top-8"])
@pytest.mark.parametrize("damage", ["cut", "changed", "header", "list", "other"])
def test_damage_is_noticed_said_and_mended(
    damage: str, form: KeptForm, corpus: Corpus, teacher: Decoder, tmp_path: Path
):
    order = reading_order(STUDENT, corpus)[0].reshape(-1)
    whole = opened(tmp_path, teacher, corpus, form=form).logits(order, 0, 512)
    path, second = sorted(tmp_path.glob("*/*.logits"))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-1000]
    elif damage == "changed":
        content[5000] ^= 0x10
    elif damage == "header":
        content[:5] = b"\xff\xfe\x00\x00\x00"
    elif damage == "list":
        content[:1024] = b"[1]".ljust(1024)
    else:
        content = bytearray(second.read_bytes())
    path.write_bytes(content)
    said: list[str] = []
    again = opened(tmp_path, teacher, corpus, note=said.append, form=form).logits(order, 0, 512)
    assert same(whole, again)
    (line,) = said
    assert "damaged" in line
    assert "building them again" in line


@pytest.mark.parametrize(
    ("options", "width"), [({}, 512 * 2), ({"truncation": TOP_8}, 8 * 6 + 4)], ids=["all", "top-8"]
)
def test_the_limit_is_kept_and_said_once(
    options: dict, width: int, corpus: Corpus, teacher: Decoder, tmp_path: Path
):
    spec = STUDENT.distilled_from(TEACHER, **options)
    size = 256 * 32 * width
    said: list[str] = []
    kept = opened(tmp_path, teacher, corpus, limit=size + size // 2, note=said.append, form=kept_form(spec))
    student = train(spec, corpus, teacher=teacher, kept_logits=kept)
    assert torch.equal(weights(student.model), weights(train(spec, corpus, teacher=teacher).model))
    assert len(list(tmp_path.glob("*/*.logits"))) == 1
    (line,) = said
    assert "limit" in line


def test_logits_of_other_teachers_make_room(corpus: Corpus, teacher: Decoder, tmp_path: Path):
    size = 256 * 32 * 512 * 2
    order = reading_order(STUDENT, corpus)[0].reshape(-1)
    opened(tmp_path, teacher, corpus).logits(order, 0, 512)
    other = LogitCache(tmp_path, "other-s0", teacher, corpus, "student", 32, limit=5 * size // 2)
    assert other.logits(order, 0, 256) is not None
    assert len(list(tmp_path.glob("teacher-s0/*.logits"))) == 1
    assert len(list(tmp_path.glob("other-s0/*.logits"))) == 1


def test_on_a_full_disk_the_teacher_is_asked(
    corpus: Corpus, teacher: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LogitCache, "_build", full)
    said: list[str] = []
    kept = opened(tmp_path, teacher, corpus, note=said.append)
    student = train(STUDENT, corpus, teacher=teacher, kept_logits=kept)
    assert not student.diverged
    assert said == ["teacher logits are computed anew, not kept: No space left on device"]


def test_an_interrupted_build_leaves_nothing(
    corpus: Corpus, teacher: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    order = reading_order(STUDENT, corpus)[0].reshape(-1)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, teacher, corpus).logits(order, 0, 8)
    assert list((tmp_path / "teacher-s0").iterdir()) == []


def test_windows_that_cross_chunks_come_in_order(corpus: Corpus, teacher: Decoder, tmp_path: Path):
    order = reading_order(STUDENT, corpus)[0].reshape(-1)
    kept = opened(tmp_path, teacher, corpus)
    window = torch.from_numpy(corpus.windows("student", order[250:262], 32))
    with torch.no_grad():
        assert torch.equal(kept.logits(order, 250, 12), half(teacher(window[:, :-1])))


def test_a_large_teacher_is_worth_keeping_and_a_lone_student_never_is():
    assert worth_caching(ModelSpec(d_model=64), 2)
    assert not worth_caching(ModelSpec(d_model=64), 1)
    small = ModelSpec(d_model=8, n_layers=1, vocab_size=8192)
    assert not worth_caching(small, 100)
    assert worth_caching(small, 100, k=8)
