"""The mapping problem: a puzzle that small networks can be too small for (App C.2, Figs 11 and 12).

An input holds K context values of 0, 1 or 2, and a pointer to one of them. If the value pointed at is 0, the
answer is its position, an easy case. Otherwise it is the other position that holds the same value, a hard one.
Students are taught by teachers of any size and any length of training, all with two hidden layers.

The paper states widths, optimiser, schedule, batch and lengths. It does not state K, which inputs are drawn, how
many of them are easy, or how students weigh labels against the teacher: these are fields of :class:`Recipe`, with
our choices as defaults.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor, nn

from distill_lib.scaling import _checks
from distill_lib.training.losses import kd_loss, kl_divergence, next_token_loss

Progress = Callable[[int], None]

_CHUNK = 64  # batches drawn at once


@dataclass(frozen=True)
class Recipe:
    """What is drawn and how networks are trained on it.

    Parameters
    ----------
    positions : int
        Context values K, 3 at least. Not stated in the paper, whose printed examples have 8.
    easy : float
        Share of inputs whose pointer shows a 0. Not stated.
    lr : float
        Peak learning rate of Adam (App C.2).
    warmup : float
        Share of the steps in which the rate rises; it then falls along a cosine (App C.2).
    batch : int
        Inputs a step (App C.2).
    tau, lam : float
        Temperature and mixing of :func:`distill_lib.training.losses.kd_loss`. Not stated for this problem.

    Raises
    ------
    ValueError
        For values out of range.
    """

    positions: int = 16
    easy: float = 0.5
    lr: float = 3e-4
    warmup: float = 0.05
    batch: int = 512
    tau: float = 1.0
    lam: float = 1.0

    def __post_init__(self) -> None:
        _checks.whole("positions", self.positions, 3)
        _checks.number("easy", self.easy, 0.0, 1.0, "it is a share such as 0.5")
        _checks.number("lr", self.lr, 1e-8, 1.0, "such as 3e-4")
        _checks.number("warmup", self.warmup, 0.0, 1.0, "it is a share such as 0.05")
        _checks.whole("batch", self.batch, 1)

    @property
    def distinct(self) -> tuple[int, int]:
        """How many different easy and hard inputs there are."""
        K = self.positions
        return K * 3 ** (K - 1), K * (K - 1) * 2 * 2 ** (K - 2)

    def steps(self, N: int) -> int:
        """Return the length of training: 20 inputs a parameter, 500 steps at least (App C.2).

        Parameters
        ----------
        N : int
            Parameters.

        Returns
        -------
        int
            Steps.
        """
        return max(500, math.ceil(20 * N / self.batch))


RECIPE = Recipe()
"""The recipe of the recorded runs."""


def draw_cases(n: int, recipe: Recipe = RECIPE, *, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw inputs and their answers.

    In an easy case all values but the 0 pointed at are uniform over 0, 1 and 2. In a hard case the value pointed at,
    1 or 2, occurs exactly twice, so that the answer is unique; all others are uniform over what is left.

    Parameters
    ----------
    n : int
        How many.
    recipe : Recipe
        Number of positions and share of easy cases.
    rng : torch.Generator
        Source of randomness.

    Returns
    -------
    tuple of Tensor and Tensor
        Inputs [n, 2 K], the context and the pointer as one-hot, float32; answers [n], from 0 to K - 1, int64.
    """
    K = recipe.positions
    easy = torch.rand(n, generator=rng) < recipe.easy
    pointer = torch.randint(K, (n,), generator=rng)
    partner = (pointer + torch.randint(1, K, (n,), generator=rng)) % K
    value = torch.randint(1, 3, (n,), generator=rng)
    any_value = torch.randint(3, (n, K), generator=rng)
    other_value = torch.randint(2, (n, K), generator=rng) * (3 - value)[:, None]
    context = torch.where(easy[:, None], any_value, other_value)
    rows = torch.arange(n)
    context[rows, pointer] = torch.where(easy, 0, value)
    context[rows, partner] = torch.where(easy, context[rows, partner], value)
    inputs = torch.cat([context, nn.functional.one_hot(pointer, K)], dim=1).float()
    return inputs, torch.where(easy, pointer, partner)


def make_network(width: int, recipe: Recipe = RECIPE, *, seed: int) -> nn.Sequential:
    """Make a network with two hidden layers of one width and ReLU between (App C.2).

    Parameters
    ----------
    width : int
        Units of each hidden layer.
    recipe : Recipe
        Number of positions.
    seed : int
        Seed of the weights, which are uniform within one over the root of the fan-in, torch's default.

    Returns
    -------
    torch.nn.Sequential
        The network, from [..., 2 K] to logits [..., K].

    Raises
    ------
    ValueError
        For a width that is no whole number above 0.
    """
    width, K = _checks.whole("width", width, 1), recipe.positions
    sizes = (2 * K, width, width, K)
    linear = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    rng = torch.Generator().manual_seed(_seed("weights", seed, width))
    with torch.no_grad():
        for layer in linear:
            bound = layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=rng)
            layer.bias.uniform_(-bound, bound, generator=rng)
    return nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])


def parameters(width: int, recipe: Recipe = RECIPE) -> int:
    """Count the parameters of a network, biases included.

    Parameters
    ----------
    width : int
        Units of each hidden layer.
    recipe : Recipe
        Number of positions.

    Returns
    -------
    int
        The count N.
    """
    K = recipe.positions
    return (2 * K + 1) * width + (width + 1) * width + (width + 1) * K


