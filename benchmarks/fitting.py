"""How fast laws are fitted, against the published way: L-BFGS-B with finite differences from a grid of starts.

Run it from the repository: ``python benchmarks/fitting.py``. One thread each. Times are processor times, so that other
work on the machine disturbs them less; the ratios are between times of one run. All 4,500 published starts are taken
unless ``--starts`` asks for a random share of them, whose time is then scaled up, and this is said. Packages are measured
in the Pythons that ``--python`` names; where one is not installed, it is not measured.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is imported

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import points
import published_way

from distill_lib.scaling import newton
from distill_lib.scaling.fits import DistillationFit, SupervisedFit
from distill_lib.scaling.fitting import fit_distillation_law, fit_supervised_law
from distill_lib.scaling.laws import SupervisedLaw, published_law

DELTA = 1e-3
PARTS = ("point", "bootstrap", "gamma", "distillation", "cost")

# Where random starts of the distillation law are drawn: a, b, p, q, gamma, c0, k, s, w of the search.
WIDE_LOW = np.array([-8.0, -8.0, 0.02, 0.02, 0.1, 0.0, -4.0, 0.5, 0.0])
WIDE_HIGH = np.array([3.0, 3.0, 1.5, 1.5, 3.0, 8.0, 4.0, 50.0, 2.0])


def timed(action: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Return the median processor time, in seconds, and the last result; once before, so that caches are warm."""
    times = []
    if repeats > 1:
        action()
    for _ in range(repeats):
        begin = time.process_time()
        result = action()
        times.append(time.process_time() - begin)
    return float(np.median(times)), result


def line(name: str, seconds: float, ours: float, text: str) -> None:
    print(f"  {name:<50} {1e3 * seconds:>12,.1f} ms {seconds / ours:>9,.1f} x  {text}", flush=True)


# ------------------------------------------------------------------ the Chinchilla form


def point(N, D, L, options: argparse.Namespace) -> None:
    """Measure one fit of the Chinchilla form."""
    print(f"\nChinchilla form, one fit (Huber {DELTA:g} on log loss, summed)")
    ours, fit = timed(lambda: fit_supervised_law(N, D, L, gamma=1.0, delta=DELTA), options.repeats)
    agree, starts = fit.starts_agreeing
    line(
        "fit_supervised_law",
        ours,
        ours,
        f"objective {fit.objective:.12g}; {agree} of {starts} starts reach it",
    )

    grid = published_way.grid_of_starts()
    chosen = grid
    if options.starts < len(grid):
        rows = np.random.default_rng(options.seed).choice(len(grid), options.starts, replace=False)
        chosen = grid[rows]
    found = published_way.search(chosen, N, D, L, np.ones(N.size), DELTA)
    relative = found.objective / fit.objective - 1.0
    how = "all" if len(chosen) == len(grid) else f"{len(chosen):,} random ones of"
    line(
        f"published way, {how} {len(grid):,} starts",
        found.seconds * len(grid) / len(chosen),
        ours,
        f"objective {relative.min():+.1e} of ours; {(relative < 1e-6).sum():,} of {len(chosen):,} starts within 1e-6",
    )
    for name, size in (("chinchilla", options.package_starts), ("simple-scaling-laws", 200)):
        answer = ask_package(name, size, options.python, {"N": N, "D": D, "L": L})
        if isinstance(answer, str):
            print(f"  {name:<50} not measured: {answer}")
            continue
        law = SupervisedLaw(**{key: answer[key] for key in published_way.NAMES})
        value = newton.huber_loss(np.log(law.loss(N, D) / L), DELTA).sum()
        line(
            f"{name} {answer['version']}, {answer['what']}",
            answer["seconds"],
            ours,
            f"objective {value / fit.objective - 1.0:+.1e} of ours",
        )


