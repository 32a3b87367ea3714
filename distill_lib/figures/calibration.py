"""How sure our models are and how often they are right: the paper's Figures 42 to 50, from our runs.

All panels are read alike: a dot for each bin of confidence, its area by the share of positions in the bin;
on the diagonal a model is as sure as it should be. The line leaves out bins of less than 30 positions. Runs of
one panel and colour (seeds, and whatever else the caller leaves in) are pooled, weighted by positions; the
errors written over a panel are means over these runs.

Figures 43 to 46 show students at 20 tokens per parameter, and differ in whose confidence makes the bins and in
what is held against it; 47 to 50 show the same of the students trained on the most tokens. A student that has one
length only, to a tenth of its tokens, is in the first of these alone; its place in the others says so.
"""

from __future__ import annotations

from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, styled
from distill_lib.measures import calibration_error
from distill_lib.scaling.wording import count

Tokens = Literal["20 per parameter", "most"]
Panels = Literal["N", "N_T"]

TARGETS = {
    "the teacher's distribution": (ROLE_COLOURS["distilled"], "o"),
    "the teacher's likeliest token": ("#e69f00", "s"),
}
"""What a student is trained on, with its colour and marker: (a) and (b) of the paper's panels."""

_COLUMNS = 4
_ENOUGH = 30  # positions of a bin that the line goes through: with fewer it would show chance
_LONGER = 1.1  # times the tokens from which on a longer run is one
_PANEL_TITLES = {"N": "student", "N_T": "teacher"}


