"""Causal attention for small heads on a CPU, written out with its gradient.

A product of matrices is fast where its last axis is long. Heads of 8 leave two of the six products of
attention and its gradient with a last axis of 8; turned over, all of them have one of the length of the
window: at 64 positions forward and backward take two thirds of the time of the plain products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mix values causally; on a CPU and in full precision written out, else what PyTorch has for the device.

    Parameters
    ----------
    q, k, v : Tensor
        Queries, keys and values [B, H, T, head_dim].

    Returns
    -------
    Tensor
        Mixed values [B, H, T, head_dim].
    """
    if q.device.type != "cpu" or torch.bfloat16 in (q.dtype, v.dtype):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    rows = [part.reshape(-1, *part.shape[-2:]) for part in (q, k, v)]
    mixed: Tensor = _WrittenOut.apply(*rows)
    return mixed.view(q.shape)


class _WrittenOut(torch.autograd.Function):
    """Attention of one head a row: queries, keys and values [rows, T, head_dim]."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        length = q.shape[1]
        hidden = torch.full((length, length), -torch.inf, dtype=q.dtype).triu_(1)
        weights = torch.baddbmm(hidden, q, k.mT, alpha=q.shape[2] ** -0.5).softmax(-1)
        mixed = _long(v.mT, weights.mT)
        ctx.save_for_backward(q, k, v, weights, mixed)
        return mixed

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *given: Tensor) -> tuple[Tensor, ...]:
        q, k, v, weights, mixed = ctx.saved_tensors  # type: ignore[attr-defined]
        (gradient,) = given
        turned = gradient.mT.contiguous()
        # Softmax takes its weighted mean off each row's gradient, which is the gradient times what was mixed.
        mean = (gradient * mixed).sum(-1, keepdim=True)
        scores = torch.baddbmm(-mean, turned.mT, v.mT).mul_(weights)
        scale = q.shape[2] ** -0.5
        return _long(scale * k.mT, scores.mT), _long(scale * q.mT, scores), torch.bmm(turned, weights).mT


def _long(short: Tensor, square: Tensor) -> Tensor:
    """Multiply [rows, head_dim, T] by [rows, T, T]; the product as [rows, T, head_dim]."""
    return torch.bmm(short.contiguous(), square).mT
