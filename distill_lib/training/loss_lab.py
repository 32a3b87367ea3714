"""Losses on vocabularies small enough to see: what each objective asks of a student, found by descending it.

A student is a table of logits, one row per context. Left free it can equal any teacher, and its optimum shows
what an objective leaves open; held to a low rank (one set of token directions shared by all contexts, as an
output head shares them) it must compromise, and its optimum shows what an objective prefers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from distill_lib.training.losses import kd_loss
from distill_lib.training.sparse_teachers import top_k

Objective = Callable[[Tensor], Tensor]

_FLAT = 1e-9  # gradient below which a minimum counts as found


def two_peaked_teacher(
    contexts: int = 6, vocab_size: int = 10, *, height: float = 4.0, roughness: float = 0.5, seed: int = 0
) -> Tensor:
    """Make a teacher with two likely tokens in each context, and a rough floor below them.

    Parameters
    ----------
    contexts : int
        Number of contexts, 1 at least.
    vocab_size : int
        Tokens, 3 at least.
    height : float
        How far the logits of the two likely tokens stand above the others, on average.
    roughness : float
        Standard deviation of all logits about that.
    seed : int
        Seed of the places of the peaks and of the roughness.

    Returns
    -------
    Tensor
        Logits [contexts, vocab_size], float64.

    Raises
    ------
    ValueError
        For too few contexts or tokens.
    """
    if contexts < 1 or vocab_size < 3:
        raise ValueError(
            f"contexts={contexts}, vocab_size={vocab_size}: give 1 context and 3 tokens at least, so that "
            "two likely tokens leave an unlikely one"
        )
    random = torch.Generator().manual_seed(seed)
    logits = roughness * torch.randn(contexts, vocab_size, generator=random, dtype=torch.float64)
    for row in logits:
        row[torch.randperm(vocab_size, generator=random)[:2]] += height
    return logits


@dataclass(frozen=True)
class Minimum:
    """Where the descent of an objective ended.

    Attributes
    ----------
    logits : Tensor
        The student's logits there.
    loss : float
        The objective there, nats per token.
    gradient : float
        Largest entry of the gradient with respect to what was free; well above zero means that the search
        ended before a minimum, or that there is none: an objective may fall forever as logits grow.
    """

    logits: Tensor
    loss: float
    gradient: float


def minimise(
    objective: Objective,
    shape: tuple[int, int],
    *,
    rank: int | None = None,
    start: Tensor | None = None,
    tries: int = 1,
    steps: int = 400,
    seed: int = 0,
) -> Minimum:
    """Find the student's logits at which an objective is least, by a quasi-Newton descent (L-BFGS) in float64.

    Parameters
    ----------
    objective : callable
        Takes logits [contexts, V], returns a scalar.
    shape : tuple of int
        Contexts and tokens.
    rank : int or None
        Rank of the logits; None leaves them free.
    start : Tensor or None
        Logits to begin from, for free ones; zeros if None. Low-rank students begin at random.
    tries : int
        Random beginnings of a low-rank student, the best of which is returned.
    steps : int
        Steps of the descent at most.
    seed : int
        Seed of the random beginnings.

    Returns
    -------
    Minimum
        The best end found.

    Raises
    ------
    ValueError
        For a rank or a number of tries out of range, or a start that does not fit.
    """
    if rank is not None and not 1 <= rank <= min(shape):
        raise ValueError(f"rank={rank} must lie from 1 to {min(shape)}, the smaller side of the logits")
    if tries < 1:
        raise ValueError(f"tries={tries} must be 1 at least")
    if start is not None and (rank is not None or start.shape != shape):
        raise ValueError(f"start has shape {list(start.shape)}; give {list(shape)}, and no rank")
    if rank is None:
        begin = torch.zeros(shape, dtype=torch.float64) if start is None else start.double()
        return _lbfgs(objective, [begin], lambda parts: parts[0], steps)
    random = torch.Generator().manual_seed(seed)
    ends = []
    for _ in range(tries):
        factors = [torch.randn(n, rank, generator=random, dtype=torch.float64) for n in shape]
        ends.append(_lbfgs(objective, factors, lambda parts: parts[0] @ parts[1].T, steps))
    return min(ends, key=lambda end: end.loss)


def _lbfgs(
    objective: Objective, begin: list[Tensor], logits: Callable[[list[Tensor]], Tensor], steps: int
) -> Minimum:
    free = [part.clone().requires_grad_() for part in begin]
    search = torch.optim.LBFGS(
        free, max_iter=steps, tolerance_grad=_FLAT, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        search.zero_grad()
        loss = objective(logits(free))
        loss.backward()
        return loss.item()

    search.step(closure)
    loss = closure()
    steepest = max(float(part.grad.abs().max()) for part in free if part.grad is not None)
    with torch.no_grad():
        return Minimum(logits(free).clone(), loss, steepest)


def descend(objective: Objective, start: Tensor, *, rate: float, steps: int) -> Tensor:
    """Follow plain gradient descent from given logits and keep the whole path, as a training log would.

    Parameters
    ----------
    objective : callable
        Takes logits, returns a scalar.
    start : Tensor
        Logits to begin from.
    rate : float
        Step size.
    steps : int
        Number of steps.

    Returns
    -------
    Tensor
        The logits before each step and after the last, [steps + 1, ...].
    """
    logits = start.detach().clone().requires_grad_()
    path = [logits.detach().clone()]
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(objective(logits), logits)
        with torch.no_grad():
            logits -= rate * gradient
        path.append(logits.detach().clone())
    return torch.stack(path)


def finite_differences(objective: Objective, logits: Tensor, *, step: float = 1e-5) -> Tensor:
    """Estimate a gradient by moving each logit a little up and a little down: slow, and free of any theory.

    Parameters
    ----------
    objective : callable
        Takes logits, returns a scalar.
    logits : Tensor
        Where; taken to float64, in which the error is of the order of the step squared.
    step : float
        How far to move.

    Returns
    -------
    Tensor
        The gradient, of the shape of the logits, float64.
    """
    centre = logits.detach().double()
    gradient = centre.new_zeros(centre.numel())
    for index in range(centre.numel()):
        move = torch.zeros_like(gradient)
        move[index] = step
        move = move.reshape(centre.shape)
        gradient[index] = (objective(centre + move) - objective(centre - move)) / (2.0 * step)
    return gradient.reshape(centre.shape)


def truncated_objectives(teacher_logits: Tensor, k: int) -> dict[str, Objective]:
    """List what is minimised in practice when a teacher's k likeliest tokens are all that is kept.

    Parameters
    ----------
    teacher_logits : Tensor
        Teacher logits [contexts, V].
    k : int
        Tokens kept in each context.

    Returns
    -------
    dict
        By name, functions of the student's logits [contexts, V] that return the mean over contexts, nats:
        ``full`` (nothing cut), ``unnormalised`` (the terms of the kept tokens alone; not a divergence),
        ``teacher renormalised`` (the paper's Eq. 55), ``both renormalised`` (student and teacher within the
        kept tokens) and ``tail bucket``.
    """
    renormalised = top_k(teacher_logits, k, missing="renormalise")
    bucket = top_k(teacher_logits, k, missing="tail")
    ids, kept = renormalised.ids, renormalised.logprobs

    def unnormalised(student: Tensor) -> Tensor:
        log_q = torch.log_softmax(student, -1).gather(-1, ids)
        return (kept.exp() * (kept - log_q)).sum(-1).mean()

    def both(student: Tensor) -> Tensor:
        return kd_loss(student.gather(-1, ids), kept)

    return {
        "full": lambda student: kd_loss(student, teacher_logits),
        "unnormalised": unnormalised,
        "teacher renormalised": lambda student: kd_loss(student, renormalised),
        "both renormalised": both,
        "tail bucket": lambda student: kd_loss(student, bucket),
    }


@torch.no_grad()
def mass_on_top(logits: Tensor, teacher_logits: Tensor, k: int) -> Tensor:
    """Sum a model's probability over the teacher's k likeliest tokens.

    Parameters
    ----------
    logits, teacher_logits : Tensor
        Logits [..., V] of the model and of the teacher.
    k : int
        How many tokens.

    Returns
    -------
    Tensor
        Probability [...].
    """
    ids = teacher_logits.topk(k, dim=-1).indices
    return torch.softmax(logits, -1).gather(-1, ids).sum(-1)


@torch.no_grad()
def missed_and_invented(
    student_logits: Tensor, teacher_logits: Tensor, *, small: float = 0.02
) -> tuple[float, float]:
    """Measure what a student leaves out of its teacher, and what it adds.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor
        Logits [contexts, V].
    small : float
        Probability below which a token counts as excluded, for either model.

    Returns
    -------
    tuple of float
        The teacher's mass on tokens that the student excludes, and the student's mass on tokens that the
        teacher excludes; means over contexts.
    """
    q, p = torch.softmax(student_logits, -1), torch.softmax(teacher_logits, -1)
    missed = (p * (q < small)).sum(-1).mean()
    invented = (q * (p < small)).sum(-1).mean()
    return float(missed), float(invented)
