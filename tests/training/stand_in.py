"""A stand-in for a GPU, on a CPU: its precision, and graphs that are captured and replayed.

What PyTorch does on a GPU by its own kernels is not tested by it; that the code keeps to the rules is: matrix
products in bfloat16 and no complex numbers of it, and in a capture nothing but work on tensors that stay where
they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

#: What autocast does in bfloat16 on a GPU, and what in float32, of all that models and losses call.
IN_HALF = {
    F.linear: "linear",
    torch.bmm: "bmm",
    torch.baddbmm: "baddbmm",
    torch.matmul: "matmul",
    Tensor.matmul: "matmul",
    Tensor.__matmul__: "matmul",
    F.scaled_dot_product_attention: "scaled_dot_product_attention",
}
IN_FULL = {
    F.rms_norm: "rms_norm",
    torch.rms_norm: "rms_norm",
    torch.softmax: "softmax.int",
    Tensor.softmax: "softmax.int",
    torch.log_softmax: "log_softmax.int",
    Tensor.log_softmax: "log_softmax.int",
    torch.logsumexp: "logsumexp",
    Tensor.logsumexp: "logsumexp",
    torch.exp: "exp",
    Tensor.exp: "exp",
    Tensor.sum: "sum.dim_IntList",
}


class HalfPrecision(TorchFunctionMode):
    """Autocast of a GPU, on a CPU: that of a CPU has other lists."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for functions, dtype in ((IN_HALF, torch.bfloat16), (IN_FULL, torch.float32)):
            if func in functions:
                args, kwargs = tree_map_only(
                    Tensor,
                    lambda each, dtype=dtype: each.to(dtype) if each.is_floating_point() else each,
                    (args, kwargs),
                )
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def half_precision(device: torch.device, *, cached: bool = True) -> Iterator[None]:
    """Stand for `devices.half_precision` on a GPU."""
    with HalfPrecision():
        yield


#: What asks the device for a number, or brings one from the CPU: an error while a GPU captures.
FORBIDDEN = (
    torch.ops.aten._local_scalar_dense,
    torch.ops.aten.nonzero,
    torch.ops.aten.masked_select,
    torch.ops.aten.equal,
    torch.ops.aten.lift_fresh,
    torch.ops.aten._pin_memory,
)


class Graph(TorchDispatchMode):
    """Stands for `torch.cuda.CUDAGraph`: remembers calls with their tensors, and makes them again."""

    made: ClassVar[list[Graph]] = []

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0
        self._born: set[int] = set()
        self._before: list[tuple[Tensor, Tensor]] = []
        Graph.made.append(self)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket in FORBIDDEN:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        if func.overloadpacket is torch.ops.aten.index and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        ):
            raise RuntimeError("operation not permitted when stream is capturing: a mask")
        for argument, value in zip(func._schema.arguments, args, strict=False):
            writes = argument.alias_info is not None and argument.alias_info.is_write
            if writes and value.untyped_storage().data_ptr() not in self._born:
                self._before.append((value, value.clone()))
        result = func(*args, **kwargs)
        given = {each.untyped_storage().data_ptr() for each in _tensors((args, kwargs))}
        self._born |= {each.untyped_storage().data_ptr() for each in _tensors(result)} - given
        self.calls.append((func, args, kwargs, result))
        return result

    def undo(self) -> None:
        """Give back what the calls changed, since a capture does nothing."""
        for tensor, before in reversed(self._before):
            tensor.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        """Make all calls again, on the tensors that they were made on; results go where they went."""
        self.replays += 1
        for func, args, kwargs, result in self.calls:
            again = _tensors(func(*args, **kwargs))
            for old, new in zip(_tensors(result), again, strict=True):
                if old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                    old.copy_(new)


def _tensors(values: Any) -> list[Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]


@contextlib.contextmanager
def capture(graph: Graph) -> Iterator[None]:
    """Stand for `torch.cuda.graph`."""
    with graph:
        yield
    with torch.no_grad():
        graph.undo()


class Stream:
    """Stands for a stream; on a CPU all is done in turn."""

    def wait_stream(self, other: Stream) -> None:
        """Wait for nothing."""
