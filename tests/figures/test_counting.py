"""The figures of counting show what was counted, and the misprint stands out."""

import numpy as np
import pandas as pd
import pytest

import distill_lib as dl
from distill_lib import figures
from distill_lib.scaling.architecture import ladder, relative_error_of_6ND


@pytest.fixture(scope="module")
def printed():
    return dl.paper.table("architectures")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_ladder_lies_on_the_table_and_the_misprint_stands_out(printed):
    models = [ladder(int(n)) for n in printed["n_layers"]]
    counted = pd.DataFrame(
        [(m.n_layers, m.N, m.flops_forward) for m in models], columns=["n_layers", "N", "flops_forward"]
    )
    _, axes = figures.ladder_against_table(counted, printed)
    line, diamonds = axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), diamonds.get_ydata(), rtol=0.01)
    assert texts(axes[1]) == ["row 10B"]
    for marks in axes[1].lines[:2]:
        off = np.abs(marks.get_ydata())
        assert off.argmax() == list(printed["name"]).index("10B")
        assert np.sort(off)[-2] < 0.07, "percent; all other rows are printed right"


def test_the_parts_fill_the_whole():
    parts = pd.DataFrame(
        {"output head": [2.0, 1.0], "attention": [1.0, 1.0], "weights": [1.0, 8.0]}, index=[1e8, 1e10]
    )
    _, ax = figures.where_forward_flops_go(parts)
    lowest, top = ax.collections[0], ax.collections[-1]
    assert top.get_datalim(ax.transData).y1 == pytest.approx(1.0)
    assert lowest.get_label() == "weights"
    assert lowest.get_datalim(ax.transData).y1 == pytest.approx(0.8)


def test_6ND_is_drawn_as_computed_and_solid_where_the_paper_has_models(printed):
    _, ax = figures.error_of_6ND(printed, contexts=(4096,))
    dashed, solid, diamonds = ax.lines[:3]
    np.testing.assert_allclose(
        solid.get_ydata(), 100 * np.asarray(relative_error_of_6ND(solid.get_xdata(), context=4096))
    )
    assert solid.get_xdata().min() >= printed["N"].min()
    assert solid.get_xdata().max() <= printed["N"].max()
    assert len(dashed.get_xdata()) > len(solid.get_xdata())
    on_curve = np.interp(np.log(diamonds.get_xdata()), np.log(dashed.get_xdata()), dashed.get_ydata())
    np.testing.assert_allclose(diamonds.get_ydata(), on_curve, atol=0.5)


def test_two_counts_give_one_size_and_break_the_budget():
    law = dl.published_law().supervised
    _, axes = figures.compute_optimal_by_two_counts(law, points=9)
    (full, short), (_, M_short) = axes[0].lines[:2], axes[1].lines[:2]
    np.testing.assert_allclose(full.get_ydata(), short.get_ydata(), rtol=0.01)
    C, N, M = short.get_xdata(), short.get_ydata(), M_short.get_ydata()
    np.testing.assert_allclose(6 * N * N * M, C)  # what the rule of thumb takes for the cost
    cost = axes[2].lines[0].get_ydata()
    np.testing.assert_allclose(cost * C, 3 * dl.forward_flops(N) * N * M)
    assert np.all(cost > 1)


def test_the_bars_of_the_bill_add_up():
    bill = pd.DataFrame(
        {"student training": [1.0, 1.0], "teacher logits": [0.0, 2.0], "teacher training": [0.0, 5.0]},
        index=["free", "paid"],
    )
    _, ax = figures.bill_of_a_distillation(bill)
    ends = [
        max(bar.get_x() + bar.get_width() for bar in ax.patches if bar.get_y() // 1 == row) for row in (-1, 0)
    ]
    assert ends == [1.0, 8.0]
    assert texts(ax) == [r"$1.0 \times 10^{00}$", r"$8.0 \times 10^{00}$"]