@styled
def fig42_teacher_calibration(runs: pd.DataFrame, measures: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw the teachers' accuracy on held-out data against their confidence, one panel per size (Figure 42).

    Parameters
    ----------
    runs : pandas.DataFrame
        A runs table; the rows that are teachers of others are drawn.
    measures : pandas.DataFrame
        Their measures by bin, as `distill_lib.measures.read_measures` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no teacher has measures.
    """
    teachers = _measured(runs[runs["run"].isin(set(runs["teacher_run"].dropna()))], measures, "teachers")
    fig, axes = _panels(teachers, "N", "teacher")
    for ax, (_, rows) in zip(axes.flat, teachers.groupby("N"), strict=False):
        bins = _bins(rows, measures, "confidence")
        _reliability(ax, bins, "confidence", "accuracy", ROLE_COLOURS["teacher"], "o")
        _write_error(ax, 0, rows["ece"].mean(), ROLE_COLOURS["teacher"])
    fig.supxlabel("Teacher's confidence (share)", fontsize=10)
    fig.supylabel("Accuracy on data (share)", fontsize=10)
    return fig, axes


# What stands over the bins of Figures 43 to 46, and of 47 to 50 in the same order.
_HEIGHTS = {43: "accuracy", 44: "agreement", 45: "confidence_teacher", 46: "confidence"}

_LABELS = {
    "accuracy": ("Student's confidence (share)", "Accuracy on data (share)"),
    "agreement": ("Student's confidence (share)", "Agreement with teacher (share)"),
    "confidence_teacher": ("Student's confidence (share)", "Teacher's confidence (share)"),
    "confidence": ("Teacher's confidence (share)", "Student's confidence (share)"),
}


def fig43_student_calibration(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw the students' accuracy on held-out data against their confidence, at 20 tokens per parameter (Figure 43).

    A dot is a bin of positions where students give their likeliest token about that probability; it stands as
    high as the share of them where that token comes next. The errors are those of the runs table (``ece``).

    Parameters
    ----------
    runs : pandas.DataFrame
        A runs table; its students at lam = 1 and tau = 1 that were given the whole distribution, or the
        likeliest token alone, are drawn: of each size those trained nearest to 20 tokens per parameter.
    measures : pandas.DataFrame
        Their measures by bin, as `distill_lib.measures.read_measures` returns them.
    panels : {"N", "N_T"}
        One panel for each student size, or for each teacher size as in the paper.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures.
    """
    return _students(43, runs, measures, panels)


def fig44_student_against_top_token(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw how often students hold the teacher's likeliest token for the likeliest, against their confidence (Figure 44).

    The bins are those of Figure 43; a dot stands as high as the share of positions where teacher and student have
    the same likeliest token, whatever comes next. The errors are ``ece_teacher``. A student of the whole
    distribution, sure as its teacher is, agrees more often than it is sure: it lies above the diagonal.

    Parameters
    ----------
    runs, measures, panels
        As for `fig43_student_calibration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures.
    """
    return _students(44, runs, measures, panels)


def fig45_teacher_within_student_bins(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw the teacher's confidence where the student has a given confidence (Figure 45).

    The bins are those of Figure 43; a dot stands as high as the teacher is sure of its own likeliest token, on
    average over the bin. On the diagonal both are as sure. The errors are ECE_dist over the student's bins.

    Parameters
    ----------
    runs, measures, panels
        As for `fig43_student_calibration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures.
    """
    return _students(45, runs, measures, panels)


def fig46_student_within_teacher_bins(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw the student's confidence where the teacher has a given confidence (Figure 46).

    Figure 45 with the models' places exchanged: bins are of the teacher's confidence, and a dot stands as high
    as the student is sure there. The errors are ECE_dist over the teacher's bins, not those of Figure 45.

    Parameters
    ----------
    runs, measures, panels
        As for `fig43_student_calibration`.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures.
    """
    return _students(46, runs, measures, panels)


def fig47_student_calibration_after_more(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw Figure 43 for the students of each size that were trained on the most tokens (Figure 47).

    Bins, heights and errors (``ece``) are as in Figure 43. What more tokens change is whether the student's
    confidence is earned on data.

    Parameters
    ----------
    runs, measures, panels
        As for `fig43_student_calibration`, but of each size the students with the most tokens are drawn.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures, or none was trained for longer than in Figure 43.
    """
    return _students(47, runs, measures, panels)


def fig48_student_against_top_token_after_more(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw Figure 44 for the students of each size that were trained on the most tokens (Figure 48).

    Bins, heights and errors (``ece_teacher``) are as in Figure 44. What more tokens change is how well the
    student knows the teacher's first choice.

    Parameters
    ----------
    runs, measures, panels
        As for `fig43_student_calibration`, but of each size the students with the most tokens are drawn.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures, or none was trained for longer than in Figure 44.
    """
    return _students(48, runs, measures, panels)


def fig49_teacher_within_student_bins_after_more(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw Figure 45 for the students of each size that were trained on the most tokens (Figure 49).

    Bins, heights and errors (ECE_dist over the student's bins) are as in Figure 45. What more tokens change is
    where the student is sure and the teacher is not.

    Parameters
    ----------
    runs, measures, panels
        As for `fig43_student_calibration`, but of each size the students with the most tokens are drawn.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures, or none was trained for longer than in Figure 45.
    """
    return _students(49, runs, measures, panels)


def fig50_student_within_teacher_bins_after_more(
    runs: pd.DataFrame, measures: pd.DataFrame, *, panels: Panels = "N"
) -> tuple[Figure, np.ndarray]:
    """Draw Figure 46 for the students of each size that were trained on the most tokens (Figure 50).

    Bins, heights and errors (ECE_dist over the teacher's bins) are as in Figure 46. What more tokens change is
    where the teacher is sure and the student is not.

    Parameters
    ----------
    runs, measures, panels
        As for `fig43_student_calibration`, but of each size the students with the most tokens are drawn.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [rows, columns].

    Raises
    ------
    ValueError
        If no student has measures, or none was trained for longer than in Figure 46.
    """
    return _students(50, runs, measures, panels)


@styled
def _students(
    number: int, runs: pd.DataFrame, measures: pd.DataFrame, panels: Panels
) -> tuple[Figure, np.ndarray]:
    """Draw one of Figures 43 to 50."""
    if panels not in _PANEL_TITLES:
        raise ValueError(f'panels={panels!r}: one of "N" and "N_T" is expected')
    first = number if number in _HEIGHTS else number - len(_HEIGHTS)
    tokens: Tokens = "20 per parameter" if number == first else "most"
    students = _measured(distilled_students(runs, tokens), measures, "distilled students")
    students = students[students[panels].notna()]  # an oracle has no size
    drawn = np.full(len(students), True) if number == first else _longer(students, runs, first)
    outcome = _HEIGHTS[first]
    by = "confidence_teacher" if outcome == "confidence" else "confidence"
    fig, axes = _panels(students, panels, _PANEL_TITLES[panels])
    for ax, (size, _) in zip(axes.flat, students.groupby(panels), strict=False):
        in_panel = students[drawn & (students[panels] == size)]
        if in_panel.empty:
            _point_to(ax, f"not trained\nfor longer:\nsee Figure {first}")
        for place, (target, (colour, marker)) in enumerate(TARGETS.items()):
            rows = in_panel[in_panel["target"] == target]
            if rows.empty:
                continue
            bins = _bins(rows, measures, by)
            _reliability(ax, bins, by, outcome, colour, marker)
            errors = [
                calibration_error(own["count"], own[by], own[outcome]) for _, own in bins.groupby("run")
            ]
            stored = {"accuracy": "ece", "agreement": "ece_teacher"}.get(outcome)
            error = rows[stored].mean() if stored else float(np.mean(errors))
            _write_error(ax, place, error, colour)
    handles = [
        plt.Line2D([], [], color=colour, marker=marker, lw=1, label=f"trained on {target}")
        for target, (colour, marker) in TARGETS.items()
        if (students["target"] == target).any()
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=2 if axes.shape[1] > 2 else 1)
    x, y = _LABELS[outcome]
    fig.supxlabel(x, fontsize=10)
    fig.supylabel(y, fontsize=10)
    return fig, axes


def _longer(students: pd.DataFrame, runs: pd.DataFrame, first: int) -> np.ndarray:
    """Say which students have more tokens than those of their size in an earlier figure [n]."""
    before = distilled_students(runs).groupby("N")["D"].max()
    longer = students["D"].to_numpy() > _LONGER * students["N"].map(before).to_numpy()
    if not longer.any():
        raise ValueError(
            f"runs holds {len(students)} distilled students, none of them trained for longer than those of "
            f"Figure {first}: give a table where some are, or draw that figure"
        )
    return longer


def distilled_students(runs: pd.DataFrame, tokens: Tokens = "20 per parameter") -> pd.DataFrame:
    """Choose the students that Figures 43 to 50 show.

    Parameters
    ----------
    runs : pandas.DataFrame
        A runs table.
    tokens : {"20 per parameter", "most"}
        Of each student size, those trained nearest to 20 tokens per parameter, or on the most tokens.

    Returns
    -------
    pandas.DataFrame
        Rows of students distilled with the forward KL at lam = 1 and tau = 1, with a column ``target`` that is a key
        of `TARGETS`. Students that saw something else of their teacher are left out.
    """
    plain = (runs["lam"] == 1.0) & (runs["tau"] == 1.0) & (runs["direction"] == "forward")
    whole = runs["distilled_share"].fillna(1.0) == 1.0
    chosen = runs[(plain & whole & (runs["status"] == "ok")).fillna(False)].copy()
    kept = chosen["truncation"].astype(object)
    whole_target, top_target = TARGETS
    chosen["target"] = np.where(
        kept.isna(), whole_target, np.where(kept.astype(str).str.startswith("top_token"), top_target, "")
    )
    chosen = chosen[chosen["target"] != ""]
    wanted = []
    for size in sorted(chosen["N"].unique()):
        rows = chosen[chosen["N"] == size]
        trained = np.asarray(rows["D"], dtype=float)
        best = trained.max() if tokens == "most" else trained[np.abs(trained / size - 20).argmin()]
        wanted.append(rows[trained == best])
    return pd.concat(wanted) if wanted else chosen


def _measured(rows: pd.DataFrame, measures: pd.DataFrame, what: str) -> pd.DataFrame:
    """Keep the runs that have measures by bin."""
    kept = rows[rows["run"].isin(set(measures["run"]))]
    if kept.empty:
        raise ValueError(
            f"runs holds {len(rows)} {what}, none of them with measures by bin: give a table that has some, "
            "and what read_measures() finds beside it"
        )
    return kept


def _bins(rows: pd.DataFrame, measures: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return the filled bins of these runs."""
    return measures[measures["run"].isin(set(rows["run"])) & (measures["by"] == by) & (measures["count"] > 0)]


def pooled(bins: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Take bins of several runs together, each position counting once.

    Parameters
    ----------
    bins : pandas.DataFrame
        Rows of measures by bin, all sorted in one way, without empty bins.
    *names : str
        Columns to average.

    Returns
    -------
    pandas.DataFrame
        ``count`` and the means, by bin.
    """
    sums = bins[list(names)].multiply(bins["count"], axis=0).assign(count=bins["count"])
    sums = sums.groupby(bins["bin"]).sum()
    return sums[list(names)].div(sums["count"], axis=0).assign(count=sums["count"])


def _panels(rows: pd.DataFrame, column: str, role: str) -> tuple[Figure, np.ndarray]:
    """Make a square panel for each size, with its diagonal."""
    sizes = sorted(rows[column].unique())
    columns = min(_COLUMNS, len(sizes))
    n_rows = -(-len(sizes) // columns)
    side = PAGE_WIDTH / _COLUMNS
    fig, axes = plt.subplots(
        n_rows, columns, sharex=True, sharey=True, squeeze=False,
        figsize=(max(side * columns + 0.6, 4.6) if columns < _COLUMNS else PAGE_WIDTH, side * n_rows + 1.1),
    )  # fmt: skip
    for ax, size in zip(axes.flat, sizes, strict=False):
        tokens = sorted(rows.loc[rows[column] == size, "D"].unique())
        words = count(tokens[0]) if len(tokens) == 1 else f"{count(tokens[0])} to {count(tokens[-1])}"
        ax.set_title(f"{role} {count(size)}\n$D$ = {words}", fontsize=9.5, pad=17)
        ax.plot([0, 1], [0, 1], ":", color="#555555", lw=1.2, zorder=0)
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], aspect="equal")
    for ax in axes.flat[len(sizes) :]:
        ax.axis("off")
    return fig, axes


def _reliability(ax: Axes, bins: pd.DataFrame, x: str, y: str, colour: str, marker: str) -> None:
    """Draw one dot for each bin, larger where more positions are, and a line where there are enough."""
    means = pooled(bins, x, y)
    line = means[means["count"] >= _ENOUGH]
    ax.plot(line[x], line[y], color=colour, lw=1)
    share = means["count"] / means["count"].sum()
    ax.scatter(means[x], means[y], s=4 + 220 * share, marker=marker, color=colour, alpha=0.75, lw=0, zorder=3)


def _write_error(ax: Axes, place: int, error: float, colour: str) -> None:
    """Write an error over the panel, the first at its left, the second at its right, where no dot can be."""
    ax.text(
        place, 1.03, f"ECE {100 * error:.1f} %", color=colour, fontsize=8.5, transform=ax.transAxes,
        ha="right" if place else "left", va="bottom",
    )  # fmt: skip


def _point_to(ax: Axes, words: str) -> None:
    """Say in an empty panel where to look."""
    for line in ax.lines:
        line.remove()
    ax.axis("off")
    ax.text(0.5, 0.5, words, ha="center", va="center", fontsize=9.5, color="#555555", transform=ax.transAxes)
