"""How much memory a computation holds at once, counted from its tensors: exact, and the same on every machine.

Counted are the storages of tensors that operations hand out, from the moment they appear until nothing refers
to them any more, in the forward pass and in the backward pass. Scratch space inside one operation, and
what an allocator keeps in reserve, is not.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def peak_bytes(run: Callable[..., Any], *inputs: Tensor, given: Iterable[Tensor] = ()) -> int:
    """Count the bytes of tensors alive at once, at most, while something runs.

    Parameters
    ----------
    run : callable
        What to run, with the inputs as arguments.
    *inputs : Tensor
        Its arguments; they were there before and are not counted.
    given : iterable of Tensor
        Further tensors that were there before.

    Returns
    -------
    int
        Bytes over those that were there before.
    """
    count = _Count([*inputs, *given])
    with count:
        run(*inputs)
    return count.peak


class _Count(TorchDispatchMode):
    """Follow the storages of all results of operations."""

    def __init__(self, given: list[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()
        self._given = [each.untyped_storage() for each in given]
        self._alive.update(storage.data_ptr() for storage in self._given)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            address = storage.data_ptr()
            if address not in self._alive and storage.nbytes():
                self._alive.add(address)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._forget, address, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return result

    def _forget(self, address: int, size: int) -> None:
        self._alive.discard(address)
        self.now -= size


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for each in result:
            yield from _tensors(each)
