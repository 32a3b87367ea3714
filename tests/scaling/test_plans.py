"""What a plan says of itself: table, HTML, files, outcome against the law's accuracy, and being asked again."""

import dataclasses
import html.parser
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lib import paper
from distill_lib.scaling.laws import DistillationLaw, published_law
from distill_lib.scaling.planning import SCENARIOS, plan, plan_map, replan
from distill_lib.scaling.plans import Plan
from distill_lib.scaling.tables import aligned

QUESTIONS = [
    {"C": 1e21},
    {"C": 1e22, "scenario": "teacher_pretraining_inference", "students_sharing": 4, "inference_tokens": 1e11},
    {"C": 1e23, "max_D_S": 1e11, "deltas": (0.5, 0.25)},
    {"target_loss": 2.4},
    {"target_loss": 2.0884, "scenario": "best_case"},
    {"D_S": 2e10},
    {"C": 1e22, "teachers": [(5e8, 1e11), (1e9, 2e11, 2.05)]},
    {"C": 1e22, "scenario": "best_case", "teachers": [1.9, 2.0]},
]


def same(a, b):
    """Whether two plans are equal field by field, NaN equal to NaN."""
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Plan)]
    return all(x == y or (isinstance(x, float) and math.isnan(x) and math.isnan(y)) for x, y in pairs)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_plan_comes_back_from_json_as_it_was(question):
    p = plan(1e9, **question)
    again = Plan.from_dict(json.loads(p.to_json()))
    assert same(again, p)
    assert again.law.name == p.law.name
    assert again.to_json() == p.to_json()
    assert again.verdict == p.verdict
    assert same(replan(again), p), "what was asked comes back too"


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    st.floats(8, 11),
    st.floats(20, 25),
    st.sampled_from(SCENARIOS),
    st.sampled_from(["printed", "reconciled"]),
)
def test_every_digit_survives_a_file(size, budget, scenario, reading):
    p = plan(10.0**size, 10.0**budget, scenario, published_law(reading))
    assert same(Plan.from_dict(json.loads(p.to_json(indent=None))), p)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "law"}, r"format = 'law' is no plan"),
        ({"L_S": ...}, r"missing: L_S; unknown: none"),
        ({"colour": 1.0}, r"missing: none; unknown: colour"),
        ({"law": {"A": 1.0}}, r"a DistillationLaw takes"),
    ],
)
def test_what_is_no_plan_is_refused(change, words):
    values = plan(1e9, 1e21).to_dict() | change
    with pytest.raises(ValueError, match=words):
        Plan.from_dict({name: value for name, value in values.items() if value is not ...})


# ---------------------------------------------------------------- table and HTML


def test_the_table_is_aligned_and_names_its_units():
    lines = str(plan(1.5e9, 1e22, inference_tokens=1e11)).splitlines()
    table = lines[1:-2]
    assert (
        len({len(line) for line in table if line.count("  ") and line[-1] != " "}) <= 2
    )  # two columns or one
    for unit in ("(nats/token)", "(parameters)", "(FLOPs)", "tokens"):
        assert any(unit in line for line in table)
    assert any(line.startswith("  for student inference") for line in table)
    assert aligned([("", "x"), ("long", "1"), ("a", "22")]) == ["       x", "long   1", "a     22"]


class Cells(html.parser.HTMLParser):
    """Collects the cells of a table, and refuses what is not balanced."""

    def __init__(self):
        super().__init__()
        self.open, self.cells, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


def test_html_is_balanced_escaped_and_needs_nothing_else():
    law = DistillationLaw.from_dict(published_law().to_dict() | {"name": "<script>alert(1)</script> & co"})
    p = plan(1e9, 1e21, law=law)
    text = p._repr_html_()
    assert "<script>" not in text
    reader = Cells()
    reader.feed(text)
    assert reader.open == []
    assert reader.links == []
    assert f"{p.L_S:.4f}" in reader.cells
    assert any("<script>alert(1)</script> & co" in cell for cell in reader.cells), "escaped, not lost"
    assert p.verdict in reader.cells


# ---------------------------------------------------------------- outcome


