"""The training benchmark: its parts run, and the plain loop trains the same models as the sweep."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "--widths 16 --rung-tokens 2048 --teacher 16 --teacher-tokens 4096 --students 8 --seen 8 --tokens 4096 --seeds 1 "
    "--eval-tokens 2048 --repeats 1"
)


def printed(*arguments: str, warnings: str = "error") -> str:
    """Return what the benchmark prints."""
    command = [sys.executable, "-W", warnings, str(ROOT / "benchmarks" / "training.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_parts_run_and_both_ways_find_the_same_losses():
    said = printed(*TINY.split(), "--parts", "rungs", "logits", "truncated", "together", "grid")
    speed = r" +[\d.]+ k tokens/s, \d+% of peak"
    assert re.search(
        rf"d =  16, N =   6,\d{{3}}: by itself{speed}, four at once{speed}, plain loop{speed}", said
    )
    assert re.search(r"teacher d =  16: a pass +[\d.]+ us a token, building", said)
    assert "top-  8:    52 bytes a token against 1,024, read in" in said
    assert "grid of 3 runs, 16,384 tokens" in said
    apart = float(re.search(r"largest difference of a loss (\S+) of it", said).group(1))
    assert 0.0 <= apart < 1e-3


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_step_does_what_the_plain_one_does():
    tiny = "--parts compiled --widths 16 --compiled 1 --repeats 1 --together-steps 2"
    said = printed(*tiny.split(), warnings="default")  # the compiler itself warns of what PyTorch gives up
    assert re.search(
        r"d =  16, 1 at once: compiled [\d.]+ times as fast, \d+ s to compile, (never )?pays", said
    )
    assert float(re.search(r"logits after a step within (\S+)", said).group(1)) < 1e-3
