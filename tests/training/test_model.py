"""The mini transformer: counts, causality, positions, and the learning rates of its groups."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from distill_lib.scaling.specifications import ModelSpec
from distill_lib.training.model import Decoder, rotary_table, rotate

SPECS = [
    ModelSpec(d_model=8, n_layers=1, seq_len=16, vocab_size=64),
    ModelSpec(d_model=24, n_layers=3, seq_len=16, vocab_size=100),
    ModelSpec(d_model=32, n_layers=2, head_dim=16, mlp="gated", seq_len=16, vocab_size=64),
    ModelSpec(d_model=16, n_layers=2, qk_norm=True, mup=False, seq_len=16, vocab_size=64),
    ModelSpec.dial(2, aspect_ratio=20, head_dim=10, d_ff_multiple=24, seq_len=16, vocab_size=50),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.mlp}-d{spec.d_model}")
def test_counted_parameters_are_the_models_parameters(spec: ModelSpec):
    model = Decoder(spec)
    counts = model.parameter_counts()
    assert sum(counts.values()) == sum(weight.numel() for weight in model.parameters())
    assert counts["non_embedding"] == spec.N
    assert sum(counts.values()) == spec.architecture.N_total


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.mlp}-d{spec.d_model}")
def test_every_parameter_is_in_one_optimiser_group(spec: ModelSpec):
    model = Decoder(spec)
    groups = model.optimiser_groups(lr=0.1, weight_decay=0.5)
    members = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(members) == sorted(id(weight) for weight in model.parameters())
    rate = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    inner = 0.1 if spec.mup is False else 0.1 * 32 / spec.d_model
    assert rate[id(model.head.weight)] == pytest.approx(inner)
    assert rate[id(model.blocks[0].up.weight)] == pytest.approx(inner)
    assert rate[id(model.embedding.weight)] == pytest.approx(0.1)
    assert rate[id(model.norm.weight)] == pytest.approx(0.1)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.mlp}-d{spec.d_model}")
def test_counted_flops_are_those_of_a_profiler_where_both_look(spec: ModelSpec):
    """The profiler sees matrix products alone: no norm, softmax or look-up. It counts attention in full, and only
    where it is made of products: the fused kernel of the CPU has no count there."""
    model, batch = random_head(spec), 3
    tokens = torch.randint(spec.vocab_size, (batch, spec.seq_len), generator=torch.Generator().manual_seed(0))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        logits = model(tokens)
        forward = counter.get_total_flops()
        logits.square().sum().backward()
    causal_half = 2 * spec.n_layers * spec.d_model * spec.seq_len
    softmax = 2.5 * spec.n_layers * spec.n_heads * spec.seq_len
    look_up = 2 * spec.d_model
    expected = spec.architecture.flops_forward + causal_half - softmax - look_up
    assert forward == pytest.approx(batch * spec.seq_len * expected, rel=1e-12)
    assert counter.get_total_flops() == 3 * forward  # a step of training costs three forward passes


def test_normalised_queries_and_keys_do_not_feel_their_scale():
    spec = ModelSpec(d_model=16, n_layers=1, qk_norm=True, seq_len=16, vocab_size=64)
    plain = ModelSpec(d_model=16, n_layers=1, seq_len=16, vocab_size=64)
    tokens = torch.arange(16)[None]
    for one, felt in ((spec, False), (plain, True)):
        model = random_head(one)
        before = model(tokens)
        with torch.no_grad():
            model.blocks[0].qkv.weight[:32] *= 3.0  # queries and keys, not values
        assert torch.allclose(before, model(tokens), atol=1e-3) is not felt


def random_head(spec: ModelSpec, seed: int = 0) -> Decoder:
    """Return a decoder whose head is not zero, as after training."""
    model = Decoder(spec, seed)
    with torch.no_grad():
        model.head.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.mlp}-d{spec.d_model}")
def test_no_position_sees_what_comes_after_it(spec: ModelSpec):
    model = random_head(spec)
    tokens = torch.randint(spec.vocab_size, (2, 16), generator=torch.Generator().manual_seed(1))
    changed = tokens.clone()
    changed[:, 9] = (changed[:, 9] + 1) % spec.vocab_size
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert (before[:, 9:] != after[:, 9:]).any(dim=-1).all()


def test_a_shorter_text_gives_the_same_logits():
    model = random_head(SPECS[1])
    tokens = torch.arange(16)[None] % 100
    torch.testing.assert_close(model(tokens)[:, :5], model(tokens[:, :5]))


def test_order_of_earlier_tokens_matters():
    model = random_head(SPECS[1])
    tokens = torch.tensor([[5, 6, 7, 8, 9]])
    swapped = torch.tensor([[6, 5, 7, 8, 9]])
    assert not torch.allclose(model(tokens)[:, -1], model(swapped)[:, -1])


def test_first_loss_is_that_of_a_blind_guess():
    logits = Decoder(SPECS[0])(torch.zeros(1, 16, dtype=torch.long))
    loss = torch.nn.functional.cross_entropy(logits[0], torch.arange(16))
    assert loss.item() == pytest.approx(math.log(64), rel=1e-6)


def test_seed_decides_the_weights():
    spec = SPECS[0]
    first, same, other = (Decoder(spec, seed).embedding.weight for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_rotation_keeps_lengths_and_depends_on_distance_alone():
    table = rotary_table(length=12, head_dim=6)
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 1, 6, generator=generator).expand(1, 12, 1, 6).contiguous() for _ in range(2))
    turned_q, turned_k = rotate(q, table), rotate(k, table)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1))
    products = turned_q[0, :, 0] @ turned_k[0, :, 0].T
    torch.testing.assert_close(products[3:, 1:-2].diagonal(), products[3, 1].expand(9))
    assert abs(products[3, 1] - products[3, 3]) > 1e-3


def sizes_after_steps(d_model: int, mup: bool | None) -> dict[str, float]:
    """Root mean squares of what a model computes after eight steps of AdamW at the base rate of the grids."""
    model = Decoder(ModelSpec(d_model=d_model, seq_len=16, vocab_size=64, mup=mup))
    tokens = torch.randint(64, (8, 17), generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.AdamW(model.optimiser_groups(1.6e-2), betas=(0.9, 0.95))
    for _ in range(8):
        logits = model(tokens[:, :-1]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seen: dict[str, float] = {}
    parts = {"qkv": model.blocks[0].qkv, "down": model.blocks[-1].down, "stream": model.blocks[-1]}
    for name, part in (parts | {"logits": model.head}).items():

        def look(module: torch.nn.Module, given: object, output: torch.Tensor, name: str = name) -> None:
            seen[name] = output.detach().square().mean().sqrt().item()

        part.register_forward_hook(look)
    model(tokens[:, :-1])
    return seen


def test_activations_keep_their_size_in_width_with_mup_alone():
    """The coordinate check of Yang et al. (2022): from d = 32 to 256, nothing grows by more than a quarter."""
    narrow, wide = (sizes_after_steps(d_model, None) for d_model in (32, 256))
    for name, size in narrow.items():
        assert 1 / 1.4 < wide[name] / size < 1.25, name
    narrow, wide = (sizes_after_steps(d_model, False) for d_model in (32, 256))
    assert wide["logits"] > 2 * narrow["logits"]
    assert wide["stream"] > 5 * narrow["stream"]
