"""The command line: ``distill-lib sweep`` trains, ``runs`` looks at tables, ``plan`` plans.

Commands only read arguments, call the library and print; whatever goes wrong ends in one line with its remedy.
"""

from __future__ import annotations

import errno
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="distill-lib",
    help="Distillation scaling laws, executable: train small models, fit laws, plan distillations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
runs_app = typer.Typer(help="Look at a table of runs.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")


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


class Device(StrEnum):
    """Where to train."""

    cpu = "cpu"
    cuda = "cuda"
    auto = "auto"


@app.command()
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


@app.command()
def sweep(
    preset: Annotated[str, typer.Argument(help="Which list of runs; smoke is a minute on two cores.")],
    seeds: Annotated[int, typer.Option(min=1, help="Seeds for each compared run.")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The runs table to add to; runs it holds are not repeated. By default in runs-local/."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, one thread each.")] = 2,
    device: Annotated[
        Device, typer.Option(help="Where to train; auto takes a GPU where there is one.")
    ] = Device.cpu,
) -> None:
    """Train a preset's runs and add them to a runs table; a sweep that was stopped goes on where it was."""
    from distill_lib.training.sweep import SweepError, run_preset

    try:
        table = run_preset(preset, seeds=seeds, out=out, workers=workers, device=device.value)
    except SweepError as error:
        raise SystemExit(_say(str(error), 1)) from None
    except KeyboardInterrupt:
        message = (
            "interrupted; the runs that were finished are in the table, the same command goes on from there"
        )
        raise SystemExit(_say(message, 130)) from None
    columns = ["run", "objective", "N", "D", "L", "L_se", "L_T", "seed", "seconds"]
    typer.echo(table[[name for name in columns if name in table]].to_string(index=False))


@runs_app.command("check")
def check_runs(file: Annotated[Path, typer.Argument(help="A runs table, CSV.")]) -> None:
    """Validate a runs table; say which column, row and value is wrong, and what to do."""
    from distill_lib import runs

    table = runs.read(file)
    kinds = ", ".join(
        f"{count} {objective}" for objective, count in table["objective"].value_counts().items()
    )
    typer.echo(f"{file}: {len(table)} runs in order ({kinds}).")


def main() -> int:
    """Run the command line; turn what a user can mend into one line.

    Returns
    -------
    int
        Exit status: 0, or 1 for a fault with a remedy; a command that was interrupted exits with 130.
    """
    try:
        app(standalone_mode=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _say("the disk is full: free some space, then run the same command again", 1)
        return _say(str(error), 1)
    except (ValueError, KeyError, ModuleNotFoundError) as error:
        return _say(str(error.args[0] if error.args else error), 1)
    return 0


def _say(message: str, status: int) -> int:
    print(f"distill-lib: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
