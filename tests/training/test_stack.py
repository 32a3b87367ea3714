"""Stacked models are the models that they stack: logits, gradients, AdamW."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_run

from distill_lib.scaling.specifications import ModelSpec, RunSpec
from distill_lib.training.model import Decoder
from distill_lib.training.stack import Stack

CPU = torch.device("cpu")
SHAPES = [
    {"d_model": 8, "n_layers": 1},
    {"d_model": 24, "n_layers": 2, "qk_norm": True},
    {"d_model": 16, "n_layers": 3, "mlp": "gated", "head_dim": 4, "mup": False},
    {"d_model": 8, "vocab_size": 513},  # rows whose length is no multiple of anything
]


def runs(count: int = 3, *, shape: dict | None = None, **options) -> list[RunSpec]:
    given = {"seq_len": 16} | (SHAPES[0] if shape is None else shape)
    model = ModelSpec(**given)
    if model.vocab_size != 512:
        options["corpus"] = tiny_run().corpus.model_copy(update={"vocab_size": model.vocab_size})
    return [tiny_run(model=model, seed=seed, **options) for seed in range(count)]


def windows(specs: list[RunSpec], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(specs[0].model.vocab_size, (len(specs), 2, 16), generator=generator)


def disturbed(specs: list[RunSpec]) -> tuple[Stack, list[Decoder]]:
    """Stack models whose heads are not zero any more, and give them one by one as well."""
    stack = Stack(specs, CPU)
    with torch.no_grad():
        for weight in stack.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.ndim))
    return stack, [stack.model(row) for row in range(len(specs))]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stack_begins_as_its_models_do(shape: dict):
    specs = runs(shape=shape)
    stack = Stack(specs, CPU)
    for row, spec in enumerate(specs):
        for one, other in zip(
            stack.model(row).parameters(), Decoder(spec.model, seed=spec.seed).parameters(), strict=True
        ):
            assert torch.equal(one, other)


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_and_gradients_are_those_of_each_model(shape: dict):
    specs = runs(shape=shape)
    stack, models = disturbed(specs)
    tokens = windows(specs)
    logits = stack(tokens)
    gradient = torch.randn(logits.shape, generator=torch.Generator().manual_seed(9))
    stack.backward(logits, gradient)
    for row, model in enumerate(models):
        wanted = model(tokens[row])
        torch.testing.assert_close(logits[row], wanted, rtol=1e-4, atol=1e-5)
        wanted.backward(gradient[row])
        for name, weight in model.named_parameters():
            found = stack._part(stack.gradients, name)[row]
            torch.testing.assert_close(found, weight.grad, rtol=1e-4, atol=1e-4, msg=name)


def test_updates_are_those_of_clipping_and_adamw():
    specs = runs(lr=2e-2, weight_decay=0.1)
    specs = [*specs[:2], specs[2].model_copy(update={"lr": 5e-3, "weight_decay": 0.0})]
    stack, models = disturbed(specs)
    optimisers = [
        torch.optim.AdamW(model.optimiser_groups(spec.lr, spec.weight_decay), betas=(0.9, 0.95))
        for spec, model in zip(specs, models, strict=True)
    ]
    peaks = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
    for step in range(1, 6):
        tokens = windows(specs, seed=step)
        shares = [0.1 * step, 1.0, 0.5]
        logits = stack(tokens)
        # Gradients of very different lengths: that of the first model is clipped, that of the last is not.
        scales = torch.tensor([10.0, 1.0, 1e-3])
        gradient = torch.randn(logits.shape, generator=torch.Generator().manual_seed(step)) / 50
        stack.backward(logits, gradient * scales[:, None, None, None])
        stack.update(stack.schedule(shares, [step] * 3))
        for row, (model, optimiser) in enumerate(zip(models, optimisers, strict=True)):
            optimiser.zero_grad()
            model(tokens[row]).backward(gradient[row] * scales[row])
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group, peak in zip(optimiser.param_groups, peaks[row], strict=True):
                group["lr"] = peak * shares[row]
            optimiser.step()
    for row, model in enumerate(models):
        for (name, wanted), found in zip(
            model.named_parameters(), stack.model(row).parameters(), strict=True
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4, msg=name)


def test_models_that_stay_go_on_as_if_nothing_had_happened():
    specs = runs()
    stack, _ = disturbed(specs)
    whole = Stack(specs, CPU)
    for row in range(3):
        whole.load_state(row, stack.state(row))
    for step in range(1, 4):
        tokens = windows(specs, seed=step)
        gradient = torch.randn(3, 2, 16, 512, generator=torch.Generator().manual_seed(step))
        rows = [0, 1, 2] if step == 1 else [0, 2]
        if step == 2:
            stack.keep(rows)
        for each, chosen in ((whole, [0, 1, 2]), (stack, rows)):
            each.backward(each(tokens[chosen]), gradient[chosen])
            each.update(each.schedule([0.5] * len(chosen), [step] * len(chosen)))
    assert len(stack) == 2
    for row, before in enumerate([0, 2]):
        for name, wanted in whole.state(before).items():
            torch.testing.assert_close(stack.state(row)[name], wanted, rtol=1e-4, atol=1e-6, msg=name)


def test_models_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="different shapes"):
        Stack([*runs(1), *runs(1, shape=SHAPES[1])], CPU)
