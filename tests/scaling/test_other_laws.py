"""Laws of other papers stand as printed, each with its place, and lead where those papers say."""

import numpy as np
import pytest

from distill_lib.scaling import other_laws


def test_every_law_is_whole_and_every_number_has_a_place():
    rows = other_laws.table()
    assert rows["place"].str.len().min() > 3
    assert other_laws.names() == ["hoffmann2022", "besiroglu2024"]
    for name in other_laws.names():
        law = other_laws.law(name)
        assert law.gamma == 1.0
        assert law.name == name
        printed = rows[rows["law"] == name].set_index("symbol")["value"]
        assert {symbol: getattr(law, symbol) for symbol in printed.index} == printed.to_dict()


def test_rounded_coefficients_put_the_budget_of_chinchilla_far_apart():
    budget = 5.76e23  # at C = 6 N D; Hoffmann et al. trained 70B parameters on 1.4T tokens with it
    best = {
        name: other_laws.law(name).compute_optimal(budget, context=0, vocabulary=0)
        for name in other_laws.names()
    }
    for N, D in best.values():
        assert 6.0 * N * D == pytest.approx(budget)
    ratio = {name: D / N for name, (N, D) in best.items()}
    assert ratio["hoffmann2022"] == pytest.approx(92.6, abs=0.1)
    assert ratio["besiroglu2024"] == pytest.approx(18.4, abs=0.1)
    assert best["besiroglu2024"] == pytest.approx((70e9, 1.4e12), rel=0.1)


def test_an_unknown_law_is_named():
    with pytest.raises(ValueError, match=r"name = 'kaplan2020'.*hoffmann2022"):
        other_laws.law("kaplan2020")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.iloc[:-1], "besiroglu2024; each law has E, A, B, alpha, beta, once"),
        (lambda rows: rows.assign(symbol="E"), "each law has"),
        (
            lambda rows: rows.assign(value=np.where(rows.index == 3, -0.34, rows["value"])),
            "alpha = -0.34 for hoffmann2022",
        ),
    ],
)
def test_a_broken_table_is_refused(tmp_path, change, words):
    path = tmp_path / "other_laws.csv"
    change(other_laws.table()).to_csv(path, index=False)
    with pytest.raises(ValueError, match=words):
        other_laws.table(path)