def test_the_outcome_is_settled_by_the_accuracy():
    close = plan(1e9, 1e21)
    assert close.accuracy == paper.law_accuracy() == 0.01
    assert 0.0 < close.advantage < 0.01 * close.L_S
    assert close.outcome == "too close to call"
    assert "tells losses apart by 0.022 nats at best" in close.verdict
    sharp = plan(1e9, 1e21, accuracy=1e-4)
    assert (sharp.outcome, sharp.L_S) == ("distil", close.L_S)
    assert sharp.verdict.startswith("Distil: with this budget it wins 0.005 nats")
    assert plan(1e9, 1e21, "teacher_pretraining").outcome == "supervised"
    assert plan(1e9, 1e20, "best_case").outcome == "distil"


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.floats(8.2, 10.5), st.floats(19.5, 24), st.sampled_from(SCENARIOS), st.floats(0.0, 0.03))
def test_outcome_and_gap_agree(size, budget, scenario, accuracy):
    p = plan(10.0**size, 10.0**budget, scenario, accuracy=accuracy)
    words = {
        "distil": "Distil: ",
        "supervised": "Train supervised: ",
        "too close to call": "Too close to call",
    }
    assert p.verdict.startswith(words[p.outcome])
    assert (p.outcome == "too close to call") == (abs(p.advantage) < accuracy * p.L_S)


def test_a_target_is_settled_by_the_loss_at_equal_compute():
    p = plan(1e9, target_loss=2.4)
    supervised = plan(1e9, p.C, "best_case").L_supervised
    assert p.gap == pytest.approx(supervised - 2.4, rel=1e-9)
    assert (p.gap > 0.0) == (p.C < p.C_supervised)
    beyond = plan(1e9, target_loss=2.0884, scenario="best_case")
    assert beyond.outcome == "too close to call"  # hundreds of times the compute, and hardly a nat
    assert beyond.C > 100 * beyond.C_supervised
    capped = plan(1e9, target_loss=2.35, scenario="best_case", max_D_S=15e9)
    assert capped.D_S <= 15e9
    assert (capped.gap, capped.outcome, capped.C_supervised) == (math.inf, "distil", math.inf)
    assert "cannot reach this loss at this size with 15B tokens" in capped.verdict
    assert "out of reach" in str(capped)


# ---------------------------------------------------------------- asking again, ranges, teachers, logits


def test_a_question_is_asked_again_of_another_law_or_budget():
    p = plan(1e9, 1e22, "teacher_pretraining", max_D_S=1e11, accuracy=0.002)
    other = replan(p, published_law("printed"), C=3e22)
    assert same(
        other, plan(1e9, 3e22, "teacher_pretraining", published_law("printed"), max_D_S=1e11, accuracy=0.002)
    )
    with pytest.raises(ValueError, match="does not say what was asked"):
        replan(dataclasses.replace(p, question={}))


def test_ranges_of_ones_own_law_give_its_warnings():
    law = DistillationLaw.from_dict(published_law().to_dict() | {"name": "own"})
    assert plan(1e12, 1e25, law=law).warnings == ()
    p = plan(1e9, 1e21, law=law, fitted_range={"N_S": (1e8, 5e8), "D_S": [1e9, 1e12]})
    assert p.warnings == ("N_S = 1e+09 is outside 1e+08 to 5e+08, what the law was fitted on",)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"fitted_range": {"N": (1, 2)}},
            r"fitted_range \(quantity\) = 'N' is unknown; choose one of: 'N_S'",
        ),
        ({"fitted_range": {"N_S": 1e9}}, r"fitted_range N_S = 1000000000.0 is no pair"),
        ({"fitted_range": {"N_S": (2e9, 1e9)}}, r"falls; give \(lowest, highest\)"),
        ({"fitted_range": {"L_T": (-1, 2)}}, r"fitted_range L_T = -1.0 is out of range"),
        ({"accuracy": 2.0}, r"accuracy = 2.0 is out of range. accuracy must be one number from 0 to 1"),
    ],
)
def test_wrong_ranges_and_accuracies(given, words):
    with pytest.raises(ValueError, match=words):
        plan(1e9, 1e21, **given)


def test_the_picked_teacher_is_named_by_its_place():
    teachers = [(5e8, 1e11), (1e9, 2e11, 2.05), (3e10, 6e11)]
    p = plan(1e9, 1e22, teachers=teachers)
    assert (p.N_T, p.D_T) == teachers[p.teacher][:2]
    assert plan(1e9, 1e22).teacher is None


def test_logits_take_the_vocabulary_that_was_asked_with():
    p = plan(1e9, 1e21, vocabulary=50000)
    assert p.logits().bytes == p.D_S * 50000 * 2
    assert p.logits(top_k=128).bytes == p.D_S * 128 * (2 + 2)
    assert plan_map([1e9], [1e21]).D_S[0, 0] == pytest.approx(plan(1e9, 1e21).logits().tokens)
