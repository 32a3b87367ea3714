"""Specifications of runs that take a second or less."""

from __future__ import annotations

from distill_lib.scaling.specifications import CorpusSpec, ModelSpec, RunSpec

TINY = CorpusSpec(megabytes=0.1, packages=("stdlib",))


def tiny_run(**options) -> RunSpec:
    """Specify a run of a second or less."""
    defaults = {
        "corpus": TINY,
        "model": ModelSpec(d_model=8, n_layers=1, seq_len=32),
        "D": 2**13,
        "batch_tokens": 256,
        "lr": 3.2e-2,
        "eval_tokens": 2**12,
    }
    return RunSpec(**(defaults | options))
