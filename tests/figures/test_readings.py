"""Where the two readings differ visibly, the chapters show both; and what "visibly" means."""

import ast
import functools
import inspect
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import distill_lib as dl
from distill_lib import figures
from distill_lib.figures.panels import COMPARE_STYLE, SECOND_LAW
from distill_lib.figures.readings import VISIBLE, distance_on_page

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
COMPARABLE = [
    name
    for name in figures.__all__
    if name.startswith("fig")
    and {"compare", "options"} & set(inspect.signature(getattr(figures, name)).parameters)
]


def panel(first, second, *, colour="#0072b2"):
    """Draw two curves into a panel of four by three inches, data in inches."""

    def draw(law, compare):
        fig = plt.figure(figsize=(5, 4))
        ax = fig.add_axes((0.1, 0.1, 0.8, 0.75))
        ax.set(xlim=(0, 4), ylim=(0, 3))
        x = np.linspace(0, 4, 9)
        ax.plot(x, first(x), color="#0072b2")
        ax.plot(x, second(x), **({"color": colour} | COMPARE_STYLE))
        return fig, np.array([ax])

    return draw


def test_distance_is_measured_in_inches_on_the_page(law, printed):
    level = panel(lambda x: 1 + 0 * x, lambda x: 1.25 + 0 * x)
    assert distance_on_page(level, law, printed) == pytest.approx(0.25, abs=1e-3)
    assert plt.get_fignums() == [], "what was drawn to measure is closed again"


def test_a_steep_line_moved_along_itself_is_not_far(law, printed):
    # 0.2 inches apart up and down, but 0.2 / sqrt(1 + 25) to the nearest place of the other line.
    steep = panel(lambda x: 5 * x, lambda x: 5 * x + 0.2)
    assert distance_on_page(steep, law, printed) == pytest.approx(0.2 / np.sqrt(26), abs=1e-3)


def test_what_lies_outside_the_panel_or_has_gaps_does_not_count(law, printed):
    outside = panel(lambda x: 1 + 0 * x, lambda x: np.where(x < 2, 1, 50.0))
    assert distance_on_page(outside, law, printed) > 1  # the line on its way out is inside
    gone = panel(lambda x: 1 + 0 * x, lambda x: np.where(x < 2, 1, np.nan))
    assert distance_on_page(gone, law, printed) < 1e-6


def test_a_line_of_another_colour_is_compared_with_all(law, printed):
    black = panel(lambda x: 1 + 0 * x, lambda x: 1.5 + 0 * x, colour="black")
    assert distance_on_page(black, law, printed) == pytest.approx(0.5, abs=1e-3)


def test_a_law_does_not_differ_from_itself(law):
    for draw in (figures.fig06_advantage_over_tokens, figures.fig18_optimal_teacher_loss):
        assert distance_on_page(draw, law, law) < 1e-6


@functools.cache
def visible(name):
    """Whether the readings differ visibly in a figure as the chapters draw it."""
    draw, readings = getattr(figures, name), (dl.published_law(), dl.published_law("printed"))
    return distance_on_page(draw, *readings) >= VISIBLE


def test_only_unlimited_data_looks_the_same_in_both_readings():
    assert [name for name in COMPARABLE if not visible(name)] == ["fig40_infinite_data"]


def test_figure_36_is_of_the_supervised_law_which_has_one_reading(law, printed):
    assert law.supervised == printed.supervised
    assert "fig36_supervised_curves" not in COMPARABLE


@functools.cache
def calls():
    """Every call of a figure in the chapters: (function, sources of its arguments)."""
    found = []
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                    found.append((node.func.attr, {ast.unparse(argument) for argument in arguments}))
    return found


@pytest.mark.parametrize("name", COMPARABLE)
def test_chapters_show_the_printed_reading_where_it_differs_visibly(name):
    arguments = [given for function, given in calls() if function == name]
    assert arguments, "no chapter draws it"
    shown = any("printed" in given for given in arguments)
    assert shown == visible(name), f"the threshold is {VISIBLE} inches at page width"


def test_the_second_law_is_marked_in_every_kind_of_figure(law, printed):
    for draw, options in (
        (figures.fig01_student_against_teacher, {}),
        (figures.fig08_compute_optimal_loss, {"points": 7}),
        (figures.fig13_advantage_over_teachers, {"N_S": (1e9,), "points": (9, 9)}),
        (figures.fig21_teacher_inference_contours, {"points": (9, 9)}),
        (figures.fig29_pretraining_inference_shares, {"N_S": (1e9,), "points": 7}),
    ):
        for given, wanted in ((None, False), (printed, True)):
            _, axes = draw(law, compare=given, **options)
            marked = [
                a for ax in axes.flat for a in [*ax.lines, *ax.collections] if a.get_gid() == SECOND_LAW
            ]
            assert bool(marked) == wanted, draw.__name__
