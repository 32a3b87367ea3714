"""Minima of small IsoFLOP lines, seed by seed: a parabola in ln N through the lowest size and its neighbours.

For profiles that a law is fitted to there is ``isoflop.fit_isoflops``, which corrects the bias of a parabola;
here a line has a handful of sizes, and its spread over seeds says how well the minimum is known.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def valleys(table: pd.DataFrame, along: str, *, x: str = "N", value: str = "L") -> pd.DataFrame:
    """Find the minimum of each line.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of a runs table with ``seed``; rows of one seed and one value of `along` make a line.
    along : str
        Column that tells lines apart, such as "budget".
    x : str
        Column of sizes, parameters.
    value : str
        Column that is least at the minimum.

    Returns
    -------
    pandas.DataFrame
        One row per line: `along`, ``<x>_best`` (geometric mean over seeds) and ``<x>_best_sd`` (half the
        distance between one standard deviation of ln N above and below), ``<value>_best`` and its ``_sd``,
        ``inside`` (in every seed the parabola opens upward, with its minimum between the ends) and
        ``seeds``. Where it is not inside, the best size measured stands for the minimum.

    Raises
    ------
    ValueError
        If a line has fewer than three sizes.
    """
    rows = []
    for key, lines in table.dropna(subset=[along]).groupby(along):
        found = [_minimum(line, x, value) for _, line in lines.groupby("seed")]
        logs, losses, inside = (np.array(column, dtype=float) for column in zip(*found, strict=True))
        mean, sd = logs.mean(), logs.std(ddof=1) if len(logs) > 1 else np.nan
        rows.append(
            {
                along: key,
                f"{x}_best": np.exp(mean),
                f"{x}_best_sd": np.exp(mean) * np.sinh(sd),
                f"{value}_best": losses.mean(),
                f"{value}_best_sd": losses.std(ddof=1) if len(losses) > 1 else np.nan,
                "inside": bool(inside.all()),
                "seeds": len(found),
            }
        )
    return pd.DataFrame(rows)


def _minimum(line: pd.DataFrame, x: str, value: str) -> tuple[float, float, bool]:
    means = line.groupby(x)[value].mean()
    if len(means) < 3:
        raise ValueError(f"a line of {len(means)} sizes has no valley to be found: three are needed at least")
    size, loss = np.log(means.index.to_numpy(dtype=float)), means.to_numpy(dtype=float)
    # Around the best size alone: far from the minimum a line is no parabola.
    near = np.abs(np.arange(len(loss)) - int(np.clip(np.argmin(loss), 1, len(loss) - 2))) <= 1
    a, b, c = np.polyfit(size[near] - size.mean(), loss[near], 2)
    at = -b / (2.0 * a) if a > 0 else np.inf
    if size[0] < at + size.mean() < size[-1]:
        return at + size.mean(), c - b**2 / (4.0 * a), True
    return size[np.argmin(loss)], loss.min(), False
