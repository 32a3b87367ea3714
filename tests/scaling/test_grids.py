"""Protocols at every scale: what they hold, that they can be told apart, and what they cost."""

from __future__ import annotations

import hashlib

import pytest

from distill_lib.scaling import designs, prices, protocols
from distill_lib.scaling.protocols import PROTOCOLS, of_scale, preset, teacher
from distill_lib.scaling.scales import FULL, FULL_LANGUAGE, MINI, MINI_LANGUAGE, SCALES, SMOKE
from distill_lib.scaling.specifications import CorpusSpec, OracleSpec, RunSpec

EVERY = [(scale, each) for scale in SCALES.values() for each in of_scale(scale)]


@pytest.mark.parametrize(("scale", "protocol"), EVERY, ids=lambda value: value.name)
def test_a_protocol_is_a_list_of_different_runs_with_teachers_first(scale, protocol):
    specs = protocol.runs(scale)
    assert len({spec.spec_hash for spec in specs}) == len(specs)
    seen: set[str] = set()
    for spec in specs:
        if isinstance(spec.teacher, RunSpec):
            assert spec.teacher.spec_hash in seen
            assert spec.teacher.split == "teacher"
        seen.add(spec.spec_hash)
    assert {spec.corpus for spec in specs} == {scale.corpus}
    students = [spec for spec in specs if spec.split == "student"]
    assert {spec.seed for spec in students} == set(range(protocol.seeds))
    assert protocol.seeds >= 3


@pytest.mark.parametrize(("scale", "protocol"), EVERY, ids=lambda value: value.name)
def test_more_seeds_only_add_runs(scale, protocol):
    few, many = (protocol.runs(scale, seeds) for seeds in (2, 4))
    assert {spec.spec_hash for spec in few} < {spec.spec_hash for spec in many}


@pytest.mark.parametrize("scale", [SMOKE, MINI, FULL], ids=lambda scale: scale.name)
def test_the_text_of_a_scale_is_long_enough(scale):
    # A token of this vocabulary is 1.94 bytes (measured), so that a little is left over.
    assert isinstance(scale.corpus, CorpusSpec)
    longest = max(spec.D for each in of_scale(scale) for spec in each.runs(scale))
    assert longest < scale.corpus.megabytes * 1e6 / 2.0


@pytest.mark.parametrize("scale", [SMOKE, MINI, MINI_LANGUAGE, FULL, FULL_LANGUAGE], ids=lambda s: s.name)
def test_isoflop_lines_have_one_price(scale):
    specs = PROTOCOLS["supervised_isoflops"].runs(scale, 1)
    for C in scale.budgets:
        line = [spec for spec in specs if abs(spec.flops / C - 1) < 0.05]
        assert {spec.model.d_model for spec in line} == set(scale.isoflop_widths)


def test_the_capacity_gap_has_two_teachers_of_each_size_paired_students_and_half_the_seeds_for_long_ones():
    specs = PROTOCOLS["capacity_gap"].runs(MINI)
    students = [spec for spec in specs if spec.teacher is not None]
    short = min(spec.D for spec in students)
    for width in MINI.students:
        for D, seeds in ((short, 8), (4 * short, 4)):
            group = [s for s in students if s.model.d_model == width and abs(s.D / D - 1) < 0.02]
            assert len(group) == seeds * 2 * len(MINI.widths)
            assert {s.seed for s in group} == set(range(seeds))
            for spec in group:
                alone = RunSpec(**spec.model_dump(exclude={"teacher", "lam", "tau", "direction"}))
                assert alone.spec_hash in {s.spec_hash for s in specs}


def test_a_teacher_reads_its_ratio_of_tokens():
    for width in MINI.widths:
        found = teacher(MINI, width)
        assert found.D / found.model.N == pytest.approx(MINI.teacher_M, rel=0.01)


def test_oracles_teach_where_the_entropy_is_known_alone():
    assert "oracle_students" in {each.name for each in of_scale(MINI_LANGUAGE)}
    assert "oracle_students" not in {each.name for each in of_scale(MINI)}
    specs = PROTOCOLS["oracle_students"].runs(MINI_LANGUAGE, 1)
    assert {type(spec.teacher) for spec in specs} == {type(None), OracleSpec}


