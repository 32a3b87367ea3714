"""Work on a GPU as one graph: told to it once, call by call, and from then on done again at a single call.

A step of a small model is a hundred short calls, and a GPU is done with each before the next one is told. What
is replayed reads its numbers from where they lay when it was captured, so they are copied there; it must
ask for no number in between, take no decision by one, and bring nothing from the CPU.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_WARM_UPS = 3  # as PyTorch's documentation has it: libraries set themselves up in the first calls


class Replay:
    """Work that was captured, to be done again on other numbers.

    Parameters
    ----------
    work : callable
        What to do with tensors on a GPU; it returns one that keeps no graph of autograd alive, since that would
        tie the weights to the stream on which it was warmed up.
    inputs : sequence of Tensor
        Numbers such as it will be given, in shape and type.
    state : sequence of Tensor
        What it changes in place; unchanged by the capture.
    """

    def __init__(
        self, work: Callable[..., Tensor], inputs: Sequence[Tensor], state: Sequence[Tensor]
    ) -> None:
        # Laid out as they come: the kernels that were captured know no other strides.
        self._inputs = [given.clone() for given in inputs]
        self._graph = torch.cuda.CUDAGraph()
        before = [tensor.clone() for tensor in state]
        with torch.cuda.device(self._inputs[0].device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):
                    work(*self._inputs)
            torch.cuda.current_stream().wait_stream(aside)
            for tensor, kept in zip(state, before, strict=True):
                tensor.copy_(kept)
            with torch.cuda.graph(self._graph):
                self._output = work(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Do the work on these numbers.

        Parameters
        ----------
        *inputs : Tensor
            Numbers of the same shapes and types.

        Returns
        -------
        Tensor
            What the work returns; the next call overwrites it.
        """
        for place, given in zip(self._inputs, inputs, strict=True):
            place.copy_(given)
        self._graph.replay()
        return self._output
