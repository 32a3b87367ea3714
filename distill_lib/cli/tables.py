"""``distill-lib runs check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from distill_lib.cli.options import (
    BytesPerTokenOption,
    ColumnOption,
    DecimalOption,
    DistillationOption,
    SkipInvalidOption,
    ThousandsOption,
    TokensFromOption,
    UnitOption,
    VocabularyOption,
    read,
)
from distill_lib.cli.speech import print_findings


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

    options = (distillation, column, unit, tokens_from, skip_invalid, as_json)
    if not any(options) and runs.recognises(runs.header(file)):
        table = runs.read(file)
        kinds = ", ".join(
            f"{count} {objective}" for objective, count in table["objective"].value_counts().items()
        )
        typer.echo(f"{file}: {len(table)} runs in order ({kinds}).")
        return
    found = read(
        file,
        distillation=distillation,
        column=column,
        unit=unit,
        tokens_from=tokens_from,
        decimal=decimal,
        thousands=thousands,
        vocabulary=vocabulary,
        bytes_per_token=bytes_per_token,
        skip_invalid=skip_invalid,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_findings(str(found))
    if found.errors:
        raise typer.Exit(1)
