"""Attention written out is attention, and so is its gradient."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from distill_lib.training.attention import attention

SHAPES = [(2, 3, 7, 4), (4, 2, 64, 8), (1, 1, 1, 2), (3, 5, 16, 16)]


def heads(shape: tuple[int, ...], **options) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    return [torch.randn(shape, generator=generator, **options).requires_grad_() for _ in range(4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_pytorch(shape: tuple[int, ...]):
    q, k, v, given = heads(shape)
    found = attention(q, k, v)
    wanted = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-6)
    for ours, theirs in zip(
        torch.autograd.grad(found, (q, k, v), given),
        torch.autograd.grad(wanted, (q, k, v), given),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=5e-6)


def test_gradients_are_those_of_finite_differences():
    q, k, v, _ = heads((2, 2, 5, 4), dtype=torch.float64)
    assert torch.autograd.gradcheck(attention, (q, k, v))


def test_the_future_is_not_looked_at():
    q, k, v, _ = heads((1, 2, 9, 4))
    changed = [part.detach().clone() for part in (q, k, v)]
    for part in changed:
        part[..., 5:, :] += 10.0
    assert torch.equal(attention(q, k, v)[..., :5, :], attention(*changed)[..., :5, :])


def test_heads_may_lie_in_any_order_in_memory():
    q, k, v, given = heads((2, 3, 8, 4))
    turned = [
        part.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_() for part in (q, k, v)
    ]
    other = given.detach().transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(attention(*turned), attention(q, k, v))
    for ours, theirs in zip(
        torch.autograd.grad(attention(*turned), turned, other),
        torch.autograd.grad(attention(q, k, v), (q, k, v), given),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
