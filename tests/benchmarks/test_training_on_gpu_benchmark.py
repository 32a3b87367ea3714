"""The benchmark of a GPU: it runs on a CPU as well, and says so where a GPU is wanted that is not there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "--widths 8 --small 8 --at-once 2 --teacher 8 --head-dim 8 --batch-tokens 256 --steps 8 --warm-up 1 "
    "--eval-tokens 1024 --product 64 --repeats 1"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "training_on_gpu.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
    ],
)
def test_rungs_and_runs_at_once_are_measured(device: str):
    done = run("--device", device, *TINY.split())
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert re.search(r"d =   8, N = +[\d,]+: +[\d.]+ k tokens/s, [\d.]+% of peak", said)
    for kind in ("supervised", "distilled"):
        assert re.search(rf"d =   8, {kind}: one at a time [\d.]+ k tokens/s", said)
    ways = re.findall(r"2 at once, (.+): [\d.]+ k tokens/s, [\d.]+ times as fast; losses (\S+) apart", said)
    assert [way for way, _ in ways] == 2 * (
        ["call by call", "replayed as graphs"] if device == "cuda" else ["call by call"]
    )
    assert all(0.0 <= float(apart) < (1e-3 if device == "cpu" else 1e-2) for _, apart in ways)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named():
    done = run()
    assert done.returncode == 2
    assert "device='cuda': PyTorch sees 0 GPUs here" in done.stderr
