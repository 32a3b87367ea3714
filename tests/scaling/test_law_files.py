"""Saved laws as the page reads them: what the library wrote, and what is refused."""

import copy

import pytest

from distill_lib.scaling import saved
from distill_lib.scaling.law_files import FORMAT, read_law
from distill_lib.scaling.laws import DistillationLaw, published_law

LAW = published_law()


def content():
    law = LAW.to_dict()
    draw = {key: value for key, value in law.items() if key != "supervised"}
    return {
        "format": FORMAT, "kind": "distillation", "law": law, "fitted_range": {"N_S": [1e8, 1e10], "D_S": [1e9, 1e11]},
        "mean_error": 0.004, "draws": [{**draw, "A": 2000.0}, {**law, "A": 2500.0}],
    }  # fmt: skip


def test_what_was_saved_is_read():
    found = read_law(content(), "law.json")
    assert DistillationLaw.from_dict(found["law"]) == LAW
    assert found["ranges"]["D_S"] == (1e9, 1e11)
    assert found["accuracy"] == 0.004
    assert read_law(changed(mean_error=None), "law.json")["accuracy"] is None
    assert [draw["A"] for draw in found["draws"]] == [2000.0, 2500.0]
    assert found["draws"][0]["supervised"] == found["law"]["supervised"]
    assert saved.FORMAT == FORMAT


def changed(**changes):
    return {**content(), **changes}


def without(name):
    found = copy.deepcopy(content())
    del found["law"][name]
    return found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "law.json is no JSON"),
        ([], "law.json is no saved law"),
        (changed(format="distill-lib law 9"), "is no saved law"),
        (changed(kind="supervised"), "holds a supervised law; a plan needs one of distillation"),
        (changed(law=None), "its coefficients are missing"),
        (without("c0"), "c0 = None is no coefficient"),
        (changed(law={**LAW.to_dict(), "A": -1.0}), "A = -1.0 is no coefficient"),
        (changed(law={**LAW.to_dict(), "A": True}), "A = True is no coefficient"),
        (changed(law={**LAW.to_dict(), "supervised": {"E": 1.0}}), "supervised A = None"),
        (changed(fitted_range={"N_S": [1.0]}), "fitted_range of N_S"),
        (changed(fitted_range={"N_S": [2.0, 1.0]}), "fitted_range of N_S falls"),
        (changed(mean_error=1.5), "mean_error = 1.5 is no relative error"),
        (changed(mean_error="1 %"), "mean_error = '1 %' is no relative error"),
        (changed(draws="many"), "fitted_range or draws"),
    ],
)
def test_what_is_no_law_is_refused_with_the_reason(given, message):
    with pytest.raises(ValueError, match=message):
        read_law(given, "law.json")
