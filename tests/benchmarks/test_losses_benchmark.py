"""The loss benchmark: ours and a library's are measured alike, and what a library's value is, is found out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--tokens", "64", "--width", "8", "--vocabulary", "200", "--rounds", "2"]

# A stand-in for torchtune: a forward KL that is three times too large, and a reverse one with the teacher's entropy.
LOSSES = """
import torch
import torch.nn.functional as F

class ForwardKLLoss(torch.nn.Module):
    def forward(self, student, teacher, labels):
        log_p = torch.log_softmax(teacher, -1)
        return 3 * F.kl_div(torch.log_softmax(student, -1), log_p, log_target=True, reduction="batchmean")

class ReverseKLLoss(torch.nn.Module):
    def forward(self, student, teacher, labels):
        log_q, log_p = torch.log_softmax(student, -1), torch.log_softmax(teacher, -1)
        entropy = -(log_p.exp() * log_p).sum(-1).mean()
        return F.kl_div(log_p, log_q, log_target=True, reduction="batchmean") + entropy
"""


def run(*options: str, path: Path | None = None) -> str:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "losses.py"), *TINY, *options]
    places = [str(ROOT)] if path is None else [str(ROOT), str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_variants_are_measured_in_turns_and_what_is_absent_is_said(tmp_path: Path):
    said = run("--variants", "naive", "fused", "liger", "--python", str(tmp_path / "none"))
    assert "64 tokens, d = 8, vocabulary 200" in said
    assert "least of 2, in turns" in said
    assert said.count("\nliger: not measured: there is no") == 1
    for name in ("liger", "torchtune"):
        assert f"values of {name}: not measured: there is no" in said
    losses = dict(re.findall(r"^(naive|fused) .* loss ([\d.]+) ", said, re.MULTILINE))
    gradients = dict(re.findall(r"^(naive|fused) .*\|head gradient\| ([\d.]+)$", said, re.MULTILINE))
    for found in (losses, gradients):
        assert float(found["fused"]) == pytest.approx(float(found["naive"]), rel=1e-4)
    assert re.search(r"^twice the tokens, fused: peak \d+ MB", said, re.MULTILINE)


def test_a_librarys_value_is_told_from_the_divergence_it_is_named_after(tmp_path: Path):
    package = tmp_path / "torchtune"
    (package / "modules" / "loss").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('the whole package needs more than its losses')")
    (package / "modules" / "loss" / "kd_losses.py").write_text(LOSSES)
    (tmp_path / "torchtune-1.2.dist-info").mkdir()
    (tmp_path / "torchtune-1.2.dist-info" / "METADATA").write_text("Name: torchtune\nVersion: 1.2\n")
    said = run("--variants", "torchtune", path=tmp_path)
    assert re.search(r"^torchtune .* torchtune 1\.2$", said, re.MULTILINE)
    found = re.findall(
        r"^torchtune +(\w+) KL +value +([\d.]+) x .* \(off by ([+-][\d.]+) teacher.*gradient +([\d.]+) x",
        said,
        re.MULTILINE,
    )
    (forward, reverse) = ((name, *map(float, numbers)) for name, *numbers in found)
    assert forward[:2] == ("forward", 3.0)
    assert forward[3] == 3.0
    assert (reverse[0], *reverse[2:]) == ("reverse", 1.0, 1.0)
