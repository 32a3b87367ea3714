"""Bytes alive at once, against counts made by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from distill_lib.training.losses import fused_kd_loss
from distill_lib.training.tensor_memory import peak_bytes

KB = 4 * 256  # bytes of 256 float32


def test_what_is_dropped_counts_no_more():
    def run():
        a = torch.zeros(256)
        b = a + 1
        del a
        return b + 1

    assert peak_bytes(run) == 2 * KB


def test_views_changes_in_place_and_inputs_are_free():
    x = torch.ones(256)
    assert peak_bytes(lambda: x.view(16, 16)[3:].add_(1), given=(x,)) == 0
    assert peak_bytes(lambda: torch.add(x, 1, out=torch.empty(256)), given=(x,)) == KB


def test_a_product_of_operations_returning_several_tensors():
    x = torch.ones(256)
    assert peak_bytes(lambda y: y.topk(8), x) == 8 * 4 + 8 * 8


def test_the_graph_keeps_what_the_backward_pass_needs():
    x = torch.ones(256, requires_grad=True)

    def run(backward):
        y = x.exp().exp().sum()
        if backward:
            y.backward()

    # Both exponentials are kept; the backward pass adds one gradient of their size at a time.
    forward, both = peak_bytes(lambda: run(False), given=(x,)), peak_bytes(lambda: run(True), given=(x,))
    assert forward == 2 * KB + 4
    assert 3 * KB <= both <= 3 * KB + 8


def test_the_fused_loss_does_not_grow_with_tokens_as_the_plain_one_does():
    V, d = 512, 8
    random = torch.Generator().manual_seed(0)
    heads = [torch.randn(V, d, generator=random, requires_grad=first) for first in (True, False)]
    grown = {}
    for tokens in (64, 256):
        hidden = [torch.randn(tokens, d, generator=random, requires_grad=first) for first in (True, False)]
        given = (*hidden, *heads)

        def plain(hidden=hidden):
            log_q, log_p = ((h @ w.T).log_softmax(-1) for h, w in zip(hidden, heads, strict=True))
            F.kl_div(log_q, log_p, log_target=True, reduction="batchmean").backward()

        def fused(hidden=hidden):
            fused_kd_loss(hidden[0], heads[0], (hidden[1], heads[1]), chunk=32).backward()

        grown[tokens] = [peak_bytes(run, given=given) for run in (plain, fused)]
    assert grown[256][0] > 3.5 * grown[64][0]
    assert grown[256][1] < 1.2 * grown[64][1]
    assert grown[256][0] > 4 * 256 * V * 4, "at least four tables of logits at once"
