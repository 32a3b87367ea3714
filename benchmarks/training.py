"""How fast models are trained: against the machine's matrix products, and a grid against a plain loop.

Run it from the repository: ``python benchmarks/training.py``; about a quarter of an hour on two idle cores. Six parts:

- *rungs*: tokens per second in one thread at each width, of one run, of several at once and of the plain loop, and
  the share of the measured peak of matrix products that their counted FLOPs are;
- *logits*: what a pass of the teacher costs at each width, and what keeping its logits costs instead;
- *truncated*: what the likeliest tokens of a teacher cost a student of these alone, cut from all kept logits or
  kept as they are;
- *together*: processor time of a step by itself, and as one of several of one shape at once, supervised and with
  kept teacher logits, in turns;
- *compiled*: the same step with its passes under ``torch.compile``, how long that takes to compile, and after how many
  tokens it has paid for itself; it needs a C++ compiler;
- *grid*: a teacher and its students, as a sweep of two workers of one thread each, run by run and several at
  once, and by a loop as in a tutorial: PyTorch's default threads, logits of both models and ``kl_div``, the teacher asked at every step,
  AdamW and clipping by default, the loss logged at every step. Model, text, order and schedule are the same,
  and so the losses must be; the largest difference is printed. With ``--twins`` every student stands beside a
  supervised run of the same length, as in the protocols.

The grid is measured in wall time, since threads are part of it: nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from distill_lib.scaling.specifications import CorpusSpec, ModelSpec, RunSpec
from distill_lib.training.corpus import Corpus, open_corpus
from distill_lib.training.evaluation import evaluate
from distill_lib.training.kept_forms import AllLogits, KeptForm, LikeliestTokens
from distill_lib.training.logit_cache import LogitCache, half, worth_caching
from distill_lib.training.model import Decoder
from distill_lib.training.processes import WORKER_VARIABLES
from distill_lib.training.sharing import bytes_per_token
from distill_lib.training.sparse_teachers import top_k
from distill_lib.training.stack import Stack
from distill_lib.training.stack_steps import Group, advance
from distill_lib.training.sweep import run_sweep
from distill_lib.training.together import train_together
from distill_lib.training.trainer import rate, train

CORPUS = CorpusSpec(megabytes=3.0)


def least(work: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of a piece of work, s, after two warm-ups."""
    work(), work()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def peak(repeats: int) -> float:
    """Return FLOPs per second of a large matrix product in one thread."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return 2 * 1024**3 / least(lambda: a @ b, repeats)


def rungs(corpus: Corpus, widths: list[int], tokens: int, batch_tokens: int, repeats: int) -> None:
    """Print the speed of one run at each width, by itself, four at once and by the plain loop."""
    best = peak(repeats)
    print(f"matrix products, one thread: {best / 1e9:.0f} GFLOP/s")
    for d_model in widths:
        specs = [
            RunSpec(
                corpus=CORPUS,
                model=ModelSpec(d_model=d_model),
                D=tokens,
                batch_tokens=batch_tokens,
                eval_tokens=64,
                seed=seed,
            )
            for seed in range(4)
        ]
        ways: dict[str, tuple[int, Callable[[], object]]] = {
            "by itself": (1, lambda specs=specs: train(specs[0], corpus)),
            "four at once": (4, lambda specs=specs: train_together(specs, corpus)),
            "plain loop": (1, lambda specs=specs: plain_loop(specs[0], corpus, None)),
        }
        speed = {}
        for way, (runs, work) in ways.items():
            speed[way] = runs * tokens / least(work, repeats)
        shown = ", ".join(
            f"{way} {each / 1e3:6.1f} k tokens/s, {each * specs[0].flops / tokens / best:.0%} of peak"
            for way, each in speed.items()
        )
        print(f"d = {d_model:3d}, N = {specs[0].model.N:7,}: {shown}")


def logits(corpus: Corpus, widths: list[int], repeats: int) -> None:
    """Print what a teacher's pass over 256 windows costs, and what its kept logits do."""
    order = corpus.order("student", 64, 512 * 64, seed=0)
    for d_model in widths:
        teacher = Decoder(ModelSpec(d_model=d_model)).requires_grad_(False)

        def ask(teacher: Decoder = teacher) -> None:
            for first in range(0, 256, 16):
                window = torch.from_numpy(corpus.windows("student", order[first : first + 16], 64))
                half(teacher(window[:, :-1]))

        asked = least(ask, repeats)
        with tempfile.TemporaryDirectory() as folder:

            def kept(name: str, folder: str = folder, teacher: Decoder = teacher) -> LogitCache:
                return LogitCache(Path(folder), name, teacher, corpus, "student", 64)

            def build(kept: Callable[[str], LogitCache] = kept) -> None:
                build.count += 1
                kept(f"built-{build.count}").logits(order, 0, 16)

            def read(kept: Callable[[str], LogitCache] = kept) -> None:
                opened = kept("built-1")
                for first in range(0, 256, 16):
                    opened.logits(order, first, 16)

            build.count = 0
            built, taken = least(build, repeats), least(read, repeats)
        fewest = next((n for n in range(2, 100) if worth_caching(teacher.spec, n)), None)
        per = 1e6 / (256 * 64)  # s for a chunk to us per token
        print(
            f"teacher d = {d_model:3d}: a pass {asked * per:5.2f} us a token, building {built * per:5.2f}, "
            f"reading with the hash {taken * per:5.2f}; kept for {fewest} students or more"
        )


