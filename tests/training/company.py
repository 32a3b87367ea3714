"""Runs of one shape that differ in all else, to be trained at once."""

from __future__ import annotations

import torch
from tiny import tiny_run

from distill_lib.scaling.specifications import RunSpec, TruncationSpec
from distill_lib.training.trainer import Training

TEACHER = tiny_run(split="teacher", D=2**13)
DIVERGING = tiny_run(lr=1.0, weight_decay=1000.0, warmup=0.0)
COMPANY = [
    tiny_run(D=2**12),
    tiny_run(D=2**13, seed=1, schedule="linear", lr=1e-2).distilled_from(TEACHER),
    DIVERGING,
    tiny_run(D=2**12, seed=1).distilled_from(TEACHER, lam=0.5, tau=2.0),
    tiny_run(D=2**12, seed=2).distilled_from(TEACHER, direction="reverse"),
    tiny_run(D=3 * 2**11, seed=2).distilled_from(TEACHER, distilled_share=0.5),
    tiny_run(D=2**12).distilled_from(TEACHER, lam=0.0),
    tiny_run(D=2**12).distilled_from(TEACHER, truncation=TruncationSpec(keep="top_k", k=4, missing="tail")),
]


def teachers_of(specs: list[RunSpec], teacher: Training) -> list[torch.nn.Module | None]:
    return [None if spec.teacher is None else teacher.model for spec in specs]


def assert_same_bits(one: Training, other: Training) -> None:
    assert one.evaluation == other.evaluation
    for first, second in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=0.0, atol=0.0, equal_nan=True)
