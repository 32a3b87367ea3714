"""``distill-lib plan``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from distill_lib.scaling.accelerators import Fleet
    from distill_lib.scaling.family_plans import FamilyPlan
    from distill_lib.scaling.laws import DistillationLaw
    from distill_lib.scaling.plan_uncertainty import PlanUncertainty
    from distill_lib.scaling.plans import Plan


class Scenario(StrEnum):
    """Who pays for the teacher (Table 2 of the paper)."""

    best_case = "best_case"
    teacher_inference = "teacher_inference"
    teacher_pretraining = "teacher_pretraining"
    teacher_pretraining_inference = "teacher_pretraining_inference"


class Passes(StrEnum):
    """Whom a pass of the teacher serves in a family."""

    shared = "shared"
    each = "each"


class Reading(StrEnum):
    """How the printed B' of Table 6 is read."""

    reconciled = "reconciled"
    printed = "printed"


def plan(
    student: Annotated[
        list[str],
        typer.Option(
            help="Student size N_S, parameters without embeddings: 1.5e9 or 1.5B. Given several times: a family, "
            "planned together with one teacher whose training is paid once."
        ),
    ],
    budget: Annotated[
        str | None,
        typer.Option(help="Total compute C: FLOPs such as 1e22, or accelerators such as 64xH100x14d."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Wanted student loss, nats per token, instead of a budget. Of a family one for all, or one each."
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            help="What a nat of each student of a family counts in the mean loss; 1 each by default."
        ),
    ] = None,
    logits: Annotated[
        Passes | None,
        typer.Option(
            help="Whether a family shares one pass of the teacher's predictions, or each has its own."
        ),
    ] = None,
    scenario: Annotated[
        Scenario, typer.Option(help="Who pays for the teacher.")
    ] = Scenario.teacher_inference,
    teachers: Annotated[
        Path | None,
        typer.Option(help="Teachers to choose from: CSV with columns N_T, D_T and perhaps L_T, name."),
    ] = None,
    tokens: Annotated[str | None, typer.Option(help="Most student tokens there are, such as 300B.")] = None,
    max_teacher_tokens: Annotated[
        str | None,
        typer.Option(help="Most tokens a teacher to be designed can be trained on, such as 300B."),
    ] = None,
    students: Annotated[float, typer.Option(help="Students that share the teacher and its logits.")] = 1.0,
    inference_tokens: Annotated[
        str | None, typer.Option(help="Tokens the student processes in its life; added to the bill.")
    ] = None,
    reading: Annotated[
        Reading | None, typer.Option(help="How B' of Table 6 is read; reconciled by default.")
    ] = None,
    law: Annotated[
        Path | None,
        typer.Option(help="Your own law, saved by: distill-lib fit ... --distillation --save law.json."),
    ] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(
            help="Relative error of the law's losses: closer ones are too close to call. By default the mean error of "
            "your own law, and of the published one what the paper states, 1%."
        ),
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(help="Accelerators to price the plan in, such as 64xH100, if not in --budget."),
    ] = None,
    utilisation: Annotated[
        str, typer.Option(help="Part of their dense bf16 peak that training gets.")
    ] = "40%",
    top_k: Annotated[int, typer.Option(help="Largest logits of each token to store.")] = 128,
    draws: Annotated[int, typer.Option(min=0, help="Laws to draw for intervals; 0 for none.")] = 400,
    widen: Annotated[float, typer.Option(help="Factor on the intervals of Table 6, which are narrow.")] = 1.0,
    within: Annotated[
        str | None,
        typer.Option(help="Keep only drawn laws within this share of the published losses, such as 1%."),
    ] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw the plan to this file (.png, .svg, .pdf).")] = None,
    save: Annotated[Path | None, typer.Option(help="Save everything as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Plan a distillation: which teacher, how many tokens, what loss, what it costs, and whether it is worth it.

    Sizes and tokens may be typed as 1.5B or '300B tokens'. Intervals come from the draws saved with your own law,
    or from the printed intervals of the published one.
    """
    import distill_lib as dl
    from distill_lib.scaling.propagation import TooFewAnswers
    from distill_lib.scaling.quantities import parse_quantity, parse_share
    from distill_lib.scaling.teachers import read_teachers

    fleet, C = _means(budget, gpus, utilisation)
    if C is None and not target:
        raise ValueError(
            "nothing to plan for; give --budget, such as 1e22 or 64xH100x14d, or --target, a loss"
        )
    known = None if teachers is None else read_teachers(teachers)
    chosen, options, laws, warned = _law(law, reading)
    if accuracy is not None:
        options["accuracy"] = parse_share(accuracy, "--accuracy")
    sizes = [parse_quantity(each, "N", "--student (N_S)") for each in student]
    losses = [_number("--target", each) for each in target or []]
    asked: dict[str, Any] = dict(
        C=C,
        scenario=scenario.value,
        max_D_S=None if tokens is None else parse_quantity(tokens, "D", "--tokens"),
        max_D_T=None
        if max_teacher_tokens is None
        else parse_quantity(max_teacher_tokens, "D", "--max-teacher-tokens"),
        teachers=None if known is None else [each.given for each in known],
        inference_tokens=parse_quantity(inference_tokens or "0", "D", "--inference-tokens"),
        **options,
    )
    found: Plan | FamilyPlan
    if len(sizes) > 1:
        _refuse({"--students": students != 1.0, "--plot": plot is not None}, "one student", "for a family")
        asked |= {"target_losses": losses * (len(sizes) if len(losses) == 1 else 1) or None}
        asked |= {"logits": (logits or Passes.shared).value}
        asked |= {"weights": [_number("--weight", each) for each in weight] if weight else None}
        found, notes = _family(sizes, chosen, asked, published=law is None)
    else:
        _refuse({"--weight": bool(weight), "--logits": logits is not None}, "a family", "for one student")
        if len(losses) > 1:
            raise ValueError(f"--target is given {len(losses)} times; one student has one")
        asked |= {"target_loss": losses[0] if losses else None, "students_sharing": students}
        found, notes = dl.plan(sizes[0], law=chosen, **asked), []
    unsure = None
    if known is not None and found.teacher is not None and len(known) > 1:
        notes.append(f"Of {len(known)} teachers, {known[found.teacher].name} serves best.")
    if draws and isinstance(found, dl.Plan) and (law is None or laws):
        how = {"count": draws, "level": level}
        near = None if within is None else parse_share(within, "--within")
        drawn = {"seed": seed, "widen": widen, "within": near}
        try:
            unsure = found.uncertainty(laws or None, **how, **({} if laws else drawn))
        except TooFewAnswers as none:
            notes.append(f"No intervals: {none}")
    elif draws and law is not None and isinstance(found, dl.Plan):
        notes.append(
            f"{law.name} holds no draws, so no intervals: fit again with --bootstrap 400 --save {law.name}"
        )
    notes += warned
    report = _report(found, unsure, fleet, top_k, notes)
    if plot is not None and isinstance(found, dl.Plan):
        found.plot()[0].savefig(plot)
    content = json.dumps(found.to_dict() | {"report": report}, indent=2, ensure_ascii=False, allow_nan=False)
    if save is not None:
        from distill_lib import runs

        runs.replace_file(save, content + "\n")
    if as_json:
        typer.echo(content)
        return
    parts = [str(found), "" if unsure is None else str(unsure), "\n".join(_sentences(report, fleet))]
    written = "\n".join(f"wrote {path}" for path in (plot, save) if path is not None)
    typer.echo("\n\n".join(part for part in (*parts, written) if part))


def _means(budget: str | None, gpus: str | None, utilisation: str) -> tuple[Fleet | None, float | None]:
    """Return the accelerators, if any are named, and the FLOPs to spend, if a budget is given."""
    from distill_lib.scaling.accelerators import parse_fleet
    from distill_lib.scaling.quantities import parse_quantity, parse_share

    share = parse_share(utilisation, "--utilisation")
    fleet = None if budget is None else parse_fleet(budget, "--budget", share)
    if fleet is not None and fleet.seconds is None:
        raise ValueError(f"--budget = {budget!r} does not say for how long; type such as {budget}x14d")
    if gpus is not None:
        if fleet is not None:
            raise ValueError(f"--budget {budget} names its accelerators already; leave out --gpus {gpus}")
        priced = parse_fleet(gpus, "--gpus", share)
        if priced is None or priced.seconds is not None:
            raise ValueError(f"--gpus = {gpus!r} is no number of accelerators; type such as 64xH100")
        return priced, None if budget is None else parse_quantity(budget, "C", "--budget")
    if fleet is not None:
        return fleet, fleet.flops
    return None, None if budget is None else parse_quantity(budget, "C", "--budget")


def _law(path: Path | None, reading: Reading | None) -> tuple[Any, dict[str, Any], Sequence[Any], list[str]]:
    """Return the law to plan with, what is known of its reach, the draws saved with it, and what its fit warns of."""
    import distill_lib as dl

    if path is None:
        return dl.published_law((reading or Reading.reconciled).value), {}, (), []
    if reading is not None:
        raise ValueError(
            f"--reading {reading.value} is a way to read the published law; leave it out with --law"
        )
    saved = dl.load_fit(path)
    if not isinstance(saved.law, dl.DistillationLaw):
        raise ValueError(
            f"{path.name} holds a supervised law, and a plan needs that of students too; save one with: "
            f"distill-lib fit students.csv --distillation --supervised {path.name} --save law.json"
        )
    reach = saved.reach
    options = {"fitted_range": reach.fitted_range, "accuracy": reach.mean_error}
    trusted = reach.status.startswith("trustworthy")
    warned = [] if trusted else [f"The fit of {path.name} says of itself: {reach.status}"]
    return saved.law, options, saved.draws, warned


def _refuse(wrong: dict[str, bool], whose: str, where: str) -> None:
    """Refuse options that have no meaning here."""
    for option in (name for name, is_given in wrong.items() if is_given):
        raise ValueError(f"{option} is of {whose}; leave it out {where}")


def _family(
    sizes: list[float], law: DistillationLaw, asked: dict[str, Any], *, published: bool
) -> tuple[FamilyPlan, list[str]]:
    """Return the plan of a family, with whether its outcome survives both readings of B' for the published law."""
    import distill_lib as dl
    from distill_lib.scaling.laws import READINGS
    from distill_lib.scaling.sureness import say_readings

    found: list[tuple[str, Any]] = []
    for name in READINGS if published else ():
        try:
            plan = dl.plan_family(sizes, law=dl.published_law(name), **asked)
            found.append((name, {"gap": plan.gap, "outcome": plan.outcome}))
        except ValueError:  # a target that one reading does not reach
            found.append((name, None))
    notes = [say_readings(found)] if found else []
    notes.append("Intervals are of single plans: ask each student's own, with its share of the teacher.")
    return dl.plan_family(sizes, law=law, **asked), notes


def _report(
    found: Plan | FamilyPlan,
    unsure: PlanUncertainty | None,
    fleet: Fleet | None,
    top_k: int,
    notes: list[str],
) -> dict[str, Any]:
    """Return what is told beside the plan: intervals, cost, storage and remarks."""
    report: dict[str, Any] = {"notes": notes}
    if unsure is not None:
        report["uncertainty"] = unsure.to_dict()
    if fleet is not None:
        training, alone = found.C - found.flops_inference, found.C_supervised - found.flops_inference
        report["cost"] = {
            "accelerator": fleet.kind.name,
            "peak": fleet.kind.peak,
            "utilisation": fleet.utilisation,
            "source": fleet.kind.source,
            "count": fleet.count,
            "device_days": fleet.device_days(training),
            "days": fleet.days(training),
            "device_days_supervised": fleet.device_days(alone) if alone < float("inf") else None,
        }
    report["logits"] = {"all": found.logits().bytes, f"top_{top_k}": found.logits(top_k).bytes}
    report["storage"] = [str(found.logits()), str(found.logits(top_k))]
    return report


def _sentences(report: dict[str, Any], fleet: Fleet | None) -> list[str]:
    """Return the report as lines for people."""
    lines = list(report["notes"])
    if fleet is not None:
        cost = report["cost"]
        alone = cost["device_days_supervised"]
        beside = "" if alone is None else f" ({alone:,.3g} supervised)"
        lines.append(
            f"Cost: {cost['device_days']:,.3g} {fleet.kind.name}-days{beside}, {_days(cost['days'])} on {fleet.count:,}, "
            f"at {fleet.utilisation:.3g} of {fleet.kind.peak / 1e12:,.5g} TFLOP/s dense bf16 ({fleet.kind.source})"
        )
    return [*lines, *(f"Storage: {sentence}" for sentence in report["storage"])]


def _days(days: float) -> str:
    number = f"{days:.3g}"
    return f"{number} day" if number == "1" else f"{number} days"


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"{option} {text} is no number; type a loss in nats per token, such as 2.2"
        ) from None
