"""Each row of the page on conventions: a library's loss written out as it defines it, and the call that the page gives.

The page itself is read: its calls are carried out as they stand there.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from distill_lib.training.losses import kd_loss
from distill_lib.training.sparse_teachers import top_k

PAGE = (Path(__file__).resolve().parents[2] / "book" / "loss_conventions.md").read_text(encoding="utf-8")
K, V = 4, 12


def rows() -> dict[str, tuple[str, str]]:
    """Return the calls and the factors of the worked examples, by what stands in the first column."""
    table = PAGE.split("## Worked examples")[1]
    found = re.findall(r"^\| (.+?) \| `(.+)` \| (.+?) \|$", table, re.MULTILINE)
    return {there: (call, factor) for there, call, factor in found}


def logs(z: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    return (z / tau).log_softmax(-1)


def kl(log_q: torch.Tensor, log_p: torch.Tensor) -> torch.Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def jensen_shannon(student: torch.Tensor, teacher: torch.Tensor, tau: float, beta: float) -> torch.Tensor:
    log_q, log_p = logs(student, tau), logs(teacher, tau)
    log_m = torch.logsumexp(torch.stack([log_q + math.log(1 - beta), log_p + math.log(beta)]), 0)
    return beta * kl(log_m, log_p) + (1 - beta) * kl(log_m, log_q)


def cross_entropy(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return -(teacher.softmax(-1) * logs(student)).sum(-1).mean()


def cut(student: torch.Tensor, teacher: torch.Tensor, tau: float) -> tuple[torch.Tensor, torch.Tensor]:
    ids = teacher.topk(K).indices
    return logs(student, tau).gather(-1, ids), logs(teacher, tau).gather(-1, ids)


def zero(student: torch.Tensor, teacher: torch.Tensor, tau: float) -> torch.Tensor:
    log_q, log_p = cut(student, teacher, tau)
    return kl(log_q, log_p - log_p.logsumexp(-1, keepdim=True))


def ghost(student: torch.Tensor, teacher: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    both = [torch.cat([z, (1 - z.exp().sum(-1, keepdim=True)).log()], -1) for z in cut(student, teacher, tau)]
    return kl(*both)


THEIRS = [
    (
        "Liger: `weight_hard_loss=0.5",
        lambda S, T, y: 0.5 * F.cross_entropy(S, y) + 0.5 * kl(logs(S, 2.0), logs(T, 2.0)),
    ),
    ("Liger: `weight_hard_loss=0,", lambda S, T, y: jensen_shannon(S, T, 2.0, 0.1)),
    ("torchtune: `ForwardKLLoss`", lambda S, T, y: 0.7 * F.cross_entropy(S, y) + 0.3 * cross_entropy(S, T)),
    ("torchtune: `SymmetricKLLoss`", lambda S, T, y: 0.3 * cross_entropy(S, T) + 0.7 * kl(logs(T), logs(S))),
    ("TRL, generalised", lambda S, T, y: jensen_shannon(S, T, 1.0, 0.1)),
    (
        "DistillKit: `cross_entropy`",
        lambda S, T, y: (F.cross_entropy(S, y) + 3 * 2.0**2 * kl(logs(S, 2.0), logs(T, 2.0))) / (1 + 3),
    ),
    ("DistillKit: `kl` alone, `temperature", lambda S, T, y: 2.0**2 * zero(S, T, 2.0)),
    ("DistillKit: `kl` alone, top-k", lambda S, T, y: ghost(S, T)),
    (
        "ModelOpt for Megatron",
        lambda S, T, y: 0.2 * F.cross_entropy(S, y) + 0.8 * kl(logs(S, 2.0), logs(T, 2.0)),
    ),
    (
        "ModelOpt, `LogitsDistillationLoss",
        lambda S, T, y: 2.0**2 * kl(logs(S, 2.0), logs(T, 2.0)) / V,  # "mean" is over all entries
    ),
    ("Megatron-LM", lambda S, T, y: 0.2 * F.cross_entropy(S, y) + 0.8 * ghost(S, T)),
]


def test_every_row_of_the_page_is_tried():
    starts = [start for start, _ in THEIRS]
    assert (
        len(rows()) == len(starts) == PAGE.split("## Worked examples")[1].count("kd_loss(S") - 1
    )  # one calls twice
    assert all(any(there.startswith(start) for start in starts) for there in rows())


@pytest.mark.parametrize(("start", "theirs"), THEIRS, ids=[start for start, _ in THEIRS])
def test_the_call_on_the_page_has_the_gradient_of_the_librarys_loss(start: str, theirs):
    (call, factor) = next(row for there, row in rows().items() if there.startswith(start))
    random = torch.Generator().manual_seed(0)
    S, T = (2.0 * torch.randn(9, V, generator=random, dtype=torch.float64) for _ in range(2))
    S.requires_grad_()
    given = {"S": S, "T": T, "y": torch.arange(9), "k": K, "kd_loss": kd_loss, "top_k": top_k}
    ours = eval(call, given)
    times = 1 / V if factor.startswith("one over") else float(factor.strip("`"))
    expected = torch.autograd.grad(theirs(S, T, given["y"]), S)[0]
    torch.testing.assert_close(times * torch.autograd.grad(ours, S)[0], expected, rtol=1e-9, atol=1e-12)
