"""What holds for every figure of the law: it fits a page, names its units and takes a second law."""

import inspect

import matplotlib as mpl
import numpy as np
import pytest

from distill_lib import figures
from distill_lib.figures.panels import COMPARE_STYLE
from distill_lib.figures.style import PAGE_WIDTH

TWO_SIZES = {"N_S": (1e9, 10e9), "points": 7}
SMALL = {
    "fig01_student_against_teacher": {},
    "fig06_advantage_over_tokens": {"N_T": (1e9, 3e9), "points": (9, 9)},
    "fig07_student_loss_by_teacher": {"points": (11, 11)},
    "fig08_compute_optimal_loss": {"points": 7},
    "fig13_advantage_over_teachers": {"N_S": (1e9, 3e9), "points": (9, 9)},
    "fig14_advantage_over_compute": {"N_T": (1e9, 3e9), "points": (9, 9)},
    "fig15_student_loss_by_tokens": {"points": (11, 11)},
    "fig16_student_loss_by_teacher_size": {"C": (1e21, 1e23), "N_S": (1e9, 3e9), "points": (11, 11)},
    "fig19_best_case_contours": {"points": (9, 9)},
    "fig21_teacher_inference_contours": {"points": (9, 9)},
    "fig24_teacher_pretraining_contours": {"points": (9, 9)},
    "fig27_pretraining_inference_contours": {"points": (9, 9)},
    "fig36_supervised_curves": {"points": 21},
    "fig40_infinite_data": {"points": 21},
}
# Figure 5 is drawn from fits, Figure 10 in closed form.
OF_THE_LAW = [
    name
    for name in figures.__all__
    if name.startswith("fig") and next(iter(inspect.signature(getattr(figures, name)).parameters)) == "law"
]


def small(name):
    return SMALL.get(name, TWO_SIZES)


def words_of(fig):
    """All axis labels and titles of a figure."""
    of_panels = [text for ax in fig.axes for text in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title())]
    return " ".join([*of_panels, fig.get_supxlabel(), fig.get_supylabel()])


def test_every_law_only_figure_of_the_paper_has_its_function():
    wanted = {1, 6, 7, 8, 9, *range(13, 35), 36, 40}
    assert {int(name[3:5]) for name in OF_THE_LAW} == wanted


@pytest.mark.parametrize("name", OF_THE_LAW)
def test_it_fits_a_page_names_its_units_and_takes_a_second_law(name, law, printed):
    draw = getattr(figures, name)
    takes_two = bool({"compare", "options"} & set(inspect.signature(draw).parameters))
    fig, axes = draw(law, **small(name), **({"compare": printed} if takes_two else {}))
    width, height = fig.get_size_inches()
    assert width <= PAGE_WIDTH
    assert height <= 11
    words = words_of(fig)
    for unit in ("nats/token", "FLOPs", "parameters", "tokens", "Share"):
        if unit in words:
            break
    else:
        pytest.fail(f"no unit in {words!r}")
    for ax in axes.flat:
        assert not ax.axison or ax.has_data(), "an empty panel"
    if takes_two:
        legends = [*fig.legends, *(legend for ax in fig.axes if (legend := ax.get_legend()))]
        entries = [text.get_text() for legend in legends for text in legend.get_texts()]
        assert any(entry.startswith("printed reading") for entry in entries)
        assert any(map(has_thin_dashes, fig.axes))


def has_thin_dashes(ax):
    """Whether lines or contours of a second law are there."""
    lines = [line for line in ax.lines if line.get_linestyle() == "--" and line.get_alpha() is not None]
    sets = [c for c in ax.collections if isinstance(c, mpl.contour.QuadContourSet) and not c.filled]
    return bool(lines) or len(sets) > 1


def test_the_second_law_is_thinner_than_the_first(law, printed):
    _, axes = figures.fig18_optimal_teacher_loss(law, compare=printed, **TWO_SIZES)
    first, second = axes.flat[0].lines[:4], axes.flat[0].lines[4:8]
    assert all(line.get_linewidth() == COMPARE_STYLE["lw"] for line in second)
    assert all(a.get_color() == b.get_color() for a, b in zip(first, second, strict=True))


def test_ground_is_grey_only_where_a_published_law_is_extrapolated(law):
    import dataclasses

    from distill_lib.figures.panels import outside_fit

    inside = outside_fit(law, N_S=1e9, D_S=[2e10, 1e13], L_T=2.0)
    assert inside[0] < 0 < inside[1]
    own = dataclasses.replace(law, name="ours")
    assert np.all(outside_fit(own, N_S=1e9, D_S=[2e10, 1e13]) < 0), (
        "what another law was fitted on is not known"
    )


def test_names_are_checked_like_everywhere(law):
    with pytest.raises(ValueError, match="N_S"):
        figures.fig20_best_case_quantities(law, N_S=(-1e9,))
