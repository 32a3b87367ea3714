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


class TokensFrom(StrEnum):
    """How training tokens follow from the training compute."""

    six_n_d = "6ND"
    exact = "exact"


# How a table of runs is read, for every command that reads one.
DistillationOption = Annotated[
    bool, typer.Option("--distillation", help="Distilled students: N_S, D_S, L_T and L_S.")
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="SYMBOL=HEADER", help='Which column is what, such as N="Model Size".'),
]
UnitOption = Annotated[
    list[str] | None,
    typer.Option("--unit", metavar="SYMBOL=UNIT", help="Units to convert from: N=billions, L=bits."),
]
TokensFromOption = Annotated[
    TokensFrom | None,
    typer.Option(help="Compute tokens from training FLOPs: C / 6N, or by the two-term count."),
]
DecimalOption = Annotated[str, typer.Option(help="Decimal mark of the numbers.")]
ThousandsOption = Annotated[str | None, typer.Option(help="Mark between thousands.")]
VocabularyOption = Annotated[
    float | None, typer.Option(help="Tokens in the vocabulary: finds losses above ln of it.")
]
BytesPerTokenOption = Annotated[
    float | None, typer.Option(help="Mean length of a token, for losses per byte.")
]
SkipInvalidOption = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out rows with empty or impossible cells.")
]


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
def check_runs(
    file: Annotated[Path, typer.Argument(help="A table of runs, CSV or Parquet: ours, or any other.")],
    distillation: DistillationOption = False,
    column: ColumnOption = None,
    unit: UnitOption = None,
    tokens_from: TokensFromOption = None,
    decimal: DecimalOption = ".",
    thousands: ThousandsOption = None,
    vocabulary: VocabularyOption = None,
    bytes_per_token: BytesPerTokenOption = None,
    skip_invalid: SkipInvalidOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Validate a table of runs: ours strictly, any other as observations for a fit.

    What is wrong is named with its column, row, value and remedy; the exit status is then 1.
    """
    from distill_lib import runs
    from distill_lib.observations import read_observations

    options = (distillation, column, unit, tokens_from, skip_invalid, as_json)
    if not any(options) and runs.recognises(runs.header(file)):
        table = runs.read(file)
        kinds = ", ".join(
            f"{count} {objective}" for objective, count in table["objective"].value_counts().items()
        )
        typer.echo(f"{file}: {len(table)} runs in order ({kinds}).")
        return
    found = read_observations(
        file,
        "distillation" if distillation else "supervised",
        columns=_header_to_symbol(column),
        units=dict(_pairs("--unit", unit)),
        tokens_from=None if tokens_from is None else tokens_from.value,
        decimal=decimal,
        thousands=thousands,
        vocabulary=vocabulary,
        bytes_per_token=bytes_per_token,
        skip_invalid=skip_invalid,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print_findings(str(found))
    if found.errors:
        raise typer.Exit(1)


def _pairs(option: str, texts: list[str] | None) -> list[tuple[str, str]]:
    """Cut SYMBOL=VALUE at the first sign of equality."""
    pairs = [text.partition("=") for text in texts or []]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise ValueError(f"{option} {name}{sign}{value} is no pair; type for example {option} N=...")
    return [(name, value) for name, _, value in pairs]


def _header_to_symbol(texts: list[str] | None) -> dict[str, str]:
    """Turn --column SYMBOL=HEADER round; a header has one meaning."""
    columns: dict[str, str] = {}
    for symbol, header in _pairs("--column", texts):
        if header in columns:
            raise ValueError(f"--column gives {header!r} for {columns[header]} and for {symbol}; name one")
        columns[header] = symbol
    return columns


def _print_findings(text: str) -> None:
    """Print findings, in colour on a terminal."""
    from rich.console import Console
    from rich.text import Text

    styled = Text(text)
    for severity, style in (("error", "bold red"), ("warning", "yellow"), ("note", "cyan")):
        styled.highlight_regex(rf"(?m)^{severity}(?=:)", style)
    Console(highlight=False).print(styled, soft_wrap=True)


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
