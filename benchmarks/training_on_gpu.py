"""How fast a GPU trains: each rung against its matrix products, and many small models at once against one.

Run it from the repository: ``python benchmarks/training_on_gpu.py``; a few minutes. Three parts, all with the heads
and steps of the preset ``full``:

- *peak*: FLOPs per second of a large matrix product, in bfloat16 as models are trained there;
- *rungs*: tokens per second of one run at each width, evaluation left out, and the share of the peak that its
  counted FLOPs are;
- *together*: tokens per second of all runs, for one run at a time and for several at once, call by call and with
  each step replayed as one CUDA graph, its capture included; supervised, and with a teacher that is asked at each
  step. The largest difference between losses of one run, trained by itself and in company, stands behind.

Every time is taken after the same work was done once. ``--device cpu`` goes the same way in float32, without
graphs: to see that it runs, not how fast.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import torch

from distill_lib.scaling.specifications import CorpusSpec, ModelSpec, RunSpec
from distill_lib.training.corpus import Corpus, open_corpus
from distill_lib.training.devices import resolve_device
from distill_lib.training.model import Decoder
from distill_lib.training.together import train_together
from distill_lib.training.trainer import Training, train

CORPUS = CorpusSpec(megabytes=3.0)


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the least wall time of a piece of work, s, after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def peak(device: torch.device, size: int, repeats: int) -> float:
    """Return FLOPs per second of a large matrix product."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
    return 2 * size**3 / seconds(lambda: a @ b, device, repeats)


def specify(d_model: int, options: argparse.Namespace, steps: int, **more) -> RunSpec:
    """Return a run of some steps."""
    return RunSpec(
        corpus=CORPUS,
        model=ModelSpec(d_model=d_model, head_dim=options.head_dim),
        D=steps * options.batch_tokens,
        batch_tokens=options.batch_tokens,
        eval_tokens=options.eval_tokens,
        repeat=True,
        **more,
    )


def rungs(corpus: Corpus, options: argparse.Namespace, best: float) -> None:
    """Print the speed of one run at each width."""
    for d_model in options.widths:
        train(specify(d_model, options, options.warm_up), corpus, device=options.device)
        spec = specify(d_model, options, options.steps)
        speed = train(spec, corpus, device=options.device).tokens_per_s
        share = spec.flops / spec.D * speed / best
        print(
            f"d = {d_model:3d}, N = {spec.model.N:9,}: {speed / 1e3:8.1f} k tokens/s, {share:.2%} of peak",
            flush=True,
        )


def together(corpus: Corpus, options: argparse.Namespace, graphs: list[bool]) -> None:
    """Print the speed of many runs at each width, one at a time and at once."""
    asked = specify(options.teacher, options, options.steps, split="teacher")
    teacher = Decoder(asked.model)
    for d_model in options.small:
        for kind in ("supervised", "distilled"):

            def ready(steps: int, count: int, d_model: int = d_model, kind: str = kind) -> list[RunSpec]:
                runs = [specify(d_model, options, steps, seed=seed) for seed in range(count)]
                return [run.distilled_from(asked) for run in runs] if kind == "distilled" else runs

            given = teacher if kind == "distilled" else None

            def alone(steps: int, given=given, ready=ready) -> Training:
                return train(ready(steps, 1)[0], corpus, teacher=given, device=options.device)

            alone(options.warm_up)
            one = alone(options.steps)
            print(
                f"d = {d_model:3d}, {kind}: one at a time {one.tokens_per_s / 1e3:.1f} k tokens/s", flush=True
            )
            for count in options.at_once:
                for replayed in graphs:

                    def several(steps: int, count=count, replayed=replayed, given=given, ready=ready):
                        return train_together(
                            ready(steps, count),
                            corpus,
                            teachers=[given] * count,
                            device=options.device,
                            graphs=replayed,
                        )

                    several(options.warm_up)
                    found = several(options.steps)
                    # Each has an equal share of the time of a step: so the speed of one is that of all together.
                    speed = found[0].tokens_per_s
                    apart = abs(found[0].evaluation.L - one.evaluation.L) / one.evaluation.L
                    way = "replayed as graphs" if replayed else "call by call"
                    print(
                        f"    {count} at once, {way}: {speed / 1e3:.1f} k tokens/s, {speed / one.tokens_per_s:.1f} times as fast; "
                        f"losses {apart:.1e} apart",
                        flush=True,
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 96, 128, 192, 256, 512])
    parser.add_argument("--small", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--at-once", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--teacher", type=int, default=128)
    parser.add_argument("--head-dim", type=int, default=32)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--warm-up", type=int, default=16, help="steps")
    parser.add_argument("--eval-tokens", type=int, default=2**14)
    parser.add_argument("--product", type=int, default=8192, help="size of the matrix product")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    best = peak(device, options.product, options.repeats)
    print(f"{name}, PyTorch {torch.__version__}: matrix products {best / 1e12:.2f} TFLOP/s", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        corpus = open_corpus(CORPUS, cache)
        assert isinstance(corpus, Corpus)
        rungs(corpus, options, best)
        together(corpus, options, [False, True] if device.type == "cuda" else [False])


if __name__ == "__main__":
    main()
