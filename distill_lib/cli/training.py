"""``distill-lib sweep``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from distill_lib.cli.speech import say


class Device(StrEnum):
    """Where to train."""

    cpu = "cpu"
    cuda = "cuda"
    auto = "auto"


def sweep(
    preset: Annotated[str, typer.Argument(help="Which list of runs; smoke is a minute on two cores.")],
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Which of its protocols; may be given more than once. By default all."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds for each compared run; by default what each needs.")
    ] = None,
    price: Annotated[
        bool, typer.Option("--price", help="Print what the protocols cost, and train nothing.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The runs table to add to; runs it holds are not repeated. By default in runs-local/."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, one thread each.")] = 2,
    device: Annotated[
        Device,
        typer.Option(
            help="Where to train; auto takes a GPU where there is one, of several the first in CUDA_VISIBLE_DEVICES."
        ),
    ] = Device.cpu,
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="Train several runs of one shape at once: sooner, with losses that rounding sets apart.",
        ),
    ] = False,
    graphs: Annotated[
        bool,
        typer.Option("--graphs", help="With --together on a GPU, replay each step as one CUDA graph."),
    ] = False,
) -> None:
    """Train a preset's runs and add them to a runs table; a sweep that was stopped goes on where it was."""
    from distill_lib.scaling.prices import price_list
    from distill_lib.training.sweep import run_preset

    try:
        if price:
            prices = price_list(preset, protocol or (), workers=workers)
            shown = {"flops": "{:.2e}".format, "minutes": "{:.1f}".format}
            typer.echo(prices.to_string(index=False, formatters=shown))
            return
        table = run_preset(
            preset,
            protocol=protocol or (),
            seeds=seeds,
            out=out,
            workers=workers,
            device=device.value,
            together=together,
            graphs=graphs,
        )
    except ValueError as error:  # of which a SweepError is one
        raise SystemExit(say(str(error), 1)) from None
    except KeyboardInterrupt:
        message = (
            "interrupted; the runs that were finished are in the table, the same command goes on from there"
        )
        raise SystemExit(say(message, 130)) from None
    columns = ["run", "objective", "N", "D", "L", "L_se", "L_T", "seed", "seconds"]
    typer.echo(table[[name for name in columns if name in table]].to_string(index=False))
