"""How a table of runs is read, for every command that reads one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from distill_lib.observations import Observations


class TokensFrom(StrEnum):
    """How training tokens follow from the training compute."""

    six_n_d = "6ND"
    exact = "exact"


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


def read(
    file: Path,
    *,
    distillation: bool,
    column: list[str] | None,
    unit: list[str] | None,
    tokens_from: TokensFrom | None,
    decimal: str,
    thousands: str | None,
    vocabulary: float | None,
    bytes_per_token: float | None,
    skip_invalid: bool,
) -> Observations:
    """Read a table of runs as the options say.

    Parameters
    ----------
    file : Path
        The table.
    distillation : bool
        Whether it holds distilled students.
    column, unit : list of str, optional
        SYMBOL=HEADER and SYMBOL=UNIT.
    tokens_from : TokensFrom, optional
        How tokens follow from compute.
    decimal, thousands : str
        Marks of the numbers.
    vocabulary, bytes_per_token : float, optional
        What losses are measured against.
    skip_invalid : bool
        Whether rows that cannot be used are left out.

    Returns
    -------
    Observations
        With their findings.
    """
    from distill_lib.observations import read_observations

    return read_observations(
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