def truncated(corpus: Corpus, d_model: int, ks: list[int], repeats: int) -> None:
    """Print bytes and times of a truncated student's view of 256 windows, for each number of tokens seen."""
    order = corpus.order("student", 64, 512 * 64, seed=0)
    teacher = Decoder(ModelSpec(d_model=d_model)).requires_grad_(False)
    V, per = corpus.vocab_size, 1e6 / (256 * 64)
    with tempfile.TemporaryDirectory() as folder:

        def read(form: KeptForm, k: int | None = None) -> None:
            opened = LogitCache(Path(folder), "teacher", teacher, corpus, "student", 64, form=form)
            for first in range(0, 256, 16):
                seen = opened.logits(order, first, 16)
                if k is not None:
                    top_k(seen, k, missing="tail")

        for k in ks:
            kept = LikeliestTokens(V, k, 1.0, "tail")
            cut, taken = (
                least(lambda work=work: read(*work), repeats) for work in ((AllLogits(V), k), (kept,))
            )
            print(
                f"top-{k:3d}: {bytes_per_token(V, k):5,d} bytes a token against {bytes_per_token(V):,d}, "
                f"read in {taken * per:5.2f} us a token; cut from all logits, read and hash included: {cut * per:5.2f}"
            )


def together(corpus: Corpus, options: argparse.Namespace) -> None:
    """Print what a run's step takes by itself and in company."""
    for d_model in options.widths:
        model = ModelSpec(d_model=d_model)
        asked = RunSpec(corpus=CORPUS, model=ModelSpec(d_model=64), D=2**20, split="teacher")
        teacher = Decoder(asked.model).requires_grad_(False)
        for kind in ("supervised", "distilled"):
            specs = [
                RunSpec(
                    corpus=CORPUS,
                    model=model,
                    D=options.together_steps * options.batch_tokens,
                    batch_tokens=options.batch_tokens,
                    eval_tokens=64,
                    seed=seed,
                )
                for seed in range(max(options.at_once))
            ]
            with tempfile.TemporaryDirectory() as folder:
                kept: list[LogitCache | None] = [None] * len(specs)
                if kind == "distilled":
                    specs = [spec.distilled_from(asked) for spec in specs]
                    kept = [
                        LogitCache(Path(folder), f"s{spec.seed}", teacher, corpus, "student", 64)
                        for spec in specs
                    ]
                given = teacher if kind == "distilled" else None

                def alone(specs=specs, kept=kept, given=given) -> None:
                    train(specs[0], corpus, teacher=given, kept_logits=kept[0])

                def several(count: int, specs=specs, kept=kept, given=given) -> None:
                    train_together(specs[:count], corpus, teachers=[given] * count, kept_logits=kept[:count])

                works = {1: alone} | {n: functools.partial(several, n) for n in options.at_once}
                times: dict[int, list[float]] = {n: [] for n in works}
                for _ in range(options.repeats + 1):
                    for n, work in works.items():
                        started = time.process_time()
                        work()
                        times[n].append((time.process_time() - started) / n / options.together_steps)
            best = {n: min(each[1:]) for n, each in times.items()}
            shown = ", ".join(f"{n} at once {best[1] / best[n]:.2f}" for n in options.at_once)
            print(
                f"d = {d_model:3d}, {kind}: {best[1] * 1e3:5.2f} ms a step by itself; times as fast: {shown}"
            )


