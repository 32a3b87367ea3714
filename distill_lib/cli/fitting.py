"""``distill-lib fit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from distill_lib.cli.speech import print_findings, say

if TYPE_CHECKING:
    from distill_lib.observations import Observations
    from distill_lib.scaling.fits import DistillationFit, SupervisedFit
    from distill_lib.scaling.laws import SupervisedLaw
    from distill_lib.scaling.uncertainty import Bootstrap


def fit(
    file: Annotated[Path, typer.Argument(help="A table of runs, CSV or Parquet: ours, or any other.")],
    distillation: DistillationOption = False,
    supervised: Annotated[
        Path | None,
        typer.Option(
            help="For --distillation, the first stage: a saved law (.json) or a table of supervised runs. By default the "
            "supervised runs of FILE if it holds any, else the published law."
        ),
    ] = None,
    gamma: Annotated[
        str, typer.Option(help="Outer exponent of the supervised law: free, or a number such as 1.")
    ] = "free",
    delta: Annotated[float, typer.Option(help="Width of the Huber loss on log loss.")] = 1e-3,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples for intervals; 0 for none.")] = 0,
    cluster: Annotated[
        str | None, typer.Option(help="Column whose equal values are resampled together, such as run.")
    ] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
    seed: Annotated[int, typer.Option(help="Seed of the resampling.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the fit to this file (.png, .svg, .pdf); profiles beside it.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Save the law, its status and intervals as JSON.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Code of an error of the table to pass over, such as in_step.")
    ] = None,
    column: ColumnOption = None,
    unit: UnitOption = None,
    tokens_from: TokensFromOption = None,
    decimal: DecimalOption = ".",
    thousands: ThousandsOption = None,
    vocabulary: VocabularyOption = None,
    bytes_per_token: BytesPerTokenOption = None,
    skip_invalid: SkipInvalidOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Fit a law to a table of runs, and say how far it is to be trusted.

    The exit status is 1 where the table cannot be fitted, or the fit failed.
    """
    how: dict[str, Any] = {
        "column": column, "unit": unit, "tokens_from": tokens_from, "decimal": decimal, "thousands": thousands,
        "vocabulary": vocabulary, "bytes_per_token": bytes_per_token, "skip_invalid": skip_invalid,
    }  # fmt: skip
    found = read(file, distillation=distillation, **how)
    if not as_json:
        print_findings(str(found))
    errors = [error for error in found.errors if error.code not in (allow or ())]
    if errors and not as_json:
        codes = ", ".join(dict.fromkeys(error.code for error in errors))
        message = (
            f"{file.name} cannot be fitted: mend the errors above, or pass one over with --allow ({codes})"
        )
        raise SystemExit(say(message, 1))
    found.require(allow or ())
    frame, words = found.frame, ""
    exponent = "free" if gamma == "free" else _number("--gamma", gamma)
    result: SupervisedFit | DistillationFit
    if distillation:
        base, words = _first_stage(file, supervised, exponent, delta)
        result = _fit_students(frame, base, delta)
    else:
        result = _fit_runs(frame, exponent, delta)
    boot = _bootstrap(result, frame, bootstrap, cluster, seed)
    files = _draw(result, frame, plot, distillation) if plot is not None else []
    if save is not None:
        from distill_lib.scaling.saved import save_fit

        files.append(save_fit(save, result, boot, level=level))
    if as_json:
        typer.echo(json.dumps(_as_dict(found, result, boot, level, words), indent=2, ensure_ascii=False))
    else:
        _report(result, boot, level, words, files)
    if result.status.startswith("failed"):
        raise typer.Exit(1)


def _fit_runs(frame: Any, gamma: Any, delta: float) -> SupervisedFit:
    import distill_lib as dl

    weights = frame.get("weight")
    return dl.fit_supervised_law(
        frame["N"], frame["D"], frame["L"], gamma=gamma, delta=delta, weights=weights
    )


def _fit_students(frame: Any, base: SupervisedLaw | SupervisedFit, delta: float) -> DistillationFit:
    import distill_lib as dl

    weights = frame.get("weight")
    columns = (frame[name] for name in ("N_S", "D_S", "L_T", "L_S"))
    return dl.fit_distillation_law(*columns, supervised=base, delta=delta, weights=weights)


def _first_stage(
    file: Path, given: Path | None, gamma: Any, delta: float
) -> tuple[SupervisedLaw | SupervisedFit, str]:
    """Return the supervised law of a distillation fit, and where it comes from."""
    import distill_lib as dl
    from distill_lib.observations import read_observations
    from distill_lib.scaling.laws import SupervisedLaw
    from distill_lib.scaling.saved import load_law

    if given is not None and given.suffix == ".json":
        law = load_law(given)
        return law if isinstance(
            law, SupervisedLaw
        ) else law.supervised, f"the supervised law of {given.name}"
    if given is None and not _has_supervised_runs(file):
        return (
            dl.published_law().supervised,
            "the published supervised law (of C4; give your own with --supervised)",
        )
    table = read_observations(given or file, "supervised").require()
    stage = _fit_runs(table.frame, gamma, delta)
    return stage, f"fitted to {len(table.frame)} supervised runs of {(given or file).name}: {stage.status}"


