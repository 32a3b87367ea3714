"""Gradients without a loss are those of the loss."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_run

from distill_lib.scaling.specifications import TruncationSpec
from distill_lib.training.logit_gradients import logit_gradient
from distill_lib.training.objectives import step_loss

MODELS, WINDOWS, LENGTH, VOCABULARY = 3, 2, 4, 16
SETTINGS = [
    {},
    {"lam": 0.5},
    {"lam": 0.25, "tau": 2.0},
    {"tau": 0.5},
    {"direction": "reverse", "tau": 2.0},
    {"direction": "jensen_shannon", "beta": 0.3, "lam": 0.5},
    {"truncation": TruncationSpec(keep="top_k", k=5, missing="tail")},
    {"truncation": TruncationSpec(keep="top_k", k=1, missing="renormalise"), "lam": 0.5},
]


def numbers(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(MODELS, WINDOWS, LENGTH, VOCABULARY, generator=generator) * 3


@pytest.mark.parametrize("settings", [None, *SETTINGS])
def test_each_model_gets_the_gradient_of_its_own_loss(settings: dict | None):
    spec = tiny_run()
    teacher = None
    if settings is not None:
        spec, teacher = spec.distilled_from(tiny_run(split="teacher"), **settings), numbers(1).half()
    labels = torch.randint(VOCABULARY, (MODELS, WINDOWS, LENGTH), generator=torch.Generator().manual_seed(2))
    logits = numbers(0).requires_grad_()
    found = logit_gradient(spec, logits, labels, teacher)
    assert not found.requires_grad
    for model in range(MODELS):
        own = logits.detach()[model].requires_grad_()
        loss = step_loss(spec, own, labels[model], None if teacher is None else teacher[model])
        (wanted,) = torch.autograd.grad(loss, own)
        torch.testing.assert_close(found[model], wanted, rtol=1e-5, atol=1e-8)


def test_an_excluded_token_is_pushed_down_and_nothing_is_infinite():
    spec = tiny_run().distilled_from(tiny_run(split="teacher"))
    logits, teacher = torch.zeros(1, 1, 1, 2), torch.tensor([0.0, -torch.inf]).view(1, 1, 1, 2)
    found = logit_gradient(spec, logits, torch.zeros(1, 1, 1, dtype=torch.int64), teacher)
    assert found.flatten().tolist() == [-0.5, 0.5]


def test_one_model_that_is_no_number_leaves_the_others_alone():
    spec = tiny_run().distilled_from(tiny_run(split="teacher"), lam=0.5)
    labels = torch.zeros(MODELS, WINDOWS, LENGTH, dtype=torch.int64)
    sound = logit_gradient(spec, numbers(0), labels, numbers(1))
    broken = numbers(0)
    broken[1] = torch.nan
    found = logit_gradient(spec, broken, labels, numbers(1))
    assert torch.equal(found[[0, 2]], sound[[0, 2]])
    assert found[1].isnan().all()


def test_half_precision_stays_half_precision():
    labels = torch.zeros(MODELS, WINDOWS, LENGTH, dtype=torch.int64)
    found = logit_gradient(tiny_run(), numbers(0).bfloat16(), labels, None)
    assert found.dtype == torch.bfloat16
    # Each row sums to zero up to the rounding of its numbers, of which none is larger than 1 / positions.
    assert found.float().sum(-1).abs().max() < 2**-8 * VOCABULARY / (WINDOWS * LENGTH)