def compiled(folder: str, options: argparse.Namespace) -> None:
    """Print what compiling the passes of a step gains, and when it has paid for the compiling."""
    generator = torch.Generator().manual_seed(0)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # or an earlier compilation would be found again
    warnings.filterwarnings("ignore", "Torchinductor does not support code generation for complex")
    torch.compile(torch.sin)(torch.zeros(2))  # the first of a process takes longer
    for d_model, count in itertools.product(options.widths, options.compiled):
        specs = [
            RunSpec(corpus=CORPUS, model=ModelSpec(d_model=d_model), D=2**20, seed=seed)
            for seed in range(count)
        ]
        stacks = [Stack(specs, torch.device("cpu")) for _ in range(2)]
        torch.compiler.reset()
        stacks[1].forward = torch.compile(stacks[1].forward)  # type: ignore[method-assign]
        spec = specs[0].model
        shape = (count, options.batch_tokens // spec.seq_len, spec.seq_len + 1)
        windows = torch.randint(spec.vocab_size, shape, generator=generator)
        inputs = [windows, Stack.schedule([0.1] * count, [1] * count)]
        groups = [Group(specs[0], (), count, asks=False)]
        advance(stacks[0], groups, inputs)
        started = time.perf_counter()
        advance(stacks[1], groups, inputs)
        spent = time.perf_counter() - started
        said, same = (advance(stack, groups, inputs) for stack in stacks)
        apart = (said - same).abs().max()
        times: list[list[float]] = [[], []]
        for _ in range(options.repeats):
            for way, stack in enumerate(stacks):
                started = time.process_time()
                for _ in range(options.together_steps):
                    advance(stack, groups, inputs)
                times[way].append((time.process_time() - started) / options.together_steps)
        plain_step, step = map(min, times)
        tokens = count * options.batch_tokens / 1e6
        pays = (
            f"pays after {spent / (plain_step - step) * tokens:.1f} million tokens"
            if step < plain_step
            else "never pays"
        )
        print(
            f"d = {d_model:3d}, {count} at once: compiled {plain_step / step:.2f} times as fast, {spent:.0f} s to "
            f"compile, {pays}; logits after a step within {apart:.0e}",
            flush=True,
        )


def grid(options: argparse.Namespace) -> list[RunSpec]:
    """Return a teacher and the students that are distilled from it."""

    def run(d_model: int, D: int, **more) -> RunSpec:
        model = ModelSpec(d_model=d_model)
        sizes = {"batch_tokens": options.batch_tokens, "eval_tokens": options.eval_tokens}
        return RunSpec(corpus=CORPUS, model=model, D=D, **sizes, **more)

    teacher = run(options.teacher, options.teacher_tokens, split="teacher")
    twins = [
        run(d_model, options.tokens * times, seed=seed)
        for seed in range(options.seeds)
        for d_model in options.students
        for times in (1, 2)
    ]
    students = [twin.distilled_from(teacher) for twin in twins]
    return [teacher, *students, *(twins if options.twins else [])]


def plain_loop(spec: RunSpec, corpus: Corpus, teacher: Decoder | None) -> tuple[float, Decoder]:
    """Train one run as tutorials do; return its loss on held-out text and the model."""
    tokens, seq_len = corpus.tokens(spec.split), spec.model.seq_len
    model = Decoder(spec.model, seed=spec.seed)
    optimiser = torch.optim.AdamW(model.optimiser_groups(spec.lr), betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, spec))
    order = corpus.order(spec.split, seq_len, spec.D, spec.seed).reshape(spec.steps, -1)
    logged = []
    for index in order:
        starts = [int(number) * seq_len for number in index]
        x = torch.stack([torch.from_numpy(tokens[i : i + seq_len].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(tokens[i + 1 : i + 1 + seq_len].astype(np.int64)) for i in starts])
        scores = model(x).flatten(0, 1)
        if teacher is None:
            loss = F.cross_entropy(scores, y.flatten())
        else:
            with torch.no_grad():
                wanted = F.log_softmax(teacher(x).flatten(0, 1), dim=-1)
            loss = F.kl_div(F.log_softmax(scores, dim=-1), wanted, log_target=True, reduction="batchmean")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        logged.append(loss.item())
    return evaluate(model, corpus, spec.eval_tokens, teacher).L, model


def plain(options: argparse.Namespace) -> None:
    """Run the grid by the plain loop in this process, and print the losses as JSON."""
    corpus = open_corpus(CORPUS, options.plain)
    assert isinstance(corpus, Corpus)
    started = time.perf_counter()
    losses, teacher = {}, None
    for spec in grid(options):
        loss, model = plain_loop(spec, corpus, teacher if spec.teacher is not None else None)
        losses[spec.spec_hash] = loss
        teacher = teacher or model
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "losses": losses, "threads": torch.get_num_threads()}))


