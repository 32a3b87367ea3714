"""The device that is wished for, and the precision that it works in."""

from __future__ import annotations

import pytest
import torch

from distill_lib.training.devices import half_precision, resolve_device


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"


def test_a_cpu_works_in_single_precision():
    a = torch.ones(2, 2)
    with half_precision(torch.device("cpu")):
        assert (a @ a).dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_works_in_bfloat16():
    a = torch.ones(2, 2, device="cuda")
    with half_precision(a.device):
        assert (a @ a).dtype == torch.bfloat16


def test_a_device_that_is_not_there_is_named_with_what_to_take(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device='cuda:1': PyTorch finds no GPU here: take 'cpu' or 'auto'"):
        resolve_device("cuda:1")
    with pytest.raises(ValueError, match=r"device='cudaa': take 'cpu', 'cuda' or 'auto'"):
        resolve_device("cudaa")
