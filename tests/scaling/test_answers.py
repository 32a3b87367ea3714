"""Answers of the page that plans: those of ``dl.plan``, in the same words."""

import pytest
from planner_questions import answer_of_the_library, printed, random_questions

from distill_lib.scaling.answers import answer
from distill_lib.scaling.laws import published_law

QUESTION, _ = random_questions(1, 0)[0]


def test_every_answer_is_the_librarys():
    refused, outcomes = 0, set()
    for question, arguments in random_questions(120, seed=11):
        try:
            mine = answer(question)
        except ValueError as error:
            mine = str(error)
            refused += 1
        assert printed(mine) == printed(answer_of_the_library(arguments)), arguments
        outcomes.add(mine["outcome"] if isinstance(mine, dict) else "refused")
    assert 5 < refused < 50
    assert outcomes == {"distil", "supervised", "too close to call", "refused"}


def asked(**changes):
    free = {"C": 1e21, "target_loss": None, "D_S": None, "max_D_S": None, "max_D_T": None, "teachers": None}
    return {
        **QUESTION,
        "N_S": 1e9,
        "scenario": "teacher_inference",
        "students_sharing": 1.0,
        **free,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"C": 1e12}, "C = 1000000000000.0 is too small"),
        ({"C": None, "target_loss": 1.3}, "target_loss = 1.3 is out of reach"),
        ({"teachers": []}, "teachers = []; give"),
        ({"teachers": [[None, None, None]]}, r"teachers\[0\] is empty"),
        ({"teachers": [[1e9, 1e10, 2.2], [3e9, None, 2.0]]}, r"teachers\[1\] lacks D_T"),
        ({"teachers": [[None, None, 2.0]]}, r"teachers\[0\] = 2.0 is a loss alone"),
        ({"teachers": [[1e9, 1e10, 11.0]]}, "worse than guessing uniformly"),
        ({"C": 1e15, "teachers": [[1e9, 1e10, 2.2]]}, "no given teacher serves: C = "),
        ({"teachers": [[1e9, 1e10, None]], "max_D_T": 1e10}, "max_D_T = 10000000000.0 caps the tokens"),
        ({"target_loss": 2.2}, "are two questions"),
        ({"C": None}, "nothing to plan for"),
    ],
)
def test_a_question_without_an_answer_is_named(changes, message):
    with pytest.raises(ValueError, match=message.replace("[]", r"\[\]")):
        answer(asked(**changes))


def test_half_a_teacher_does_not_reach_the_law():
    with pytest.raises(ValueError, match="lacks N_T"):
        answer(asked(teachers=[[None, 1e10, 2.2]]))


def test_students_who_share_pay_less():
    law = published_law().to_dict()
    alone, shared = (
        answer(asked(scenario="teacher_pretraining_inference", students_sharing=m, law=law))
        for m in (1.0, 50.0)
    )
    assert shared["L_S"] < alone["L_S"]