def compare(cache: str, options: argparse.Namespace) -> None:
    """Print how long the grid takes as a sweep and by the plain loop, and how far the losses are apart."""
    specs = grid(options)
    tokens = sum(spec.D for spec in specs)
    print(f"grid of {len(specs)} runs, {tokens:,} tokens, {options.batch_tokens} a step; two workers:")
    seconds, found = {}, {}
    for way, at_once in (("run by run", False), ("several at once", True)):
        started = time.perf_counter()
        table = run_sweep(
            specs, Path(cache) / f"{way}.csv", workers=2, cache=cache, quiet=True, together=at_once
        )
        seconds[way] = time.perf_counter() - started
        found[way] = dict(zip(table["spec_hash"], table["L"], strict=True))
        print(f"a sweep, {way}: {seconds[way]:.1f} s", flush=True)
    unset = {name: value for name, value in os.environ.items() if name not in WORKER_VARIABLES}
    command = [sys.executable, __file__, *sys.argv[1:], "--plain", cache]
    done = subprocess.run(command, env=unset, capture_output=True, text=True, check=True)
    other = json.loads(done.stdout.splitlines()[-1])
    print(f"plain loop, {other['threads']} threads: {other['seconds']:.1f} s")
    for way, ours in seconds.items():
        apart = max(abs(found[way][name] - loss) / loss for name, loss in other["losses"].items())
        print(f"{way}: ratio {other['seconds'] / ours:.2f}, largest difference of a loss {apart:.1e} of it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ["rungs", "logits", "truncated", "together", "compiled", "grid"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 24, 32, 48, 64])
    parser.add_argument("--rung-tokens", type=int, default=2**15)
    parser.add_argument("--teacher", type=int, default=64)
    parser.add_argument("--teacher-tokens", type=int, default=2**18)
    parser.add_argument("--students", type=int, nargs="+", default=[16, 24, 32])
    parser.add_argument(
        "--seen", type=int, nargs="+", default=[1, 8, 64], help="tokens of a truncated teacher"
    )
    parser.add_argument("--tokens", type=int, default=2**17, help="of the shorter half of the students")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--eval-tokens", type=int, default=2**15)
    parser.add_argument("--twins", action="store_true", help="a supervised run beside each student")
    parser.add_argument("--batch-tokens", type=int, default=512, help="a step, as in the preset mini")
    parser.add_argument("--at-once", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--compiled", type=int, nargs="+", default=[1, 4], help="models in a compiled step")
    parser.add_argument("--together-steps", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plain", metavar="CACHE", help="run the grid by the plain loop here and print JSON")
    options = parser.parse_args()
    if options.plain:
        plain(options)
        return
    if not WORKER_VARIABLES.items() <= os.environ.items():  # measure under the settings of a sweep's workers
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **WORKER_VARIABLES})
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        corpus = open_corpus(CORPUS, cache)
        assert isinstance(corpus, Corpus)
        if "rungs" in options.parts:
            rungs(corpus, options.widths, options.rung_tokens, options.batch_tokens, options.repeats)
        if "logits" in options.parts:
            logits(corpus, options.widths, options.repeats)
        if "truncated" in options.parts:
            truncated(corpus, options.teacher, options.seen, options.repeats)
        if "together" in options.parts:
            together(corpus, options)
        if "compiled" in options.parts:
            compiled(f"{cache}/inductor", options)
        if "grid" in options.parts:
            compare(cache, options)


if __name__ == "__main__":
    main()
