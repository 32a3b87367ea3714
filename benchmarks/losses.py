"""Time and memory of distillation losses, from hidden states to gradients, each in a process of its own.

Run it from the repository: ``OMP_NUM_THREADS=1 python benchmarks/losses.py``. Every variant starts from the
same hidden states and heads and ends with the gradients of the student's hidden states and head. Time is the
least processor time of the repeats, after one warm-up: other work on the machine disturbs it less than wall
time (both are printed). Memory is the growth of the resident set over what it was with the inputs in place,
sampled every two milliseconds during a first step; pages that the allocator frees and maps anew count once.
Liger's and torchtune's losses join when they can be imported; neither is a dependency.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lib.training.losses import fused_kd_loss
from distill_lib.training.sparse_teachers import top_k

K = 64
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def naive(hidden: Tensor, head: Tensor, teacher_hidden: Tensor, teacher_head: Tensor) -> Tensor:
    log_q = F.log_softmax(hidden @ head.T, -1)
    log_p = F.log_softmax(teacher_hidden @ teacher_head.T, -1)
    return F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")


def build(variant: str, inputs: Inputs) -> Callable[[], Tensor]:
    """Return the loss of a variant, with everything prepared that a training run prepares once."""
    hidden, head, teacher_hidden, teacher_head, labels = inputs
    name, _, size = variant.partition(":")
    chunk = int(size or 256)
    if name == "naive":
        return lambda: naive(*inputs[:4])
    if name == "compiled":
        compiled = torch.compile(naive)
        return lambda: compiled(*inputs[:4])
    if name == "cross-entropy":
        return lambda: F.cross_entropy(hidden @ head.T, labels)
    if name == "fused":
        return lambda: fused_kd_loss(hidden, head, (teacher_hidden, teacher_head), chunk=chunk)
    if name == "fused-ce":
        return lambda: fused_kd_loss(
            hidden, head, (teacher_hidden, teacher_head), labels, lam=0.0, chunk=chunk
        )
    if name == "cached-top-k":
        kept = [top_k(rows @ teacher_head.T, K, missing="tail") for rows in teacher_hidden.split(64)]
        parts = [torch.cat([getattr(each, part) for each in kept]) for part in ("ids", "logprobs", "tail")]
        cached = type(kept[0])(parts[0], parts[1], len(head), parts[2])
        return lambda: fused_kd_loss(hidden, head, cached, chunk=chunk)
    if name == "matmuls":
        return lambda: _Products.apply(*inputs[:4], chunk)
    if name == "liger":
        from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

        loss = LigerFusedLinearJSDLoss(
            weight_hard_loss=0.0, weight_soft_loss=1.0, beta=0.0, compiled=False, chunk_size=chunk
        )
        return lambda: loss(hidden, head, teacher_hidden, teacher_head, labels)
    if name == "torchtune":
        from torchtune.modules.loss import ForwardKLWithChunkedOutputLoss

        divided = ForwardKLWithChunkedOutputLoss(num_output_chunks=8)
        return lambda: divided(
            list((hidden @ head.T).chunk(8)), list((teacher_hidden @ teacher_head.T).chunk(8)), labels
        )
    raise SystemExit(f"unknown variant {variant!r}")


class _Products(torch.autograd.Function):
    """The four matrix products of any such loss, and nothing else: the floor of its time."""

    @staticmethod
    def forward(ctx, hidden, head, teacher_hidden, teacher_head, chunk):
        gradient, head_gradient = torch.empty_like(hidden), torch.zeros_like(head)
        for first in range(0, len(hidden), chunk):
            part = slice(first, first + chunk)
            z = hidden[part] @ head.T
            teacher_hidden[part] @ teacher_head.T
            gradient[part] = z @ head
            head_gradient.addmm_(z.T, hidden[part])
        ctx.save_for_backward(gradient, head_gradient)
        return hidden.new_zeros(())

    @staticmethod
    def backward(ctx, upstream):
        return *ctx.saved_tensors, None, None, None


def resident() -> int:
    """Bytes of memory that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measure(variant: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure one variant in this process."""
    torch.set_num_threads(arguments.threads)
    random = torch.Generator().manual_seed(0)
    n, d, V = arguments.tokens, arguments.width, arguments.vocabulary
    hidden, teacher_hidden = (torch.randn(n, d, generator=random) for _ in range(2))
    head, teacher_head = (torch.randn(V, d, generator=random) / d**0.5 for _ in range(2))
    labels = torch.randint(V, (n,), generator=random)
    leaves = (hidden.requires_grad_(), head.requires_grad_())
    loss = build(variant, (*leaves, teacher_hidden, teacher_head, labels))

    def step() -> float:
        for leaf in leaves:
            leaf.grad = None
        value = loss()
        value.backward()
        return value.item()

    if variant == "compiled":
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
    for _ in range(arguments.repeats):
        start = time.process_time(), time.perf_counter()
        step()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return {
        "loss": value,
        "cpu": min(cpu),
        "wall": min(wall),
        "MB": (peak - before) / 1e6,
        "gradient": head.grad.norm().item(),
    }


def in_a_fresh_process(variant: str, arguments: argparse.Namespace, **changes: int) -> dict[str, float] | str:
    """Run this file for one variant; an error is returned as its last line."""
    settings = vars(arguments) | changes
    options = [f"--{key}={settings[key]}" for key in ("tokens", "width", "vocabulary", "threads", "repeats")]
    done = subprocess.run(
        [sys.executable, __file__, "--one", variant, *options], capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else done.stderr.splitlines()[-1]


def report(arguments: argparse.Namespace) -> None:
    """Print a row for each variant, and the ratios that are aimed at."""
    variants = ["naive", "compiled", "cross-entropy", "matmuls"]
    variants += [f"fused:{chunk}" for chunk in arguments.chunks] + [
        "fused-ce",
        f"cached-top-k:{arguments.chunks[0]}",
    ]
    for name, module in (("liger:1024", "liger_kernel"), ("torchtune", "torchtune")):
        if importlib.util.find_spec(module):
            variants.append(name)
        else:
            print(f"{name}: {module} is not installed, left out")
    print(
        f"{arguments.tokens} tokens, d = {arguments.width}, vocabulary {arguments.vocabulary}, float32, "
        f"{arguments.threads} thread(s), torch {torch.__version__}; least of {arguments.repeats}"
    )
    rows: dict[str, dict[str, float]] = {}
    for variant in variants:
        row = in_a_fresh_process(variant, arguments)
        if isinstance(row, str):
            print(f"{variant:18s} failed: {row}")
            continue
        rows[variant] = row
        base = rows["naive"]
        print(
            f"{variant:18s} CPU {row['cpu']:6.2f} s ({row['cpu'] / base['cpu']:4.2f} x naive)  wall {row['wall']:6.2f} s"
            f"  peak {row['MB']:7.0f} MB ({row['MB'] / base['MB']:5.3f} x)  loss {row['loss']:.6f}"
            f"  |head gradient| {row['gradient']:.6f}",
            flush=True,
        )
    best = f"fused:{arguments.chunks[0]}"
    twice = in_a_fresh_process(best, arguments, tokens=2 * arguments.tokens, repeats=1)
    if isinstance(twice, dict):
        print(f"twice the tokens, {best}: peak {twice['MB']:.0f} MB ({twice['MB'] / rows[best]['MB']:.2f} x)")
    top, plain = rows[f"cached-top-k:{arguments.chunks[0]}"], rows["cross-entropy"]
    print(
        f"cached top-{K} against cross-entropy: CPU {top['cpu'] / plain['cpu']:.2f} x, peak {top['MB'] / plain['MB']:.2f} x"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=32000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--chunks", type=int, nargs="+", default=[256, 128, 512])
    parser.add_argument("--one", metavar="VARIANT", help="measure one variant here and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
    else:
        report(arguments)


if __name__ == "__main__":
    main()
