"""Time and memory of distillation losses, from hidden states to gradients, each in a process of its own.

Run it from the repository: ``OMP_NUM_THREADS=1 python benchmarks/losses.py``. Every variant starts from the
same hidden states and heads and ends with the gradients of the student's hidden states and head. Time is the
least processor time of all steps after the first one: other work on the machine disturbs it less than wall
time (both are printed). The variants take turns, ``--rounds`` times, so that a change of the machine's mood
meets all of them. Memory is the growth of the resident set over what it was with the inputs in place, sampled
every two milliseconds during a first step, the most of the rounds; pages that the allocator frees and maps
anew count once.

Liger's and torchtune's losses are measured in the Pythons that ``--python`` names; neither is a dependency,
and where one is not installed it is not measured. What their values are is printed beside: value and gradient
over those of the divergence that they are named after.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import loss_variants
import torch

SIZES = ("tokens", "width", "vocabulary", "threads", "repeats")
OURS = ("naive", "compiled", "cross-entropy", "matmuls", "fused", "fused-ce", "cached-top-k")
RIVALS = ("liger:256", "liger", "liger-compiled", "torchtune", "torchtune-chunked")


PAGE = os.sysconf("SC_PAGESIZE")


def resident() -> int:
    """Bytes of memory that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def measure(variant: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one variant in this process."""
    torch.set_num_threads(options.threads)
    random = torch.Generator().manual_seed(0)
    n, d, V = options.tokens, options.width, options.vocabulary
    hidden, teacher_hidden = (torch.randn(n, d, generator=random) for _ in range(2))
    head, teacher_head = (torch.randn(V, d, generator=random) / d**0.5 for _ in range(2))
    labels = torch.randint(V, (n,), generator=random)
    leaves = (hidden.requires_grad_(), head.requires_grad_())
    loss = loss_variants.build(variant, (*leaves, teacher_hidden, teacher_head, labels))

    def step() -> float:
        for leaf in leaves:
            leaf.grad = None
        value = loss()
        value.backward()
        return value.item()

    if "compiled" in variant:
        step()  # compilation is not the loss
        for leaf in leaves:
            leaf.grad = None
    ctypes.CDLL(None).malloc_trim(0)  # what preparation freed must not hide what the step takes
    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    value = step()
    peak = max(peak, resident())
    done.set()
    watcher.join()
    cpu, wall = [], []
    for _ in range(options.repeats):
        start = time.process_time(), time.perf_counter()
        step()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return {
        "loss": value,
        "cpu": min(cpu),
        "wall": min(wall),
        "MB": max(peak - before, PAGE) / 1e6,  # less cannot be told
        "gradient": head.grad.norm().item(),
        "whose": loss_variants.whose(variant),
    }


def ask(python: str, question: list[str]) -> Any:
    """Run this file in a process of its own; what went wrong comes back as one line of text."""
    if shutil.which(python) is None:
        return f"there is no {python}"
    environment = dict(os.environ)
    if python != sys.executable:
        environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, __file__, *question], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    return (done.stderr.strip().splitlines() or ["no answer"])[-1]


def ask_any(pythons: list[str], question: list[str]) -> Any:
    """Return the first answer that is not an error, else all errors in one line."""
    why = []
    for python in pythons:
        answer = ask(python, question)
        if not isinstance(answer, str):
            return answer
        why.append(answer)
    return "; ".join(dict.fromkeys(why))


def question(variant: str, options: argparse.Namespace, **changes: int) -> list[str]:
    settings = vars(options) | changes
    return ["--one", variant, *(f"--{key}={settings[key]}" for key in SIZES)]


def rounds(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure all variants in turns; those that fail are told once and left out."""
    rows: dict[str, dict[str, Any]] = {}
    failed: set[str] = set()
    for _ in range(options.rounds):
        for variant in options.variants:
            if variant in failed:
                continue
            pythons = options.python if variant.startswith(("liger", "torchtune")) else [sys.executable]
            row = ask_any(pythons, question(variant, options))
            if isinstance(row, str):
                print(f"{variant}: not measured: {row}", flush=True)
                failed.add(variant)
            elif variant in rows:
                best = rows[variant]
                best |= {key: min(best[key], row[key]) for key in ("cpu", "wall")}
                best["MB"] = max(best["MB"], row["MB"])
            else:
                rows[variant] = row
    return rows


def report(options: argparse.Namespace) -> None:
    """Print a row for each variant, and the ratios that are aimed at."""
    print(
        f"{options.tokens} tokens, d = {options.width}, vocabulary {options.vocabulary}, float32, "
        f"{options.threads} thread(s), torch {torch.__version__}; least of "
        f"{options.rounds * options.repeats}, in turns",
        flush=True,
    )
    rows = rounds(options)
    for variant, row in rows.items():
        ratios = {
            key: row[key] / rows["naive"][key] if "naive" in rows else float("nan") for key in ("cpu", "MB")
        }
        print(
            f"{variant:18s} CPU {row['cpu']:6.2f} s ({ratios['cpu']:4.2f} x naive)  wall {row['wall']:6.2f} s"
            f"  peak {row['MB']:7.0f} MB ({ratios['MB']:5.3f} x)  loss {row['loss']:.6f}"
            f"  |head gradient| {row['gradient']:.6f}  {row['whose']}".rstrip(),
            flush=True,
        )
    if "fused" in rows:
        twice = ask(sys.executable, question("fused", options, tokens=2 * options.tokens))
        print(
            f"twice the tokens, fused: peak {twice['MB']:.0f} MB ({twice['MB'] / rows['fused']['MB']:.2f} x)"
        )
    if {"cached-top-k", "cross-entropy"} <= set(rows):
        top, plain = rows["cached-top-k"], rows["cross-entropy"]
        print(
            f"cached top-{loss_variants.K} against cross-entropy: CPU {top['cpu'] / plain['cpu']:.2f} x, "
            f"peak {top['MB'] / plain['MB']:.2f} x"
        )


def tell_conventions(options: argparse.Namespace) -> None:
    """Print what the libraries' values are, against the divergences they are named after."""
    for library in ("liger", "torchtune"):
        rows = ask_any(options.python, ["--values", library])
        if isinstance(rows, str):
            print(f"values of {library}: not measured: {rows}")
            continue
        for row in rows:
            print(
                f"{library:10s} {row['name']:22s} value {row['factor']:7.4f} x the divergence "
                f"(off by {row['excess']:+.4f} teacher entropies), gradient {row['gradient']:7.4f} x"
                f"{', turned' if row['turned'] > 1e-5 else ''}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--tokens", type=int, default=4096)
    add("--width", type=int, default=256)
    add("--vocabulary", type=int, default=32000)
    add("--threads", type=int, default=1)
    add("--repeats", type=int, default=1, help="timed steps of a variant in each round")
    add("--rounds", type=int, default=3, help="turns that each variant gets")
    add(
        "--variants",
        nargs="+",
        default=[*OURS, *RIVALS],
        help="what to measure; NAME:SIZE sets the tokens of a chunk (torchtune-chunked: how many chunks)",
    )
    add("--python", nargs="+", default=[sys.executable], help="Pythons in which to look for the libraries")
    add("--one", metavar="VARIANT", help="measure one variant here and print JSON")
    add("--values", metavar="LIBRARY", help="compare the values of one library here and print JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options)))
    elif options.values:
        print(json.dumps(loss_variants.conventions(options.values)))
    else:
        report(options)
        tell_conventions(options)


if __name__ == "__main__":
    main()
