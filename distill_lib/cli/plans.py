"""``distill-lib plan``."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer


class Scenario(StrEnum):
    """Who pays for the teacher (Table 2 of the paper)."""

    best_case = "best_case"
    teacher_inference = "teacher_inference"
    teacher_pretraining = "teacher_pretraining"
    teacher_pretraining_inference = "teacher_pretraining_inference"


class Reading(StrEnum):
    """How the printed B' of Table 6 is read."""

    reconciled = "reconciled"
    printed = "printed"


def plan(
    student: Annotated[
        float, typer.Option(help="Student size N_S, parameters without embeddings; 1.5e9 for 1.5B.")
    ],
    budget: Annotated[float, typer.Option(help="Total compute C, FLOPs.")],
    scenario: Annotated[
        Scenario, typer.Option(help="Who pays for the teacher.")
    ] = Scenario.teacher_inference,
    reading: Annotated[Reading, typer.Option(help="How B' of Table 6 is read.")] = Reading.reconciled,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Plan a distillation: which teacher, how many tokens, what loss, and whether it is worth it."""
    import distill_lib as dl

    found = dl.plan(N_S=student, C=budget, scenario=scenario.value, law=dl.published_law(reading.value))
    typer.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
