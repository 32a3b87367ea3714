"""Rows of a runs table, for tests that write one."""

from __future__ import annotations


def row(run: str = "teacher", **changes: object) -> dict:
    """Make the row of a supervised run."""
    values = {
        "run": run,
        "protocol": "test",
        "objective": "supervised",
        "split": "teacher",
        "corpus": "python-512-0123456789ab",
        "n_layers": 2,
        "d_model": 16,
        "seq_len": 64,
        "vocab_size": 512,
        "N": 6224,
        "D": 131072,
        "L": 1 / 3 + 4,
        "L_se": 0.01,
        "lr": 0.016,
        "seed": 0,
        "status": "ok",
        "tokens_per_s": 80_000,
        "flops": 1.2e13,
        "device": "cpu",
        "seconds": 1.5,
        "commit": "0123456789ab",
        "spec_hash": "0123456789ab",
    }
    return values | changes


def student(run: str = "student", **changes: object) -> dict:
    """Make the row of a distilled run whose teacher is `row()`."""
    pair = {
        "objective": "distilled",
        "split": "student",
        "teacher_run": "teacher",
        "N_T": 6224,
        "D_T": 131072,
    }
    pair |= {"L_T": 1 / 3 + 4, "lam": 1.0, "tau": 1.0, "direction": "forward", "kl_teacher": 0.1}
    return row(run, **(pair | changes))
