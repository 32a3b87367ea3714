"""One step of a stack of models: told to the device call by call, or replayed by a GPU as one graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.devices import half_precision
from distill_lib.training.logit_gradients import has_closed_form, logit_gradient
from distill_lib.training.replay import Replay
from distill_lib.training.stack import Stack


@dataclass(frozen=True)
class Group:
    """Rows of a stack with one loss at this step, side by side.

    Attributes
    ----------
    spec : RunSpec
        The run of the first; what decides the loss is the same for all.
    settings : tuple
        What decides it.
    rows : int
        How many.
    asks : bool
        Whether their teachers are asked at this step.
    """

    spec: RunSpec
    settings: tuple[object, ...]
    rows: int
    asks: bool


def advance(stack: Stack, groups: Sequence[Group], inputs: Sequence[Tensor]) -> Tensor:
    """Make a step: all that a device does in it, without a word from the CPU.

    Parameters
    ----------
    stack : Stack
        The models; their weights are changed.
    groups : sequence of Group
        All rows of the stack, in their order.
    inputs : sequence of Tensor
        Windows [models, B, T + 1], the schedule of `Stack.update`, and for each group that asks what its
        teachers say [models, B, T, V].

    Returns
    -------
    Tensor
        Logits before the step [models, B, T, V], without a graph behind them.
    """
    windows, schedule, *heard = inputs
    tokens, labels = windows[..., :-1], windows[..., 1:]
    with half_precision(windows.device, cached=False):
        logits = stack(tokens)
    gradients, row, teachers = [], 0, iter(heard)
    for group in groups:
        rows = slice(row, row + group.rows)
        teacher_logits = next(teachers) if group.asks else None
        gradients.append(logit_gradient(group.spec, logits[rows], labels[rows], teacher_logits))
        row += group.rows
    stack.backward(logits, gradients[0] if len(gradients) == 1 else torch.cat(gradients))
    stack.update(schedule)
    return logits.detach()


class ReplayedSteps:
    """Steps by the graph that fits them now, captured when there is none."""

    def __init__(self) -> None:
        self._key: list[tuple[tuple[object, ...], int]] | None = None
        self._replay: Replay | None = None

    def forget(self) -> None:
        """Let go of the graph: the stack has other weights now."""
        self._key = self._replay = None

    def advance(self, stack: Stack, groups: Sequence[Group], inputs: Sequence[Tensor]) -> Tensor:
        """Make a step as `advance` does, by a graph unless autograd has a part in a gradient.

        Parameters
        ----------
        stack, groups, inputs
            As for `advance`.

        Returns
        -------
        Tensor
            Logits before the step [models, B, T, V]; the next step overwrites them.
        """
        if any(group.asks and not has_closed_form(group.spec) for group in groups):
            return advance(stack, groups, inputs)
        key = [(group.settings, group.rows) for group in groups]
        if self._replay is None or self._key != key:
            self.forget()  # first of all: its memory is wanted for the next
            self._replay = Replay(lambda *given: advance(stack, groups, given), inputs, stack.changing)
            self._key = key
        return self._replay(*inputs)
