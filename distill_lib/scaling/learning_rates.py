"""Learning rates: a protocol that sweeps them over sizes, and the best one of each size with its uncertainty."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distill_lib.scaling import _checks
from distill_lib.scaling.specifications import LanguageSpec, ModelSpec, RunSpec

#: Base rates of the sweep: steps of two around the rate of all other protocols; the paper's go from 1e-3 to 1e-1.
RATES = tuple(1.6e-2 * 2.0**step for step in range(-3, 4))
#: Widths of each arm, two layers each; at width 32 the base rate is the rate of all parameters.
WIDTHS = (16, 24, 32, 48, 64)
_FEWER_WIDTHS = (16, 32, 64)
_REFERENCE_WIDTH = 32

#: Names of the arms, as `best_rates` and the figures tell them apart.
SCALED, UNSCALED, DISTILLED = "scaled by width", "one rate for all widths", "distilled, scaled by width"
_ARMS = {"learning-rates": SCALED, "learning-rates-unscaled": UNSCALED, "learning-rates-distilled": DISTILLED}


def learning_rates(seeds: int = 2) -> list[RunSpec]:
    """Build the sweep of peak learning rates over sizes, to see whether one base rate serves them all.

    Three arms on the language of known entropy, all of the same length: students that learn from the text with
    rates scaled by width (muP, simple), the same without scaling, and the same as the first but distilled from
    one teacher (as Fig 53 does it, there with four teachers and four students); the last two at three widths.
    At width 32 scaling changes nothing, so the second arm leaves it out and borrows the first arm's.

    Parameters
    ----------
    seeds : int
        Runs of each width and rate.

    Returns
    -------
    list of RunSpec
        Without repetition; the teacher comes first.

    Raises
    ------
    ValueError
        If `seeds` is less than 1.
    """
    _checks.number("seeds", seeds, 1, 1e4, "give the number of runs of each configuration")
    corpus = LanguageSpec()

    def run(arm: str, d_model: int, D: int, **options: object) -> RunSpec:
        mup = False if arm == "learning-rates-unscaled" else None
        return RunSpec(
            protocol=arm,
            corpus=corpus,
            model=ModelSpec(d_model=d_model, vocab_size=corpus.vocab_size, mup=mup),
            D=D,
            batch_tokens=512,
            warmup=0.2,
            eval_tokens=2**15,
            **options,
        )

    def arm(name: str, widths: tuple[int, ...]) -> list[RunSpec]:
        return [
            run(name, d_model, 2**17, lr=lr, seed=seed)
            for seed in range(seeds)
            for d_model in widths
            for lr in RATES
        ]

    teacher = run("learning-rates-distilled", 48, 2**19, split="teacher")
    distilled = [spec.distilled_from(teacher) for spec in arm("learning-rates-distilled", _FEWER_WIDTHS)]
    others = tuple(width for width in _FEWER_WIDTHS if width != _REFERENCE_WIDTH)
    return [teacher, *arm("learning-rates", WIDTHS), *arm("learning-rates-unscaled", others), *distilled]


def arms(runs: pd.DataFrame) -> pd.DataFrame:
    """Sort the students of a learning-rate sweep into its arms.

    Parameters
    ----------
    runs : pandas.DataFrame
        The runs table of `learning_rates`.

    Returns
    -------
    pandas.DataFrame
        Its rows that are no teachers, with a column ``arm``; those of the reference width stand in both
        supervised arms.

    Raises
    ------
    ValueError
        If the table holds no run of the protocol.
    """
    students = runs[(runs["split"] == "student") & runs["protocol"].isin(list(_ARMS))]
    if students.empty:
        raise ValueError("no run of the protocol learning-rates in this table: run `learning_rates` first")
    rows = students.assign(arm=students["protocol"].map(_ARMS))
    shared = rows[(rows["arm"] == SCALED) & (rows["d_model"] == _REFERENCE_WIDTH)]
    if UNSCALED in set(rows["arm"]):
        rows = pd.concat([rows, shared.assign(arm=UNSCALED)])
    return rows.reset_index(drop=True)


def vertex(lr: NDArray[np.float64], L: NDArray[np.float64]) -> tuple[float, float]:
    """Find the lowest point of a parabola in ln(rate), through the lowest loss and its two neighbours.

    Parameters
    ----------
    lr : ndarray
        Rates [n], rising.
    L : ndarray
        Losses [n], nats/token; those that are not finite count as no run.

    Returns
    -------
    tuple of float
        Rate and loss there. Where the lowest loss is at an end there is no parabola: rate and loss of that end.
    """
    known = np.isfinite(L)
    x, y = np.log(lr[known]), L[known]
    low = int(np.argmin(y))
    if low in (0, len(y) - 1):
        return float(np.exp(x[low])), float(y[low])
    near = slice(low - 1, low + 2)
    a, b, c = np.polyfit(x[near] - x[low], y[near], 2)
    return float(np.exp(x[low] - b / (2 * a))), float(c - b**2 / (4 * a))


def best_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Find the best base rate of each size, and what a rate in common would cost.

    Parameters
    ----------
    runs : pandas.DataFrame
        The runs table of `learning_rates`.

    Returns
    -------
    pandas.DataFrame
        One row per arm and width: ``N``; ``lr``, the geometric mean over seeds of the rate at the lowest point
        of a parabola in ln(rate) (`vertex`); ``lr_low`` and ``lr_high``, the smallest and largest of them; ``L``,
        the loss there, mean over seeds, nats/token; ``inside``, whether the lowest point was off both ends of the
        sweep for every seed; ``decade``, by how much the loss rises half a decade below or above the best rate,
        the larger of the two, by linear interpolation in ln(rate) within the sweep, nats/token; ``common_lr``,
        the rate of the sweep that is best for all widths of the arm together; ``common``, by how much the loss
        rises there, nats/token.

    Raises
    ------
    ValueError
        If the table holds no run of the protocol.
    """
    table = []
    for arm, members in arms(runs).groupby("arm", sort=False):
        mean = members.pivot_table("L", "d_model", "lr")
        above = mean.sub(mean.min(axis=1), axis=0).dropna(axis=1).mean()
        shared = float(above.index[int(above.to_numpy().argmin())])
        for d_model in sorted(int(width) for width in members["d_model"].unique()):
            rows = members[members["d_model"] == d_model]
            points = []
            for _, seed in rows.sort_values("lr").groupby("seed"):
                rates = seed["lr"].to_numpy(float)
                points.append((*vertex(rates, seed["L"].to_numpy(float)), rates.min(), rates.max()))
            lr, L, lowest, highest = np.array(points).T
            best = float(np.exp(np.log(lr).mean()))
            losses = mean.loc[d_model]
            ends = np.log(best) + 0.5 * np.log(10.0) * np.array([-1.0, 1.0])
            beside = np.interp(ends, np.log(losses.index.to_numpy(float)), losses.to_numpy(float))
            table.append(
                {
                    "arm": arm,
                    "d_model": d_model,
                    "N": rows["N"].iloc[0],
                    "lr": best,
                    "lr_low": lr.min(),
                    "lr_high": lr.max(),
                    "L": L.mean(),
                    "inside": bool(((lr > lowest) & (lr < highest)).all()),
                    "decade": beside.max() - L.mean(),
                    "common_lr": shared,
                    "common": losses[shared] - L.mean(),
                }
            )
    return pd.DataFrame(table)
