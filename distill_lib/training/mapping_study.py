"""The runs of Figures 11 and 12: students of the mapping problem under many teachers, recorded row by row.

``python -m distill_lib.training.mapping_study`` makes ``data/mapping_problem.csv``; it can be stopped at any
moment, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from distill_lib import runs as files
from distill_lib.scaling import mapping_record
from distill_lib.training import provenance
from distill_lib.training.cache import cache_folder, code_hash, key_of, lock_for
from distill_lib.training.mapping_problem import (
    RECIPE,
    Measures,
    Recipe,
    make_network,
    measure,
    parameters,
    train,
    train_teacher,
)
from distill_lib.training.progress import Reporter

TEACHER_WIDTHS = (128, 181, 256, 362, 512)
"""Teachers of Figure 11: steps of the root of two over the range of its axis."""

TEACHER_STEPS = (64, 256, 1024, 4096)
"""Lengths of training in Figure 12: steps of four from the left end of its axis; the widest teacher of Figure 11
stands for the other end, which the paper has at 16384."""

STUDENT_WIDTHS = (128, 256, 362)
"""Students of both figures (App C.2)."""


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A teacher to be trained.

    Parameters
    ----------
    study : {"width", "steps"}
        The study it belongs to.
    width : int
        Units of each hidden layer.
    steps : int
        Length of training.
    seed : int
        The trial.
    """

    study: str
    width: int
    steps: int
    seed: int

    def name(self, recipe: Recipe) -> str:
        """Name its run.

        Parameters
        ----------
        recipe : Recipe
            What it is trained on.

        Returns
        -------
        str
            Such as ``teacher-512x1024-K16-easy0.5-s0``.
        """
        return f"teacher-{self.width}x{self.steps}-{_label(recipe)}-s{self.seed}"


def teachers(
    study: str,
    seeds: int,
    recipe: Recipe = RECIPE,
    *,
    widths: Sequence[int] = TEACHER_WIDTHS,
    lengths: Sequence[int] = TEACHER_STEPS,
) -> list[Teacher]:
    """List the teachers of a study, trial by trial.

    Parameters
    ----------
    study : {"width", "steps"}
        What differs between them.
    seeds : int
        Trials.
    recipe : Recipe
        How long the teachers of different width are trained.
    widths : sequence of int
        Teachers of the study ``"width"``.
    lengths : sequence of int
        Steps of the teachers of the study ``"steps"``.

    Returns
    -------
    list of Teacher
        In the order they are trained in.
    """
    if study == "width":
        ladder = [(width, recipe.steps(parameters(width, recipe))) for width in widths]
    else:
        ladder = [(mapping_record.WIDEST, steps) for steps in lengths]
    return [Teacher(study, width, steps, seed) for seed in range(seeds) for width, steps in ladder]


