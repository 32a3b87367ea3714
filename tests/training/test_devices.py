"""The device that is wished for, and the precision that it works in."""

from __future__ import annotations

from pathlib import Path

import pytest
import stand_in
import torch
from company import COMPANY, TEACHER, assert_same_bits, teachers_of
from tiny import tiny_run

from distill_lib.scaling.specifications import ModelSpec
from distill_lib.training import logit_cache, stack_steps, together, trainer
from distill_lib.training.corpus import Corpus
from distill_lib.training.devices import half_precision, resolve_device, send
from distill_lib.training.model import Decoder
from distill_lib.training.objectives import step_loss
from distill_lib.training.together import train_together
from distill_lib.training.trainer import train


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cuda:1").index == 1
    with pytest.raises(ValueError, match=r"device='cuda:2': PyTorch sees 2 GPUs here.*; take \"cpu\""):
        resolve_device("cuda:2")


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, corpus: Corpus):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for run in (train, lambda spec, *more, **options: train_together([spec], *more, **options)):
        with pytest.raises(ValueError, match=r"device='cuda': PyTorch sees 0 GPUs here.*; take \"cpu\""):
            run(tiny_run(), corpus, device="cuda")


@pytest.mark.parametrize("device", ["mps", "meta", "gpu", ""])
def test_other_devices_are_refused(device: str):
    with pytest.raises(ValueError, match=f'device=\'{device}\' must be "cpu", "cuda"'):
        resolve_device(device)


def test_a_cpu_works_in_single_precision():
    a = torch.ones(2, 2)
    with half_precision(torch.device("cpu")):
        assert (a @ a).dtype == torch.float32


def test_numbers_stay_where_they_are():
    values = torch.arange(3)
    assert send(values, torch.device("cpu")) is values


def test_the_stand_in_keeps_to_the_lists_of_a_gpu():
    """Autocast has kernels of its own for what it casts; for complex numbers it has one on a CPU alone."""
    for name in {**stand_in.IN_HALF, **stand_in.IN_FULL}.values():
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "AutocastCUDA"), name
    for name in ("view_as_complex", "embedding", "silu", "relu"):
        assert not torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "AutocastCUDA"), name
    assert torch._C._dispatch_has_kernel_for_dispatch_key("aten::view_as_complex", "AutocastCPU")


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (trainer, together, stack_steps, logit_cache):
        monkeypatch.setattr(module, "half_precision", stand_in.half_precision)


@pytest.mark.parametrize(
    "model",
    [
        ModelSpec(d_model=16, seq_len=32),
        ModelSpec(d_model=16, seq_len=32, qk_norm=True, mlp="gated"),
        ModelSpec(d_model=32, seq_len=32, head_dim=16),
    ],
    ids=["plain", "qk_norm, gated", "wide heads"],
)
def test_models_work_in_bfloat16_with_weights_and_losses_in_float32(model: ModelSpec):
    decoder = Decoder(model, seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        decoder.head.weight.normal_(0.0, 0.2, generator=generator)
    tokens = torch.randint(512, (4, 33), generator=generator)
    spec = tiny_run(model=model)

    def step() -> tuple[torch.Tensor, torch.Tensor]:
        decoder.zero_grad()
        logits = decoder(tokens[:, :-1])
        loss = step_loss(spec, logits, tokens[:, 1:], None)
        loss.backward()
        return logits, loss.detach()

    _, exact = step()
    gradients = [weight.grad.clone() for weight in decoder.parameters()]
    with stand_in.half_precision(torch.device("cpu")):
        logits, loss = step()
    assert logits.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=2e-3)
    assert loss.item() != exact.item()
    for gradient, weight in zip(gradients, decoder.parameters(), strict=True):
        assert weight.dtype == weight.grad.dtype == torch.float32
        assert (weight.grad - gradient).norm() < 0.03 * gradient.norm()


def test_runs_in_bfloat16_learn_what_runs_in_float32_learn(
    corpus: Corpus, as_on_a_gpu: None, graphs: list[stand_in.Graph]
):
    """One by one, at once, and at once as graphs."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (trainer, together, stack_steps, logit_cache):
            patch.setattr(module, "half_precision", half_precision)
        teacher = train(TEACHER, corpus)
        specs = [*COMPANY[:2], *COMPANY[3:6], COMPANY[7]]
        given = teachers_of(specs, teacher)
        exact = [train(spec, corpus, teacher=each) for spec, each in zip(specs, given, strict=True)]
    ways = {
        "one by one": [train(spec, corpus, teacher=each) for spec, each in zip(specs, given, strict=True)],
        "at once": train_together(specs, corpus, teachers=given),
        "as graphs": train_together(specs[:3], corpus, teachers=given[:3], graphs=True),
    }
    assert graphs
    for found in ways.values():
        for one, right in zip(found, exact, strict=False):
            assert one.evaluation is not None
            assert one.evaluation.L == pytest.approx(right.evaluation.L, rel=3e-3)
            assert one.evaluation.L != right.evaluation.L
            assert all(weight.dtype == torch.float32 for weight in one.model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_works_in_bfloat16():
    a = torch.ones(2, 2, device="cuda")
    with half_precision(a.device):
        assert (a @ a).dtype == torch.bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_on_a_gpu_repeats_to_the_bit_and_goes_on_to_it(corpus: Corpus, tmp_path: Path):
    teacher = train(TEACHER, corpus, device="cuda")
    spec = tiny_run(D=2**14).distilled_from(TEACHER, lam=0.5)
    whole = train(spec, corpus, teacher=teacher.model, device="cuda")
    assert whole.device.startswith("cuda (")
    state, seen = tmp_path / "run.state", []

    def stop(tokens: int) -> None:
        seen.append(tokens)
        if sum(seen) >= spec.D // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, corpus, teacher=teacher.model, device="cuda", report=stop, state=state, save_every=0.0)
    assert state.exists()
    resumed = train(spec, corpus, teacher=teacher.model, device="cuda", state=state)
    assert_same_bits(whole, resumed)
    assert whole.evaluation.L == pytest.approx(
        train(spec, corpus, teacher=train(TEACHER, corpus).model).evaluation.L, rel=1e-2
    )
