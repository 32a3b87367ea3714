"""Figures show what their captions say; they leave the caller's settings alone."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images

import distill_lib as dl
from distill_lib import figures
from distill_lib.figures.compute_optimal import LAW_ACCURACY
from distill_lib.figures.style import ordered_colours

ROOT = Path(__file__).resolve().parents[2]

mpl.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def law():
    return dl.published_law()


def measured(ax):
    """Points of the curves of a plot."""
    return [(line.get_xdata(), line.get_ydata()) for line in ax.lines if len(line.get_xdata()) > 10]


def test_figure_1_draws_the_law_and_marks_the_best_teacher(law):
    _, axes = figures.fig01_student_against_teacher(law)
    panel = axes.flat[2]
    curves = measured(panel)
    assert len(curves) == 8
    L_T, L_S = curves[0]
    np.testing.assert_allclose(L_S, law.loss(546e6, 4e9, L_T))
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    best_teacher, best_student = law.best_teacher(546e6, 4e9)
    assert dots[0].get_xdata()[0] == pytest.approx(best_teacher, abs=0.01)
    assert dots[0].get_ydata()[0] == pytest.approx(best_student, abs=1e-4)


def test_figure_8_shows_who_is_ahead(law):
    _, axes = figures.fig08_compute_optimal_loss(law, points=13)
    for ax in axes.flat:
        curves = {line.get_label(): line.get_ydata() for line in ax.lines}
        supervised = curves["supervised"]
        assert np.all(curves["best case: the teacher is free"] <= curves["teacher inference"] + 1e-9)
        assert curves["teacher inference"][0] < supervised[0]
        assert np.all(curves["pretraining + inference"][:5] > supervised[:5])
        # They meet: at the largest budget all are within the law's accuracy.
        assert np.ptp([values[-1] for values in curves.values()]) < LAW_ACCURACY * supervised[-1]


def test_the_map_says_what_its_caption_says(law):
    N_S, C = np.geomspace(100e6, 30e9, 25), np.geomspace(1e19, 1e25, 31)
    trained = 3 * dl.forward_flops(N_S)[:, None] * N_S[:, None] <= C
    relative = {
        scenario: (found.L_S / found.L_supervised - 1)[trained]
        for scenario in ("teacher_inference", "teacher_pretraining_inference")
        for found in [dl.plan_map(N_S, C, scenario, law=law)]
    }
    assert relative["teacher_inference"].min() < -4 * LAW_ACCURACY, "left: distilling wins clearly somewhere"
    assert relative["teacher_inference"].max() < LAW_ACCURACY, "left: and loses clearly nowhere"
    assert relative["teacher_pretraining_inference"].min() > -LAW_ACCURACY, "right: it wins clearly nowhere"
    assert relative["teacher_pretraining_inference"].max() > 4 * LAW_ACCURACY, (
        "right: and loses clearly somewhere"
    )


def test_the_picture_of_the_readme_is_the_one_the_library_draws(law, tmp_path):
    fig, _ = figures.distillation_advantage(law)
    drawn = tmp_path / "distillation_advantage.png"
    fig.savefig(drawn, dpi=130)
    kept = ROOT / "book" / "_static" / "distillation_advantage.png"
    difference = compare_images(str(kept), str(drawn), tol=6)
    assert difference is None, f"{difference}\nIf the change is meant, save the figure anew with dpi=130."


def runs_of(law, sizes, tokens, seeds=3, sd=0.01):
    rng = np.random.default_rng(0)
    rows = [
        {
            "corpus": "c",
            "objective": "supervised",
            "N": n,
            "D": d,
            "seed": s,
            "L": float(law.loss(n, d)) + rng.normal(0, sd),
        }
        for n in sizes
        for d in tokens
        for s in range(seeds)
    ]
    return pd.DataFrame(rows)


def test_the_grid_of_runs_is_drawn_once_per_size_with_the_law_through_it(law):
    sizes, tokens = [1e8, 1e9], [1e9, 4e9, 16e9]
    _, ax = figures.supervised_grid(runs_of(law.supervised, sizes, tokens), law=law.supervised)
    solid = [line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 10]
    assert len(solid) == len(sizes)
    for line, size in zip(solid, sizes, strict=True):
        np.testing.assert_allclose(line.get_ydata(), law.supervised.loss(size, line.get_xdata()))
        assert line.get_xdata().min() >= min(tokens)
        assert line.get_xdata().max() <= max(tokens)


def test_pairs_are_joined_and_their_mean_is_marked():
    pairs = pd.DataFrame(
        {"seed": [0, 1, 2], "supervised": [3.0, 3.1, 3.2], "distilled": [2.9, 2.9, 3.0], "L_T": 2.5}
    )
    pairs["difference"] = pairs["distilled"] - pairs["supervised"]
    _, axes = figures.paired_students(pairs)
    joined = [
        line for line in axes[0].lines if list(line.get_xdata()) == [0, 1] and line.get_linestyle() == "-"
    ]
    assert [list(line.get_ydata()) for line in joined] == [[3.0, 2.9], [3.1, 2.9], [3.2, 3.0]]
    diamond = [line for line in axes[1].lines if line.get_marker() == "D"]
    assert diamond[0].get_ydata()[0] == pytest.approx(pairs["difference"].mean())


def test_a_figure_leaves_the_callers_settings_alone(law):
    before = mpl.rcParams.copy()
    figures.fig01_student_against_teacher(law)
    assert mpl.rcParams == before


def test_ordered_quantities_get_ordered_colours():
    colours = ordered_colours([4e9, 1e9, 16e9])
    luminance = [np.dot(colours[value][:3], (0.3, 0.6, 0.1)) for value in sorted(colours)]
    assert luminance == sorted(luminance)


def test_the_lightest_colour_stands_out_on_dark_pages():
    def shown(colour):  # as book.css filters a figure: invert(.93), hue-rotate(180deg), an affine map
        inverted = 0.93 - 0.86 * np.asarray(colour)
        turned = 2 * np.dot((0.213, 0.715, 0.072), inverted) - inverted
        return turned.clip(0.0, 1.0)

    def luminance(colour):
        linear = np.where(colour <= 0.03928, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return np.dot((0.2126, 0.7152, 0.0722), linear)

    lightest = ordered_colours([1.0, 10.0])[10.0][:3]
    line, page = (luminance(shown(colour)) for colour in (lightest, np.ones(3)))
    assert (line + 0.05) / (page + 0.05) > 3.0  # contrast that graphics need (WCAG 1.4.11)


def test_the_first_figure_of_a_notebook_leaves_interactive_drawing_on(law):
    def turn_on():
        mpl.interactive(True)
        return plt.figure()

    was = mpl.is_interactive()
    try:
        mpl.interactive(False)
        figures.style.styled(turn_on)()
        assert mpl.is_interactive()
    finally:
        mpl.interactive(was)
