"""Rows of a record of the mapping problem, with a gap of known size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from distill_lib.scaling.mapping_record import COLUMNS

WIDTHS = (128, 256, 512)
RISE = 0.05


def row(run: str, role: str, width: int, seed: int, L: float, **values: Any) -> dict[str, Any]:
    """One network, by default a teacher's or a supervised student's row."""
    filled = {
        "run": run, "role": role, "width": width, "N": 40 * width, "steps": 500, "samples": 256_000, "L": L,
        "L_easy": 0.5 * L, "L_hard": 1.5 * L, "accuracy": 1.0 - L / 3.0, "accuracy_hard": 0.2, "positions": 16,
        "easy": 0.5, "lr": 3e-4, "batch": 512, "seed": seed, "device": "cpu", "seconds": 1.0, "commit": "abc",
    }  # fmt: skip
    return {name: (filled | values).get(name) for name in COLUMNS}


def record(trials: int = 4, luck: float = 0.01) -> list[dict[str, Any]]:
    """Students of 128 and 256 under three widths and two lengths; the middle teacher is best by RISE.

    A trial's luck is common to its students, so it must not show in a paired difference.
    """
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(trials):
        shift = luck * rng.standard_normal()
        rows += [
            row(f"supervised-{width}-s{seed}", "supervised", width, seed, 1.3 + shift) for width in (128, 256)
        ]
        ladder = [("width", w, 1000, loss) for w, loss in zip(WIDTHS, (1.4, 1.1, 0.9), strict=True)]
        for study, teacher, steps, L_T in [*ladder, ("steps", 512, 64, 1.6), ("steps", 512, 256, 1.0)]:
            name = f"teacher-{teacher}x{steps}-s{seed}"
            rows.append(
                row(name, "teacher", teacher, seed, L_T, study=study, steps=steps, samples=512 * steps)
            )
            for width in (128, 256):
                best = L_T in (1.1, 1.0)
                rows.append(
                    row(
                        f"student-{width}-from-{teacher}x{steps}-s{seed}", "distilled", width, seed,
                        1.2 + shift + (0.0 if best else RISE if L_T < 1.0 else 0.4), study=study, teacher_run=name,
                        teacher_width=teacher, teacher_steps=steps, L_T=L_T, kl_teacher=0.1, tau=1.0, lam=1.0,
                    )
                )  # fmt: skip
    return rows


def table(**options: Any) -> pd.DataFrame:
    """The record as a table, typed by writing and reading it."""
    import io

    from distill_lib.scaling.mapping_record import _parse

    text = pd.DataFrame(record(**options), dtype=object).to_csv(index=False)
    return _parse(io.StringIO(text).getvalue(), "made up")
