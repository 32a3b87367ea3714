"""A worker says why a run failed and what to do about it."""

from __future__ import annotations

import errno

import pytest
import torch

from distill_lib.training.worker import reason


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
