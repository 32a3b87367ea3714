"""A whole protocol simulated: the runs table that a law would give, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from distill_lib import runs
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.simulate import Noise, simulate_distillation, simulate_supervised
from distill_lib.scaling.specifications import RunSpec


def simulate_runs(
    specs: Sequence[RunSpec], law: DistillationLaw, *, noise: Noise | None = None, seed: int = 0
) -> pd.DataFrame:
    """Draw the losses of a list of runs from a law, as a runs table.

    Distilled runs follow the law whatever their temperature, mixing or truncation: it knows nothing of these.

    Parameters
    ----------
    specs : sequence of RunSpec
        The runs, with the teachers of the distilled ones among them, such as a protocol lists.
    law : DistillationLaw
        The truth; its ``supervised`` law gives the teachers and the supervised runs.
    noise : Noise, optional
        How losses scatter; 0.3 % per run by default.
    seed : int
        Decides the draw.

    Returns
    -------
    pandas.DataFrame
        A valid runs table with device "simulated", and no seconds to speak of.

    Raises
    ------
    ValueError
        If a teacher is missing, or is an oracle, whose loss is no part of a law.
    """
    alone = [spec for spec in specs if spec.teacher is None]
    taught = [spec for spec in specs if spec.teacher is not None]
    names = {spec.spec_hash: spec for spec in alone}
    for spec in taught:
        if not isinstance(spec.teacher, RunSpec) or spec.teacher.spec_hash not in names:
            raise ValueError(
                f"{spec.run}: its teacher is not among the runs; list teachers with their students"
            )
    grid = pd.DataFrame({"N": [spec.model.N for spec in alone], "D": [spec.D for spec in alone]})
    drawn = simulate_supervised(grid.astype(float), law.supervised, noise=noise, seed=seed)
    losses = dict(zip(names, drawn["L"].astype(float), strict=True))
    if taught:
        teachers = [spec.teacher for spec in taught if isinstance(spec.teacher, RunSpec)]
        students = pd.DataFrame(
            {
                "N_S": [float(spec.model.N) for spec in taught],
                "D_S": [float(spec.D) for spec in taught],
                "L_T": [losses[teacher.spec_hash] for teacher in teachers],
                "N_T": [float(teacher.model.N) for teacher in teachers],
                "D_T": [float(teacher.D) for teacher in teachers],
            }
        )
        found = simulate_distillation(students, law, noise=noise, seed=seed + 1)
        losses |= dict(zip((spec.spec_hash for spec in taught), found["L_S"].astype(float), strict=True))
    rows = [_row(spec, losses) for spec in specs]
    table = pd.DataFrame(rows, columns=list(runs.COLUMNS), dtype=object).convert_dtypes()
    return runs.validate(table, source="simulated runs")


def _row(spec: RunSpec, losses: dict[str, float]) -> dict[str, object]:
    L = losses[spec.spec_hash]
    row: dict[str, object] = dict.fromkeys(runs.COLUMNS) | spec.row
    row |= {
        "corpus": f"{spec.corpus.name}-simulated",
        # No blind guess is worse than a uniform one, whatever the law says of very short runs.
        "L": min(L, math.log(spec.model.vocab_size)),
        "L_se": 0.0,
        "status": "ok",
        "tokens_per_s": 1.0,
        "device": "simulated",
        "seconds": 1.0,
        "commit": "simulated",
    }
    if isinstance(spec.teacher, RunSpec):
        row |= {
            "teacher_run": spec.teacher.run,
            "N_T": spec.teacher.model.N,
            "D_T": spec.teacher.D,
            "L_T": min(losses[spec.teacher.spec_hash], math.log(spec.teacher.model.vocab_size)),
        }
    return row