def test_a_preset_trains_shared_runs_once_and_keeps_the_order():
    everything = preset("mini")
    assert len({spec.spec_hash for spec in everything}) == len(everything)
    apart = sum(len(each.runs(MINI)) for each in of_scale(MINI))
    assert len(everything) < apart
    some = preset("mini", ["mixing", "temperature"])
    assert {spec.spec_hash for spec in some} < {spec.spec_hash for spec in everything}
    labels = [spec.protocol for spec in everything if spec.protocol != "teachers"]
    assert list(dict.fromkeys(labels)) == [each.name for each in of_scale(MINI)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("marathon",), "no preset 'marathon': choose from"),
        (("mini", ["fishing"]), "no protocol 'fishing': choose from supervised_fixed_ratio"),
        (("mini", ["oracle_students"]), "no protocol 'oracle_students'"),
        (("smoke-language", ["mixing"]), "has no protocols"),
        (("mini", [], 0), "at least one"),
    ],
)
def test_what_is_not_there_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        preset(*arguments)


def test_mini_is_affordable():
    for name, most in (("mini", 90), ("mini-language", 20)):
        table = prices.price_list(name).set_index("protocol")
        assert table.loc["all", "minutes"] < most
        assert table["minutes"].drop("all").max() < 20
        assert table["minutes"].drop("all").sum() > table.loc["all", "minutes"]


def test_workers_share_the_minutes():
    one, two = (prices.price_list("mini", ["mixing"], workers=n)["minutes"].iloc[0] for n in (1, 2))
    assert one == pytest.approx(2 * two)


def test_a_price_list_is_of_a_scale():
    with pytest.raises(ValueError, match="no protocols in preset 'nothing'"):
        prices.price_list("nothing")


def test_protocols_are_named_after_their_functions():
    for name, each in PROTOCOLS.items():
        assert getattr(protocols, name) is each
        assert each.build.__name__ == name


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("depths", "f042e1caea290953"),
        ("full", "3cedddf201e270f4"),
        ("full-language", "f6f5a00e81419a5c"),
        ("learning-rates", "4f0edc3ba228c25e"),
        ("mini", "a301557677a3d915"),
        ("mini-language", "c7f91da7592d96d1"),
        ("smoke", "0467f6a0367c46c7"),
        ("smoke-language", "b39271f12559c03a"),
    ],
)
def test_presets_ask_for_the_runs_that_committed_tables_hold(name: str, digest: str):
    """A new hash or label is another run: it goes with new rows in data/runs, never with a clean-up."""
    asked = "\n".join(f"{spec.protocol} {spec.spec_hash}" for spec in preset(name))
    assert hashlib.sha256(asked.encode()).hexdigest()[:16] == digest


def test_a_protocol_is_named_after_the_function_that_builds_it():
    @designs.protocol("nothing", "1", seeds=2)
    def one_run(scale, seeds):
        return (scale.run("one_run", scale.widths[0], 1e5, seed=seed) for seed in range(seeds))

    assert (one_run.name, one_run.identifies, one_run.figures) == ("one_run", "nothing", ("1",))
    assert one_run.runs(SMOKE) == list(one_run(SMOKE, 2))
    with pytest.raises(ValueError, match="seeds=0: at least one is needed"):
        one_run.runs(SMOKE, 0)


def test_both_students_meet_a_small_a_middling_and_a_large_teacher():
    pairs = list(designs.students_and_teachers(MINI, "mixing", 1))
    assert [one.model.d_model for one, _ in pairs] == [16] * 3 + [32] * 3
    assert [source.model.d_model for _, source in pairs] == [16, 32, 64] * 2
    assert {source.split for _, source in pairs} == {"teacher"}
    small, large = designs.both_students(MINI, "mixing", 0)
    assert large.D == pytest.approx(2 * small.D, rel=0.01)
