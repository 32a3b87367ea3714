"""Where the loss of our runs comes from, and what it is good for: rare tokens, and small skills."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from distill_lib.figures.calibration import pooled
from distill_lib.figures.style import PAGE_WIDTH, ROLE_COLOURS, styled
from distill_lib.measures import FREQUENCY_BANDS
from distill_lib.scaling.wording import count

_BANDS = np.arange(1, FREQUENCY_BANDS + 1)
_MARKERS = {"teacher": "D", "supervised": "s", "distilled": "o"}

#: Skills of `fig35_scores_against_loss`: how positions are sorted, which bins count, title.
_SKILLS = (
    ("repetition", (1,), "a pair goes on as before"),
    ("bracket", (0, 1, 2), "which of three brackets closes"),
)


@styled
def loss_by_token_frequency(runs: pd.DataFrame, measures: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw the loss by how common the predicted token is: teacher, supervised and distilled student.

    Parameters
    ----------
    runs : pandas.DataFrame
        A runs table. Students of each size are drawn that were trained on the most tokens among those that
        there are both supervised and distilled; what the caller leaves in otherwise is pooled.
    measures : pandas.DataFrame
        Their measures by bin, as `distill_lib.measures.read_measures` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2, sizes]: losses above, distilled minus supervised below. The bands are
        eighths of the training text, the most common tokens first.

    Raises
    ------
    ValueError
        If no size has measured students of both kinds at the same number of tokens.
    """
    students = _with_roles(runs, measures)
    students = students[students["role"] != "teacher"]
    both = students.groupby(["N", "D"])["role"].nunique() == 2
    most = dict(sorted(both[both].index))
    if not most:
        raise ValueError(
            "runs holds no students with measures by bin that were trained both ways on equally many tokens: "
            "give a table with pairs"
        )
    fig, axes = plt.subplots(
        2, len(most), figsize=(PAGE_WIDTH if len(most) > 2 else 0.72 * PAGE_WIDTH, 5.6),
        sharex=True, sharey="row", squeeze=False, height_ratios=[1.5, 1],
    )  # fmt: skip
    for (above, below), (N, D) in zip(axes.T, most.items(), strict=True):
        rows = students[(students["N"] == N) & (students["D"] == D)]
        bins = measures[(measures["by"] == "frequency") & (measures["count"] > 0)].merge(
            rows[["run", "role"]], on="run"
        )
        distilled, supervised = (
            pooled(bins[bins["role"] == role], "loss") for role in ("distilled", "supervised")
        )
        teacher = pooled(bins[bins["role"] == "distilled"], "loss_teacher")
        for role, loss in (
            ("teacher", teacher["loss_teacher"]),
            ("supervised", supervised["loss"]),
            ("distilled", distilled["loss"]),
        ):
            above.plot(
                loss.index + 1, loss, color=ROLE_COLOURS[role], marker=_MARKERS[role], ms=5, label=role
            )
        difference = distilled["loss"] - supervised["loss"]
        below.plot(difference.index + 1, difference, color=ROLE_COLOURS["distilled"], marker="o", ms=5)
        below.axhline(0, color="#222222", lw=1)
        above.set_title(f"student {count(N)}, $D$ = {count(D)}")
        below.set_xticks(_BANDS)
    axes[0, 0].set_ylabel("Cross-entropy $L$ (nats/token)")
    axes[1, 0].set_ylabel("distilled − supervised\n(nats/token)")
    axes[0, 0].legend()
    fig.supxlabel(
        "Eighth of the text the predicted token is in: common tokens left, rare ones right", fontsize=10
    )
    return fig, axes


@styled
def fig35_scores_against_loss(runs: pd.DataFrame, measures: pd.DataFrame) -> tuple[Figure, np.ndarray]:
    """Draw scores of two small skills against the loss, whichever way a model was trained (in place of Figure 35).

    The skills are what models of this size have: continuing a pair of tokens as the window did before, and
    choosing the bracket that closes. They are no downstream tasks; the question is the paper's, whether equal
    loss means equal scores.

    Parameters
    ----------
    runs : pandas.DataFrame
        A runs table on text; each run is a dot.
    measures : pandas.DataFrame
        Their measures by bin, as `distill_lib.measures.read_measures` returns them.

    Returns
    -------
    tuple of Figure and numpy.ndarray
        The figure and its axes, shape [2].

    Raises
    ------
    ValueError
        If no run has such measures, as on a language of known entropy.
    """
    rows = _with_roles(runs, measures)
    fig, axes = plt.subplots(1, len(_SKILLS), figsize=(PAGE_WIDTH, 4.0))
    for ax, (by, chosen, title) in zip(axes, _SKILLS, strict=True):
        bins = measures[
            (measures["by"] == by) & measures["bin"].isin(list(chosen)) & (measures["count"] > 0)
        ].merge(rows[["run"]], on="run")
        if bins.empty:
            plt.close(fig)
            raise ValueError(f"measures holds no runs by {by}: give those of a table of text")
        right = (bins["accuracy"] * bins["count"]).groupby(bins["run"]).sum()
        score = right / bins["count"].groupby(bins["run"]).sum()
        for name, own in rows.groupby("role"):
            role = str(name)
            ax.plot(
                own["L"], own["run"].map(score), _MARKERS[role], color=ROLE_COLOURS[role],
                ms=6, alpha=0.75, mew=0, label=role,
            )  # fmt: skip
        ax.set(title=title, xlabel="Cross-entropy $L$ (nats/token)")
    axes[0].set_ylabel("Right answers (share)")
    axes[0].legend()
    return fig, axes


def _with_roles(runs: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """Keep the runs with measures, each with the part that it plays."""
    kept = runs[runs["run"].isin(set(measures["run"])) & (runs["status"] == "ok")].copy()
    teachers = set(runs["teacher_run"].dropna())
    kept["role"] = np.where(kept["run"].isin(teachers), "teacher", kept["objective"].astype(str))
    return kept