def _has_supervised_runs(file: Path) -> bool:
    from distill_lib import runs

    if not runs.recognises(runs.header(file)):
        return False
    return bool((runs.read(file)["objective"] == "supervised").any())


def _bootstrap(
    result: SupervisedFit | DistillationFit, frame: Any, draws: int, cluster: str | None, seed: int
) -> Bootstrap | None:
    """Resample, with a progress bar on a terminal."""
    if cluster is not None and cluster not in frame:
        raise ValueError(
            f"--cluster {cluster}: no such column; there are {', '.join(map(str, frame.columns))}"
        )
    if draws == 0:
        return None
    from rich.console import Console
    from rich.progress import Progress

    labels = None if cluster is None else frame[cluster].to_numpy()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("resampling", total=draws)
        return result.bootstrap(
            draws, seed=seed, clusters=labels, progress=lambda done: bar.advance(task, done)
        )


def _draw(result: Any, frame: Any, plot: Path, distillation: bool) -> list[Path]:
    """Draw the fit, and the IsoFLOP profiles where the runs lie on some."""
    import distill_lib as dl

    fig, _ = dl.figures.fit_report(result)
    fig.savefig(plot)
    if distillation:
        return [plot]
    profiles = _profiles(frame)
    if profiles is None:
        return [plot]
    beside = plot.with_name(f"{plot.stem}-profiles{plot.suffix}")
    fig, _ = dl.figures.isoflop_profiles(profiles, law=result.law)
    fig.savefig(beside)
    return [plot, beside]


def _profiles(frame: Any) -> Any:
    """Return the IsoFLOP profiles that the runs lie on, told apart as finely as they allow; None without any."""
    import distill_lib as dl

    for tolerance in (0.01, 0.1):
        try:
            return dl.fit_isoflops(frame["N"], frame["L"], D=frame["D"], tolerance=tolerance)
        except ValueError:
            continue  # the budgets run into each other, or no budget has sizes enough
    return None


def _as_dict(
    found: Observations, result: Any, boot: Bootstrap | None, level: float, words: str
) -> dict[str, Any]:
    answer = {"observations": found.to_dict(), "fit": result.to_dict()}
    if words:
        answer["supervised"] = words
    if boot is not None:
        table = boot.intervals(level)
        answer["intervals"] = {
            "level": level, "draws": len(boot), "kind": boot.kind, "converged": float(boot.converged.mean()),
            "coefficients": table.to_dict("index"),
        }  # fmt: skip
    return answer


def _report(result: Any, boot: Bootstrap | None, level: float, words: str, files: list[Path]) -> None:
    """Print the law as a table, how well it fits, and its status last."""
    import numpy as np

    agree, starts = result.starts_agreeing
    if words:
        typer.echo(f"first stage: {words}")
    intervals = None if boot is None else boot.intervals(level)
    header = f"{'':8}{'value':>12}{'± (first order)':>18}"
    typer.echo(header + (f"{f'{100 * level:g} % interval':>28}" if boot is not None else ""))
    names = list(result.coefficients) if intervals is None else list(intervals.index)
    for name in names:
        value = result.coefficients[name] if intervals is None else float(intervals.loc[name, "value"])
        error = result.curvature.standard_errors.get(name, np.nan)
        size = _size(error) if name in result.coefficients else ""
        line = f"{name:8}{value:12.5g}{size:>18}"
        if intervals is not None:
            line += f"{float(intervals.loc[name, 'low']):>15.5g}{float(intervals.loc[name, 'high']):>13.5g}"
        typer.echo(line)
    typer.echo(
        f"objective {result.objective:.6g} (Huber {result.delta:g}); mean error {result.mean_error:.2%}, largest "
        f"{np.abs(np.expm1(result.residuals)).max():.2%}; {agree} of {starts} starts agree"
    )
    if boot is not None:
        typer.echo(f"{len(boot)} {boot.kind} resamples, {boot.converged.mean():.1%} converged")
    for path in files:
        typer.echo(f"wrote {path}")
    typer.echo(f"status: {result.status}")


def _size(error: float) -> str:
    """Write a standard error of ln of a coefficient: in percent, or as a factor."""
    import math

    if not math.isfinite(error):
        return "not fixed"
    return (
        f"{100.0 * math.expm1(error):.2g} %"
        if error < math.log(2.0)
        else f"factor {math.exp(min(error, 300.0)):.2g}"
    )


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option} {text} is no number; type free, or a number such as 1") from None
