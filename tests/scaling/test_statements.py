"""Statements of the paper as tests: they tell the readings apart, and a window of B' ends where they say."""

from dataclasses import replace

import numpy as np
import pytest

from distill_lib import paper
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.statements import (
    Statement,
    check_statements,
    least_rise,
    paper_statements,
    window_of_B,
)

LAWS = {name: published_law(name) for name in ("printed", "reconciled")}


def test_the_printed_reading_fails_most_and_the_reconciled_fails_two():
    table = check_statements(LAWS)
    assert len(table) == len(paper_statements()) == 14
    assert table["printed holds"].sum() == 5
    failed = table.loc[~table["reconciled holds"], ["place", "name"]]
    assert list(failed.itertuples(index=False, name=None)) == [
        ("Fig 16", "lowest contour"),
        ("App D.5", "tokens, 10B"),
    ]


def test_the_numbers_are_those_of_the_paper():
    by_name = {f"{s.place} {s.name}": s for s in paper_statements()}
    claims = paper.table("claims").set_index("claim")["value"]
    for key, name in (("c40", "compute, 500M"), ("c41", "compute, 10B"), ("c42", "tokens, 500M")):
        statement = by_name[f"App D.5 {name}"]
        assert np.sqrt(statement.low * statement.high) == pytest.approx(claims[key])
    assert by_name["Fig 16 lowest contour"].high == 2.05
    assert by_name["Fig 19 highest contour"].low == 2.75


def test_values_by_hand():
    law = LAWS["reconciled"]
    by_name = {f"{s.place} {s.name}": s for s in paper_statements()}
    # Fig 40: the floor of the supervised law against the best teacher with unlimited data.
    gap = max(
        abs(law.best_teacher(N, None)[1] / law.supervised.floor(N) - 1) for N in np.geomspace(1e8, 1e11, 13)
    )
    assert by_name["Fig 40 one floor"].value(law) == pytest.approx(gap)
    # Fig 2: a profile that falls throughout has no rise.
    assert by_name["Fig 2 IsoFLOP minimum"].value(LAWS["printed"]) == pytest.approx(0.0, abs=1e-12)
    assert by_name["Fig 2 IsoFLOP minimum"].value(law) > 0.05


@pytest.mark.parametrize(("curve", "rise"), [([3, 1, 2], 1), ([3, 2, 1], 0), ([1, 2, 3], 0), ([2, 1, 5], 1)])
def test_rise_of_a_curve(curve, rise):
    assert least_rise(np.array(curve, dtype=float)) == rise


def test_a_window_ends_where_the_statement_does():
    planted = Statement("planted", "here", "B' lies between", lambda law: law.B, 3e5, 4e6)
    low, high = window_of_B(planted, LAWS["printed"])
    assert (low, high) == pytest.approx((3e5, 4e6), rel=0.01)
    always = replace(planted, low=0.0, high=np.inf)
    assert window_of_B(always, LAWS["printed"]) == pytest.approx((1e4, 1e8))
    never = replace(planted, low=-2.0, high=-1.0)
    assert np.isnan(window_of_B(never, LAWS["printed"])).all()
    with pytest.raises(ValueError, match="does not rise"):
        window_of_B(planted, LAWS["printed"], (1e8, 1e4))


def test_no_value_of_B_satisfies_all():
    windows = {f"{s.place}: {s.name}": window_of_B(s, LAWS["printed"]) for s in paper_statements()}
    fig16 = windows.pop("Fig 16: lowest contour")
    low, high = max(w[0] for w in windows.values()), min(w[1] for w in windows.values())
    assert 1.9e6 < low < high < 3e6, "all others agree on a bracket"
    assert fig16[1] < low
