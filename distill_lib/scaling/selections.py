"""Rows of a runs table by the protocol that asked for them, with what its design says beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from distill_lib.scaling.protocols import find
from distill_lib.scaling.specifications import RunSpec

_NEAR = 0.06
"""Share by which the price of a run may miss its budget: whole steps of few tokens do not meet it exactly."""


def select(table: pd.DataFrame, preset: str, protocol: str, *, seeds: int | None = None) -> pd.DataFrame:
    """Take the rows of a protocol from a runs table, whatever label they carry, and only those that ended well.

    Parameters
    ----------
    table : pandas.DataFrame
        A runs table, as ``runs.read`` gives it.
    preset : str
        Scale at which the protocol was run, such as "mini".
    protocol : str
        Its name, such as "capacity_gap".
    seeds : int or None
        Paired seeds; by default as many as the protocol needs.

    Returns
    -------
    pandas.DataFrame
        The rows with status "ok", in the order of the design, and beside the columns of the table: ``C`` and
        ``C_T``, training compute of the model itself and of its teacher (3 F(N) D, FLOPs); ``budget`` and
        ``budget_T``, the IsoFLOP budget that these meet, NaN where they meet none; ``seed_T``, the seed of
        the teacher.

    Raises
    ------
    ValueError
        For a preset or a protocol that is not known, or where the table holds none of its runs.
    """
    scale, (wanted,) = find(preset, [protocol])
    design = pd.DataFrame([_design(spec, scale.budgets) for spec in wanted.runs(scale, seeds)])
    found = design.merge(table[table["status"] == "ok"], on="spec_hash", validate="one_to_one")
    if found.empty:
        raise ValueError(
            f"the table holds no run of {protocol}: make them with: distill-lib sweep {preset} --protocol {protocol}"
        )
    extra = [name for name in design.columns if name != "spec_hash"]
    return found[[*table.columns, *extra]]


def for_laws(table: pd.DataFrame, *, oracle: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the rows that the laws speak of: supervised runs, and students distilled as in the paper's main study.

    Parameters
    ----------
    table : pandas.DataFrame
        A runs table.
    oracle : bool
        Whether students of the truth itself count too: their teacher is no run, and its loss is the entropy rate.

    Returns
    -------
    tuple of pandas.DataFrame
        Supervised rows, of both halves of the corpus; distilled rows with lambda = tau = 1 and the forward
        divergence from a whole teacher that is a run, for all steps, with ``N_S``, ``D_S`` and ``L_S`` beside
        ``N``, ``D`` and ``L``. Diverged runs and those on repeated text are left out.
    """
    ended = table[(table["status"] == "ok") & table["epochs"].isna()]
    taught = ended[
        (ended["lam"] == 1.0)
        & (ended["tau"] == 1.0)
        & (ended["direction"] == "forward")
        & ended["truncation"].isna()
        & ended["distilled_share"].isna()
        & (ended["N_T"].notna() | oracle)
    ]
    columns = {f"{name}_S": taught[name] for name in ("N", "D", "L")}
    return ended[ended["objective"] == "supervised"].reset_index(drop=True), taught.assign(
        **columns
    ).reset_index(drop=True)


def without_teacher(table: pd.DataFrame, **same: float) -> pd.DataFrame:
    """Take the supervised students: what a distilled one is compared with.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of a runs table.
    **same : float
        What the students have in common, by column, such as ``N`` and ``D``.

    Returns
    -------
    pandas.DataFrame
        Supervised rows on the half of the corpus that students read; teachers read the other.
    """
    alone = (table["objective"] == "supervised") & (table["split"] == "student")
    for name, value in same.items():
        alone &= table[name] == value
    return table[alone]


def truncated(table: pd.DataFrame) -> pd.DataFrame:
    """Read what a truncation says: students that see a number of tokens or a share of the probability.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of a runs table.

    Returns
    -------
    pandas.DataFrame
        All rows, and beside the columns of the table ``keep`` ("top_k" or "top_p"), ``number`` (k or p) and
        ``missing`` ("renormalise" or "tail"); empty where nothing, or the likeliest token alone, is kept.
    """
    rule = table["truncation"].astype("string").str.extract(r"^(top_[kp])=([\d.]+), (\w+)$")
    return table.assign(keep=rule[0], number=rule[1].astype("Float64").astype(float), missing=rule[2])


def missing(table: pd.DataFrame, preset: str, protocol: str, *, seeds: int | None = None) -> int:
    """Count the runs of a protocol that a table does not hold, or holds as diverged.

    Parameters
    ----------
    table : pandas.DataFrame
        A runs table.
    preset, protocol : str
        As for `select`.
    seeds : int or None
        As for `select`.

    Returns
    -------
    int
        Number of runs.

    Raises
    ------
    ValueError
        For a preset or a protocol that is not known.
    """
    scale, (wanted,) = find(preset, [protocol])
    ended = set(table.loc[table["status"] == "ok", "spec_hash"])
    return sum(spec.spec_hash not in ended for spec in wanted.runs(scale, seeds))


def _design(spec: RunSpec, budgets: Sequence[float]) -> dict[str, float | str]:
    C = 3 * spec.model.architecture.flops_forward * spec.D
    row: dict[str, float | str] = {"spec_hash": spec.spec_hash, "C": C, "budget": _nearest(C, budgets)}
    row |= {"C_T": np.nan, "budget_T": np.nan, "seed_T": np.nan}
    if isinstance(spec.teacher, RunSpec):
        row |= {
            "C_T": spec.teacher.flops,
            "budget_T": _nearest(spec.teacher.flops, budgets),
            "seed_T": spec.teacher.seed,
        }
    return row


def _nearest(C: float, budgets: Sequence[float]) -> float:
    best = min(budgets, key=lambda budget: abs(np.log(C / budget)))
    return best if abs(C / best - 1) < _NEAR else np.nan
