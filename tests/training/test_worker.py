"""A worker says why a run failed and what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from tiny import tiny_run

from distill_lib.scaling.specifications import ModelSpec
from distill_lib.training import worker
from distill_lib.training.corpus import Corpus
from distill_lib.training.model import Decoder
from distill_lib.training.worker import Task, Worker, reason


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("too much"),
        torch.OutOfMemoryError("CUDA out of memory.\nA second line"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: out of memory\nA second line"),
    ],
)
def test_lack_of_memory_is_named_with_what_to_lower(error: Exception):
    said = reason(error)
    assert said.startswith("out of memory")
    assert "lower batch_tokens" in said
    assert "\n" not in said


def test_lack_of_memory_is_found_behind_the_error_that_it_led_to():
    error = RuntimeError("CUDA error: operation failed due to a previous error during capture")
    error.__context__ = torch.OutOfMemoryError("CUDA out of memory.")
    assert reason(error).startswith("out of memory (OutOfMemoryError: CUDA out of memory.)")


def test_the_allocator_of_this_version_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert reason(caught.value).startswith("out of memory")


def test_a_full_disk_is_named_with_how_to_move_the_cache():
    said = reason(OSError(errno.ENOSPC, "No space left on device"))
    assert "disk of the cache is full" in said
    assert "DISTILL_LIB_CACHE" in said


def test_any_other_error_is_told_as_it_is():
    assert reason(KeyError("name")) == "KeyError: 'name'"
    assert reason(ValueError()) == "ValueError: "


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_teacher_logits_are_kept_on_a_cpu_alone(
    device: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker, "resolve_device", torch.device)
    teacher = tiny_run(split="teacher", model=ModelSpec(d_model=128, n_layers=2, seq_len=32))
    student = tiny_run().distilled_from(teacher)
    served = Worker(corpus, tmp_path, device, logit_bytes=10**9, save_every=30.0)
    task = Task(student, keep=False, measured=False, sharing=50)
    kept = served._kept_logits(task, Decoder(teacher.model))
    assert (kept is not None) == (device == "cpu")
