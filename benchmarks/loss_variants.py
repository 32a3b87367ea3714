"""The losses that ``losses.py`` measures: ours, plain ones, and those of Liger and of torchtune.

Each variant is asked for by name, and only what it needs is imported: the libraries need not be in the Python
that has this project, nor this project in theirs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

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
    if name == "naive":
        return lambda: naive(*inputs[:4])
    if name == "compiled":
        compiled = torch.compile(naive)
        return lambda: compiled(*inputs[:4])
    if name == "cross-entropy":
        return lambda: F.cross_entropy(hidden @ head.T, labels)
    if name == "matmuls":
        return lambda: _Products.apply(*inputs[:4], int(size or 256))
    if name in ("liger", "liger-compiled"):
        from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

        loss = LigerFusedLinearJSDLoss(
            weight_hard_loss=0.0,
            weight_soft_loss=1.0,
            beta=0.0,
            compiled=name == "liger-compiled",
            chunk_size=int(size or 1024),
        )
        return lambda: loss(hidden, head, teacher_hidden, teacher_head, labels)
    if name == "torchtune":
        whole = torchtune_losses().ForwardKLLoss()
        return lambda: whole(hidden @ head.T, teacher_hidden @ teacher_head.T, labels)
    if name == "torchtune-chunked":
        n = int(size or 8)
        divided = torchtune_losses().ForwardKLWithChunkedOutputLoss(num_output_chunks=n)
        # The recipe cuts the hidden states of a batch and applies the head to each piece.
        return lambda: divided(
            [part @ head.T for part in hidden[None].chunk(n, dim=1)],
            [part @ teacher_head.T for part in teacher_hidden[None].chunk(n, dim=1)],
            labels[None],
        )
    return _ours(name, inputs, int(size or 256))


def _ours(name: str, inputs: Inputs, chunk: int) -> Callable[[], Tensor]:
    from distill_lib.training.losses import fused_kd_loss
    from distill_lib.training.sparse_teachers import SparseTeacher, top_k

    hidden, head, teacher_hidden, teacher_head, labels = inputs
    teacher = teacher_hidden, teacher_head
    if name == "fused":
        return lambda: fused_kd_loss(hidden, head, teacher, chunk=chunk)
    if name == "fused-ce":
        return lambda: fused_kd_loss(hidden, head, teacher, labels, lam=0.0, chunk=chunk)
    if name == "cached-top-k":
        kept = [top_k(rows @ teacher_head.T, K, missing="tail") for rows in teacher_hidden.split(64)]
        ids, logprobs, tail = (
            torch.cat([getattr(each, part) for each in kept]) for part in ("ids", "logprobs", "tail")
        )
        cached = SparseTeacher(ids, logprobs, len(head), tail)
        return lambda: fused_kd_loss(hidden, head, cached, chunk=chunk)
    raise SystemExit(f"unknown variant {name!r}")


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


def torchtune_losses() -> Any:
    """Load torchtune's file of distillation losses alone.

    It needs torch and nothing else, while the whole package needs a torchao that recent releases of torch no
    longer go with.
    """
    package = importlib.util.find_spec("torchtune")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'torchtune'")
    path = Path(package.origin).with_name("modules") / "loss" / "kd_losses.py"
    found = importlib.util.spec_from_file_location("torchtune_kd_losses", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def whose(variant: str) -> str:
    """Return the library that a variant is from, with its version where it is not ours."""
    for library, package in (("liger", "liger-kernel"), ("torchtune", "torchtune")):
        if variant.startswith(library):
            return f"{package} {version(package)}"
    return ""


# ------------------------------------------------------------------ what the values mean


def divergence(student: Tensor, teacher: Tensor, tau: float, beta: float) -> Tensor:
    """Generalised Jensen-Shannon divergence by its definition; its ends are the two KL divergences."""
    log_q, log_p = torch.log_softmax(student / tau, -1), torch.log_softmax(teacher / tau, -1)
    if beta == 0.0:
        return (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    if beta == 1.0:
        return (log_q.exp() * (log_q - log_p)).sum(-1).mean()
    log_m = (beta * log_p.exp() + (1 - beta) * log_q.exp()).log()
    both = beta * log_p.exp() * (log_p - log_m) + (1 - beta) * log_q.exp() * (log_q - log_m)
    return both.sum(-1).mean()


def conventions(library: str) -> list[dict[str, Any]]:
    """Hold a library's values and gradients against the divergences they are named after, in float64.

    The gradient's factor leaves out tau^2, which the libraries leave to the user.
    """
    random = torch.Generator().manual_seed(0)
    n, d, V = 64, 16, 1000
    hidden, teacher_hidden = (torch.randn(n, d, generator=random, dtype=torch.float64) for _ in range(2))
    head, teacher_head = (torch.randn(V, d, generator=random, dtype=torch.float64) for _ in range(2))
    labels = torch.randint(V, (n,), generator=random)
    hidden.requires_grad_()
    teacher_logits = teacher_hidden @ teacher_head.T
    log_p = torch.log_softmax(teacher_logits, -1)
    entropy = -(log_p.exp() * log_p).sum(-1).mean().item()
    rows = []
    for name, tau, beta, loss in _settings(
        library, head, teacher_hidden, teacher_head, teacher_logits, labels
    ):
        true = divergence(hidden @ head.T, teacher_logits, tau, beta)
        (slope,) = torch.autograd.grad(true, hidden)
        value = loss(hidden)
        (found,) = torch.autograd.grad(value, hidden)
        rows.append(
            {
                "name": name,
                "factor": value.item() / true.item(),
                "excess": (value.item() - true.item()) / entropy,
                "gradient": (found.norm() / slope.norm()).item(),
                "turned": 1.0 - F.cosine_similarity(found.flatten(), slope.flatten(), 0).item(),
            }
        )
    return rows


def _settings(library, head, teacher_hidden, teacher_head, teacher_logits, labels):
    if library == "liger":
        from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

        named = [("forward KL", 1.0, 0.0), ("reverse KL", 1.0, 1.0), ("Jensen-Shannon, 0.5", 1.0, 0.5)]
        for name, tau, beta in [*named, ("forward KL at tau = 2", 2.0, 0.0)]:
            loss = LigerFusedLinearJSDLoss(
                weight_hard_loss=0.0, weight_soft_loss=1.0, beta=beta, temperature=tau, compiled=False
            )
            yield (
                name,
                tau,
                beta,
                lambda hidden, loss=loss: loss(hidden, head, teacher_hidden, teacher_head, labels),
            )
        return
    losses = torchtune_losses()
    for name, beta, loss in (
        ("forward KL", 0.0, losses.ForwardKLLoss()),
        ("reverse KL", 1.0, losses.ReverseKLLoss()),
    ):
        yield (
            name,
            1.0,
            beta,
            lambda hidden, loss=loss: loss(hidden @ head.T, teacher_logits, labels),
        )