def run_mapping_study(
    path: Path | str | None = None,
    *,
    seeds: int = 4,
    students: Sequence[int] = STUDENT_WIDTHS,
    studies: Sequence[str] = tuple(mapping_record.STUDIES),
    widths: Sequence[int] = TEACHER_WIDTHS,
    lengths: Sequence[int] = TEACHER_STEPS,
    recipe: Recipe = RECIPE,
    cache: Path | str | None = None,
    command: str = "run_mapping_study",
    quiet: bool = False,
) -> pd.DataFrame:
    """Train what the record does not hold yet, on one thread, and add it row by row.

    Parameters
    ----------
    path : Path, str or None
        The record; the committed one by default.
    seeds : int
        Trials. Students of one width and trial start from equal weights and see equal inputs.
    students : sequence of int
        Widths of the students.
    studies : sequence of str
        ``"width"`` for Figure 11, ``"steps"`` for Figure 12.
    widths, lengths : sequence of int
        Teachers of either study.
    recipe : Recipe
        What is drawn, and how it is learned.
    cache : Path, str or None
        Where teachers are kept between commands; by default in the user's cache directory.
    command : str
        What the manifest calls this command.
    quiet : bool
        Report no progress.

    Returns
    -------
    pandas.DataFrame
        The record.

    Raises
    ------
    distill_lib.scaling.mapping_record.MappingRecordError
        If the record that is there is not valid, or a trained network does not repeat its row.
    """
    path = mapping_record.record_path() if path is None else Path(path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # equal sums on every machine, and no quarrel with others
    try:
        with lock_for(path.with_name(f".{path.name}")), Reporter(quiet) as reporter:
            study = _Study(path, recipe, cache_folder(cache), command, reporter)
            ladders = {"widths": widths, "lengths": lengths}
            wanted = [t for name in studies for t in teachers(name, seeds, recipe, **ladders)]
            reporter.begin(f"{len(wanted)} teachers", study.price(wanted, students))
            for teacher in wanted:
                study.teach(teacher, students)
    finally:
        torch.set_num_threads(threads)
    return mapping_record.read_mapping_runs(path)


class _Study:
    """The record being written."""

    def __init__(self, path: Path, recipe: Recipe, cache: Path, command: str, reporter: Reporter) -> None:
        self.path, self.recipe, self.cache, self.reporter = path, recipe, cache, reporter
        self.commit = provenance.commit()
        there = mapping_record.read_mapping_runs(path) if path.exists() else None
        self.losses: dict[str, float] = (
            {} if there is None else dict(zip(there["run"], there["L"], strict=True))
        )
        manifest = files.manifest_path(path)
        self.sweeps: list[dict[str, Any]] = (
            json.loads(manifest.read_text(encoding="utf-8"))["sweeps"] if manifest.exists() else []
        )
        if self.sweeps:  # rows that no command claims are of the last one, stopped between row and manifest
            claimed = {run for sweep in self.sweeps for run in sweep["runs"]}
            self.sweeps[-1]["runs"] += [run for run in self.losses if run not in claimed]
        self.sweeps.append(
            {
                "command": command,
                "commit": self.commit,
                "environment": provenance.environment(),
                "recipe": dataclasses.asdict(recipe),
                "runs": [],
            }
        )

    def price(self, wanted: Sequence[Teacher], students: Sequence[int]) -> float:
        """Estimate the multiplications to be done, for the progress bar."""
        total = 0.0
        for teacher in wanted:
            if teacher.name(self.recipe) not in self.losses:
                total += _cost(teacher.width, self.recipe) * teacher.steps
            for width in students:
                if self._student(width, teacher) not in self.losses:
                    total += _cost(width, self.recipe) * self._steps(width)
        return total

    def teach(self, teacher: Teacher, students: Sequence[int]) -> None:
        """Train a teacher and its students, as far as they are not on record."""
        missing = [width for width in students if self._student(width, teacher) not in self.losses]
        alone = [width for width in students if self._supervised(width, teacher.seed) not in self.losses]
        name = teacher.name(self.recipe)
        if name in self.losses and not missing and not alone:
            return
        network = self._trained(teacher)
        for width in alone:
            self._learn(width, self._supervised(width, teacher.seed), teacher.seed)
        for width in missing:
            self._learn(width, self._student(width, teacher), teacher.seed, teacher, network)

    def _trained(self, teacher: Teacher) -> nn.Sequential:
        """Train a teacher, or find it in the cache; either way it has to repeat the row that it has."""
        name = teacher.name(self.recipe)
        key = key_of(
            [dataclasses.asdict(self.recipe), name, code_hash(["mapping_problem.py"]), torch.__version__]
        )
        kept = self.cache / "mapping_problem" / f"{name}-{key}.pt"
        started = time.monotonic()
        if kept.exists():
            network = make_network(teacher.width, self.recipe, seed=0)
            network.load_state_dict(torch.load(kept, weights_only=True))
        else:
            network = train_teacher(
                teacher.width, self.recipe, seed=teacher.seed, steps=teacher.steps,
                progress=self._progress(teacher.width),
            )  # fmt: skip
            kept.parent.mkdir(parents=True, exist_ok=True)
            draft = kept.with_suffix(".part")
            torch.save(network.state_dict(), draft)
            draft.replace(kept)
        measures = measure(network, self.recipe)
        if name not in self.losses:
            row = {"role": "teacher", "study": teacher.study, "width": teacher.width, "steps": teacher.steps}
            self._write(name, row, teacher.seed, measures, time.monotonic() - started)
        elif abs(measures.L / self.losses[name] - 1.0) > 1e-6:
            raise mapping_record.MappingRecordError(
                f"{name}: the trained network has L = {measures.L!r}, its row {self.losses[name]!r}: another machine "
                "or version made it; write to another record"
            )
        return network

    def _learn(
        self,
        width: int,
        name: str,
        seed: int,
        teacher: Teacher | None = None,
        network: nn.Module | None = None,
    ) -> None:
        started = time.monotonic()
        student = train(width, self.recipe, seed=seed, teacher=network, progress=self._progress(width))
        measures = measure(student, self.recipe, teacher=network)
        row: dict[str, Any] = {"role": "supervised", "width": width, "steps": self._steps(width)}
        if teacher is not None:
            by = teacher.name(self.recipe)
            row |= {
                "role": "distilled", "study": teacher.study, "teacher_run": by, "teacher_width": teacher.width,
                "teacher_steps": teacher.steps, "L_T": self.losses[by],
            }  # fmt: skip
        self._write(name, row, seed, measures, time.monotonic() - started)

    def _write(self, name: str, row: dict[str, Any], seed: int, measures: Measures, seconds: float) -> None:
        recipe = dataclasses.asdict(self.recipe)
        del recipe["warmup"]
        if row["role"] != "distilled":
            recipe |= {"tau": None, "lam": None}
        row = {
            **row, **recipe, **dataclasses.asdict(measures), "run": name, "seed": seed, "device": "cpu",
            "N": parameters(row["width"], self.recipe), "samples": row["steps"] * self.recipe.batch,
            "seconds": round(seconds, 2), "commit": self.commit,
        }  # fmt: skip
        mapping_record.append_run(self.path, row)
        self.losses[name] = measures.L
        self.sweeps[-1]["runs"].append(name)
        files.write_manifest(self.path, {"sweeps": self.sweeps})
        self.reporter.say(f"{name}: L = {measures.L:.4f} nats, {seconds:.1f} s")

    def _progress(self, width: int) -> Any:
        cost = _cost(width, self.recipe)
        return lambda steps: self.reporter.advance(cost * steps)

    def _steps(self, width: int) -> int:
        return self.recipe.steps(parameters(width, self.recipe))

    def _student(self, width: int, teacher: Teacher) -> str:
        name = teacher.name(self.recipe).removeprefix("teacher-").partition("-")[0]
        return f"student-{width}-from-{name}-{_label(self.recipe)}-s{teacher.seed}"

    def _supervised(self, width: int, seed: int) -> str:
        return f"supervised-{width}-{_label(self.recipe)}-s{seed}"


def _label(recipe: Recipe) -> str:
    """Name what of a recipe differs from ours, after the two choices that matter most."""
    ours = dataclasses.asdict(RECIPE)
    others = {
        k: v for k, v in dataclasses.asdict(recipe).items() if v != ours[k] and k not in ("positions", "easy")
    }
    return f"K{recipe.positions}-easy{recipe.easy:g}" + "".join(f"-{k}{v:g}" for k, v in others.items())


def _cost(width: int, recipe: Recipe) -> float:
    """Multiplications of a training step."""
    return 6.0 * parameters(width, recipe) * recipe.batch


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and make the record.

    Parameters
    ----------
    argv : sequence of str, optional
        Words of the command line; those of this process by default.
    """
    parser = argparse.ArgumentParser(
        prog=mapping_record.COMMAND, description="Train the runs of Figures 11 and 12 and record them."
    )
    every = list(mapping_record.STUDIES)
    parser.add_argument("--out", type=Path, help="the record; the committed one by default")
    parser.add_argument("--seeds", type=int, default=4, help="trials (4)")
    parser.add_argument(
        "--studies", nargs="+", choices=every, default=every, help="what differs between teachers"
    )
    for option, default, what in (
        ("--students", STUDENT_WIDTHS, "widths of the students"),
        ("--teacher-widths", TEACHER_WIDTHS, "widths of the teachers of Figure 11"),
        ("--teacher-steps", TEACHER_STEPS, "lengths of training of the teachers of Figure 12"),
    ):
        parser.add_argument(option, type=int, nargs="+", default=default, help=what)
    parser.add_argument("--positions", type=int, default=RECIPE.positions, help="context values K (16)")
    parser.add_argument("--easy", type=float, default=RECIPE.easy, help="share of easy cases (0.5)")
    words = list(sys.argv[1:] if argv is None else argv)
    asked = parser.parse_args(words)
    table = run_mapping_study(
        asked.out,
        seeds=asked.seeds,
        studies=asked.studies,
        students=asked.students,
        widths=asked.teacher_widths,
        lengths=asked.teacher_steps,
        recipe=Recipe(positions=asked.positions, easy=asked.easy),
        command=" ".join([mapping_record.COMMAND, *words]),
    )
    print(f"{len(table)} networks on record")


if __name__ == "__main__":
    main()