def train(
    width: int,
    recipe: Recipe = RECIPE,
    *,
    seed: int,
    teacher: nn.Module | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> nn.Sequential:
    """Train one network: a teacher or a supervised student on labels, a distilled student on its teacher.

    Each step draws its inputs afresh. Networks of equal seed and steps see the same inputs in the same order,
    and what a teacher has seen is drawn apart from what students see.

    Parameters
    ----------
    width : int
        Units of each hidden layer.
    recipe : Recipe
        What is drawn, and how it is learned.
    seed : int
        Seed of weights and inputs; students of equal width and seed are a pair.
    teacher : torch.nn.Module, optional
        Whom to learn from.
    steps : int, optional
        Length of training; that of the recipe by default.
    progress : callable, optional
        Called now and then with the number of steps done since the last call.

    Returns
    -------
    torch.nn.Sequential
        The trained network.

    Raises
    ------
    ValueError
        For a width or a length that is no whole number above 0.
    """
    return _train(width, recipe, seed, "student", teacher, steps, progress)


def train_teacher(
    width: int,
    recipe: Recipe = RECIPE,
    *,
    seed: int,
    steps: int | None = None,
    progress: Progress | None = None,
) -> nn.Sequential:
    """Train a teacher on labels, on inputs drawn apart from those of the students.

    Parameters
    ----------
    width, recipe, seed, steps, progress
        As for :func:`train`.

    Returns
    -------
    torch.nn.Sequential
        The trained network.

    Raises
    ------
    ValueError
        As for :func:`train`.
    """
    return _train(width, recipe, seed, "teacher", None, steps, progress)


def _train(
    width: int, recipe: Recipe, seed: int, role: str, teacher: nn.Module | None, steps: int | None,
    progress: Progress | None,
) -> nn.Sequential:  # fmt: skip
    steps = recipe.steps(parameters(width, recipe)) if steps is None else _checks.whole("steps", steps, 1)
    network = make_network(width, recipe, seed=_seed(role, seed))
    rng = torch.Generator().manual_seed(_seed("inputs", role, seed))
    # Adam's defaults; the paper states the rate alone.
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.lr, fused=True)
    for start in range(0, steps, _CHUNK):
        inputs, answers = draw_cases(_CHUNK * recipe.batch, recipe, rng=rng)
        chunk = range(start, min(start + _CHUNK, steps))
        for step, x, y in zip(chunk, inputs.split(recipe.batch), answers.split(recipe.batch), strict=False):
            optimiser.param_groups[0]["lr"] = recipe.lr * schedule(step, steps, recipe.warmup)
            logits = network(x)
            if teacher is None:
                loss = next_token_loss(logits, y)
            else:
                with torch.no_grad():
                    taught = teacher(x)
                loss = kd_loss(logits, taught, y, tau=recipe.tau, lam=recipe.lam, check=False)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if progress is not None:
            progress(len(chunk))
    return network


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate of a step over its peak: a linear rise, then one cosine to zero (App C.2).

    Parameters
    ----------
    step : int
        From 0.
    steps : int
        Steps in all.
    warmup : float
        Share of the rise.

    Returns
    -------
    float
        Between 0 and 1.
    """
    rise = warmup * steps
    if step < rise:
        return (step + 1) / math.ceil(rise)
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


@dataclass(frozen=True)
class Measures:
    """What a network is worth on held-out inputs, the same for all networks of a recipe.

    Attributes
    ----------
    L, L_easy, L_hard : float
        Cross-entropy with the answers, of all, easy and hard inputs, in nats.
    accuracy, accuracy_hard : float
        Share of inputs whose answer gets the largest logit.
    kl_teacher : float or None
        KL(teacher || student) in nats; None without a teacher.
    """

    L: float
    L_easy: float
    L_hard: float
    accuracy: float
    accuracy_hard: float
    kl_teacher: float | None


@torch.no_grad()
def measure(
    network: nn.Module, recipe: Recipe = RECIPE, *, teacher: nn.Module | None = None, cases: int = 65_536
) -> Measures:
    """Measure a network on held-out inputs.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    recipe : Recipe
        What is drawn.
    teacher : torch.nn.Module, optional
        Its teacher.
    cases : int
        How many inputs.

    Returns
    -------
    Measures
        Losses and accuracies. A kind of input that the recipe does not draw gets NaN.
    """
    rng = torch.Generator().manual_seed(_seed("held out"))
    x, y = draw_cases(cases, recipe, rng=rng)
    logits = network(x)
    losses = nn.functional.cross_entropy(logits, y, reduction="none").double()
    right = (logits.argmax(dim=1) == y).double()
    easy = x[:, recipe.positions :].argmax(dim=1) == y
    kl = None if teacher is None else float(kl_divergence(logits, teacher(x)).double().mean())
    return Measures(
        L=float(losses.mean()),
        L_easy=float(losses[easy].mean()),
        L_hard=float(losses[~easy].mean()),
        accuracy=float(right.mean()),
        accuracy_hard=float(right[~easy].mean()),
        kl_teacher=kl,
    )


def _seed(*parts: str | int) -> int:
    """Turn what a draw is for into a seed of its own, the same on every machine."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:6], "big")
