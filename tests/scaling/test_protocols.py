"""Specifications: validated, hashed by all that decides a run, priced."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from distill_lib.scaling.architecture import ladder
from distill_lib.scaling.protocols import smoke
from distill_lib.scaling.specifications import CorpusSpec, ModelSpec, RunSpec, TruncationSpec

SPEC = RunSpec(model=ModelSpec(d_model=16), D=2**17)
TEACHER = RunSpec(model=ModelSpec(d_model=32), D=2**18, split="teacher")


def test_equal_specifications_have_one_hash_and_survive_json():
    for spec in (SPEC, SPEC.distilled_from(TEACHER, lam=0.5)):
        again = RunSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json"))))
        assert again == spec
        assert again.spec_hash == spec.spec_hash


@pytest.mark.parametrize(
    "change",
    [
        {"model": ModelSpec(d_model=24)},
        {"model": ModelSpec(d_model=16, mlp="gated")},
        {"model": ModelSpec(d_model=16, qk_norm=True)},
        {"model": ModelSpec(d_model=16, mup=False)},
        {"model": ModelSpec(d_model=16, d_ff_multiple=48)},
        {"corpus": CorpusSpec(megabytes=4.0)},
        {"D": 2**18},
        {"batch_tokens": 512},
        {"lr": 1.5e-2},
        {"warmup": 0.2},
        {"schedule": "linear"},
        {"weight_decay": 0.1},
        {"split": "teacher"},
        {"seed": 1},
        {"eval_tokens": 4096},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_the_result_changes_the_hash(change: dict):
    assert SPEC.model_copy(update=change).spec_hash != SPEC.spec_hash


def test_whatever_describes_the_teacher_changes_the_hash():
    pairs = [
        SPEC,
        SPEC.distilled_from(TEACHER),
        SPEC.distilled_from(TEACHER, lam=0.5),
        SPEC.distilled_from(TEACHER, tau=2.0),
        SPEC.distilled_from(TEACHER, direction="reverse"),
        SPEC.distilled_from(TEACHER.model_copy(update={"seed": 1})),
    ]
    assert len({spec.spec_hash for spec in pairs}) == len(pairs)


def test_the_label_of_the_grid_does_not_change_the_hash():
    assert SPEC.model_copy(update={"protocol": "another"}).spec_hash == SPEC.spec_hash


def test_an_option_left_at_none_is_not_hashed():
    # So that an option added later leaves the hashes of committed tables as they are.
    class Later(RunSpec):
        novelty: float | None = None

    assert Later(model=SPEC.model, D=SPEC.D).spec_hash == SPEC.spec_hash
    assert Later(model=SPEC.model, D=SPEC.D, novelty=1.0).spec_hash != SPEC.spec_hash


@pytest.mark.parametrize("mlp", ["squared_relu", "gated"])
def test_parameters_are_about_24_d_squared(mlp: str):
    model = ModelSpec(d_model=96, mlp=mlp)
    assert pytest.approx(24 * 96**2, rel=0.003) == model.N


@pytest.mark.parametrize("d_model", range(8, 200, 8))
def test_both_feed_forward_parts_have_the_same_parameters_but_for_rounding(d_model: int):
    plain, gated = (ModelSpec(d_model=d_model, mlp=mlp) for mlp in ("squared_relu", "gated"))
    assert abs(plain.N - gated.N) <= plain.n_layers * d_model


@pytest.mark.parametrize("n_layers", [8, 9, 16, 40])
def test_the_dial_at_the_papers_ratio_is_the_papers_ladder(n_layers: int):
    model, paper = ModelSpec.dial(n_layers, vocab_size=32_768, seq_len=4096), ladder(n_layers)
    assert model.architecture == replace(paper, tied=False)
    assert model.N == paper.N


def test_the_dial_scales_small_models_too_and_gives_way_to_options():
    sizes = [ModelSpec.dial(n_layers, aspect_ratio=16) for n_layers in (1, 2, 3, 4)]
    assert [size.d_model for size in sizes] == [16, 32, 48, 64]
    assert {size.architecture.aspect_ratio for size in sizes} == {16}
    assert {size.head_dim for size in sizes} == {8}
    assert ModelSpec.dial(2, 16, mlp="squared_relu", qk_norm=None) == ModelSpec(d_model=32)
    with pytest.raises(ValidationError, match="n_layers"):
        ModelSpec.dial(0)
    with pytest.raises(ValidationError, match="not a multiple of head_dim"):
        ModelSpec.dial(3, aspect_ratio=20)


def test_price_is_three_forward_passes_and_one_of_the_teacher():
    forward, teacher = SPEC.model.architecture.flops_forward, TEACHER.model.architecture.flops_forward
    assert SPEC.flops == pytest.approx(3 * forward * SPEC.D)
    assert SPEC.distilled_from(TEACHER).flops == pytest.approx((3 * forward + teacher) * SPEC.D)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"D": 1000}, "not a multiple of batch_tokens"),
        ({"D": 0}, "greater than 0"),
        ({"batch_tokens": 100, "D": 1000}, "not a multiple of seq_len"),
        ({"model": ModelSpec(d_model=16, vocab_size=300)}, "300 tokens"),
        ({"lr": -1.0}, "greater than 0"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"lam": 0.5}, "without a teacher"),
        ({"teacher": TEACHER}, "needs lam, tau and direction"),
        ({"teacher": TEACHER, "lam": 1.5, "tau": 1.0, "direction": "forward"}, "less than or equal to 1"),
        ({"teacher": TEACHER, "lam": 1.0, "tau": 0.0, "direction": "forward"}, "greater than 0"),
        ({"teacher": SPEC, "lam": 1.0, "tau": 1.0, "direction": "forward"}, "both read the student half"),
        ({"corpus": CorpusSpec(megabytes=9), "teacher": TEACHER, "lam": 1.0, "tau": 1.0, "direction": "forward"},
         "differ in corpus"),
        ({"learning_rate": 0.1}, "Extra inputs"),
    ],
)  # fmt: skip
def test_bad_specifications_are_refused(options: dict, words: str):
    with pytest.raises(ValidationError, match=words):
        RunSpec(**({"model": ModelSpec(d_model=16), "D": 2**17} | options))


def test_a_width_must_hold_whole_heads():
    with pytest.raises(ValidationError, match="d_model=20 is not a multiple of head_dim=8"):
        ModelSpec(d_model=20)


@pytest.mark.parametrize("seeds", [1, 3, 8])
def test_smoke_has_pairs_that_differ_in_the_objective_alone(seeds: int):
    specs = smoke(seeds)
    assert len({spec.spec_hash for spec in specs}) == len(specs)
    distilled = [spec for spec in specs if spec.objective == "distilled"]
    assert [spec.seed for spec in distilled] == list(range(seeds))
    for spec in distilled:
        twin = spec.model_copy(update={"teacher": None, "lam": None, "tau": None, "direction": None})
        assert twin in specs
        assert spec.teacher in specs
        assert (spec.lam, spec.tau, spec.direction) == (1.0, 1.0, "forward")


def test_smoke_has_a_grid_that_a_law_can_be_fitted_to():
    grid = {(spec.model.N, spec.D) for spec in smoke(1) if spec.split == "student"}
    sizes, tokens = ({pair[i] for pair in grid} for i in (0, 1))
    assert len(sizes) >= 3
    assert len(tokens) >= 3
    assert len(grid) == len(sizes) * len(tokens)


def test_smoke_needs_a_seed():
    with pytest.raises(ValueError, match="seeds=0"):
        smoke(0)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"keep": "top_k", "k": 8, "missing": "tail"}, "top_k=8, tail"),
        ({"keep": "top_p", "p": 0.9}, "top_p=0.9, renormalise"),
        ({"keep": "top_token"}, "top_token, renormalise"),
    ],
)
def test_a_truncated_teacher_is_part_of_the_specification(options: dict, shown: str):
    truncation = TruncationSpec(**options)
    assert str(truncation) == shown
    spec = SPEC.distilled_from(TEACHER, truncation=truncation)
    assert spec.spec_hash != SPEC.distilled_from(TEACHER).spec_hash
    assert RunSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"truncation": {"keep": "top_k"}}, "takes k"),
        ({"truncation": {"keep": "top_token", "p": 0.5}}, "takes no number"),
        ({"truncation": {"keep": "top_k", "k": 513}}, "k=513 of 512"),
        ({"beta": 0.5}, "beta belongs"),
        ({"direction": "jensen_shannon"}, "beta belongs"),
        ({"distilled_share": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_distillation_that_makes_no_sense_is_refused(options: dict, words: str):
    with pytest.raises(ValidationError, match=words):
        SPEC.distilled_from(TEACHER, **options)


def test_a_supervised_run_has_nothing_of_a_distillation():
    with pytest.raises(ValidationError, match="truncation, distilled_share given without a teacher"):
        RunSpec(**SPEC.model_dump() | {"truncation": {"keep": "top_token"}, "distilled_share": 0.5})