def ask_package(
    name: str, size: int, pythons: list[str], runs: dict[str, np.ndarray]
) -> dict[str, Any] | str:
    """Return what a package finds, or why it could not be asked."""
    script = str(Path(__file__).with_name("packages.py"))
    given = json.dumps({"delta": DELTA, **{key: values.tolist() for key, values in runs.items()}})
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    environment.pop("PYTHONPATH", None)
    why = []
    for python in pythons:
        if shutil.which(python) is None:
            why.append(f"there is no {python}")
            continue
        done = subprocess.run(
            [python, script, name, str(size)],
            input=given,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return dict(json.loads(done.stdout.splitlines()[-1]))
        why.append((done.stderr.strip().splitlines() or ["no answer"])[-1])
    return "; ".join(dict.fromkeys(why))


def bootstrap(N, D, L, what: str, options: argparse.Namespace) -> None:
    """Measure case bootstraps of the Chinchilla form, the same resamples for all ways."""
    draws, sample = options.draws, min(options.bootstraps, options.draws)
    print(f"\nChinchilla form, {draws:,} case bootstraps (numpy seed 42)")
    fit = fit_supervised_law(N, D, L, gamma=1.0, delta=DELTA)
    weights = points.case_weights(N.size, draws)
    ours, boot = timed(lambda: fit.bootstrap(weights=weights), min(3, options.repeats))
    line(
        "fit.bootstrap",
        ours,
        ours,
        f"{1e3 * ours / draws:.3f} ms each; {boot.converged.mean():.2%} converged",
    )

    # What fit.bootstrap does, once more for the objectives.
    mine = fit.problem.solve(
        np.repeat(fit.theta[None], sample, axis=0), weights=weights[:sample], scales=(0.25, 1.0)
    )
    start = np.repeat(published_way.start_at(fit.law.to_dict())[None], sample, axis=0)
    scaled = "" if sample == draws else f" ({sample:,} timed)"
    ways = {"ours": {name: boot.coefficients[name][:sample] for name in published_way.NAMES}}
    for way in published_way.WAYS:
        found = published_way.search(start, N, D, L, weights[:sample], DELTA, way)
        ways[way] = found.coefficients
        relative = found.objective / mine.objective - 1.0
        line(
            way + scaled,
            found.seconds * draws / sample,
            ours,
            f"{1e3 * found.seconds / sample:.1f} ms each; objective of ours {np.median(relative):+.0e} median, "
            f"{relative.max():+.0e} at most, {(relative < 1e-6).mean():.0%} within 1e-6, {(relative < -1e-9).sum()} lower",
        )
    print(f"  95 % intervals of {sample:,} resamples, and by how much their ends differ from ours")
    compare_intervals(ways)
    if what != "simulated":
        print(f"  95 % intervals of {draws:,} resamples: ours, and Epoch's as published")
        whole = {name: boot.coefficients[name] for name in published_way.NAMES}
        compare_intervals({"ours": whole, "Epoch": points.PUBLISHED_INTERVALS})


def compare_intervals(ways: dict[str, dict[str, Any]]) -> None:
    """Print intervals side by side; the 2.5 and 97.5 percentiles of draws, or given pairs are their own."""
    for name in published_way.NAMES:
        ends = [
            np.percentile(values[name], [2.5, 97.5]) if len(values[name]) > 2 else np.array(values[name])
            for values in ways.values()
        ]
        others = "".join(f"   {span(end)} ({np.abs(end / ends[0] - 1.0).max():.0e})" for end in ends[1:])
        print(f"    {name:<6} {span(ends[0])}{others}")


def span(ends: Any) -> str:
    digits = 4 if max(ends) < 1.0 else 3
    return f"{' .. '.join(f'{end:.{digits}f}' if end < 10 else f'{end:,.1f}' for end in ends):>18}"


def free_gamma(N, D, L, options: argparse.Namespace) -> None:
    """Measure the form with gamma free."""
    print("\nGamma free, one fit")
    ours, fit = timed(lambda: fit_supervised_law(N, D, L, gamma="free", delta=DELTA), options.repeats)
    agree, starts = fit.starts_agreeing
    line(
        "fit_supervised_law(gamma='free')",
        ours,
        ours,
        f"objective {fit.objective:.12g}; {agree} of {starts} starts reach it; gamma {fit.law.gamma:.4f}",
    )


# ------------------------------------------------------------------ the distillation law


def distillation(options: argparse.Namespace) -> None:
    """Measure the distillation law on simulated students."""
    law = published_law()
    students = points.simulated_students(law, options.students)
    print(f"\nDistillation law, {options.students} simulated students (Huber 1e-4)")
    ours, fit = timed(
        lambda: fit_distillation_law(*students, supervised=law.supervised, delta=1e-4),
        min(3, options.repeats),
    )
    agree, starts = fit.starts_agreeing
    line(
        "fit_distillation_law",
        ours,
        ours,
        f"objective {fit.objective:.12g}; {agree} of {starts} starts reach it",
    )
    print(f"  {fit.status}")
    from_random_starts(fit, ours, options)
    begin = time.perf_counter()
    seconds, boot = timed(lambda: fit.bootstrap(options.students_draws, seed=0))
    wall = time.perf_counter() - begin
    print(
        f"  {options.students_draws:,} bootstraps: {seconds:.1f} s of processor time, {wall:.1f} s on the clock, one core; "
        f"{1e3 * seconds / options.students_draws:.2f} ms each; {boot.converged.mean():.2%} converged"
    )


def from_random_starts(fit: DistillationFit, ours: float, options: argparse.Namespace) -> None:
    """Look for a lower end: from random starts with our solver, and with SciPy without our derivatives."""
    rng = np.random.default_rng(options.seed)
    starts = rng.uniform(WIDE_LOW, WIDE_HIGH, size=(options.random_starts, 9))
    seconds, found = timed(lambda: fit.problem.solve(starts))
    fewer = starts[: options.scipy_starts]
    scipy = published_way.search_distillation(fewer, fit)
    for name, took, ends in (
        (f"{len(starts):,} random starts, our solver", seconds, found.objective),
        (f"{len(fewer):,} random starts, L-BFGS-B", scipy.seconds, scipy.objective),
    ):
        relative = ends / fit.objective - 1.0
        line(
            name,
            took,
            ours,
            f"lowest {relative.min():+.1e} of ours; {(relative < 1e-6).sum():,} within 1e-6, "
            f"{(relative < 1e-3).sum():,} within 1e-3",
        )


# ------------------------------------------------------------------ how cost grows


def cost(options: argparse.Namespace) -> None:
    """Measure a fit by its points, and a bootstrap by its draws."""
    print("\nHow cost grows (Chinchilla form, simulated runs)")
    fit: SupervisedFit | None = None
    times = []
    for count in options.points:
        runs = points.simulated_runs(count)
        seconds, one = timed(
            lambda runs=runs: fit_supervised_law(*runs), options.repeats if count < 5_000 else 2
        )
        times.append(seconds)
        print(
            f"  {count:>7,} points   {1e3 * seconds:>9,.1f} ms   {one.starts_agreeing[0]} starts agree",
            flush=True,
        )
        fit = one if count == 240 or fit is None else fit
    print(f"  time grows as points^{power(options.points, times)}")
    times = []
    assert fit is not None
    for draws in options.bootstrap_draws:
        seconds, _ = timed(lambda draws=draws, fit=fit: fit.bootstrap(draws, seed=1))
        times.append(seconds)
        print(
            f"  {draws:>7,} bootstraps of {fit.residuals.size} points {1e3 * seconds:>9,.1f} ms", flush=True
        )
    print(f"  time grows as bootstraps^{power(options.bootstrap_draws, times)}")


def power(sizes: list[int], times: list[float]) -> str:
    """Return the power of growth overall and between the last two sizes."""
    logs = np.log(sizes), np.log(times)
    overall = np.polyfit(*logs, 1)[0]
    last = np.diff(logs[1])[-1] / np.diff(logs[0])[-1]
    return f"{overall:.2f} overall, {last:.2f} at the end"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    add("--starts", type=int, default=4500, help="published starts to take; fewer are drawn and scaled up")
    add("--draws", type=int, default=4000, help="bootstraps of the Chinchilla form")
    add("--bootstraps", type=int, default=200, help="of which the published way takes so many, scaled up")
    add("--python", nargs="+", default=[sys.executable], help="Pythons in which to look for the packages")
    add("--package-starts", type=int, default=1024, help="starts of the package chinchilla")
    add("--students", type=int, default=700, help="simulated students")
    add("--students-draws", type=int, default=4096, help="bootstraps of the distillation law")
    add("--random-starts", type=int, default=2000, help="random starts followed by our solver")
    add("--scipy-starts", type=int, default=100, help="random starts followed by L-BFGS-B")
    add("--points", nargs="+", type=int, default=[60, 120, 240, 480, 960, 10_000, 100_000])
    add("--bootstrap-draws", nargs="+", type=int, default=[250, 500, 1000, 2000, 4000, 8000])
    add("--repeats", type=int, default=9, help="repeats of short measurements, of which the median is told")
    add("--seed", type=int, default=0, help="of all that is drawn here")
    options = parser.parse_args()
    what, N, D, L = points.chinchilla_runs()
    print(f"{N.size} runs: {what}. Processor times, one thread; ratios are to our time.")
    if "point" in options.parts:
        point(N, D, L, options)
    if "bootstrap" in options.parts:
        bootstrap(N, D, L, what, options)
    if "gamma" in options.parts:
        free_gamma(N, D, L, options)
    if "distillation" in options.parts:
        distillation(options)
    if "cost" in options.parts:
        cost(options)


if __name__ == "__main__":
    main()
