"""A language whose entropy is known: a Markov chain with the next-token distribution written down everywhere.

The logits of the next token are a Zipf-like unigram term plus a sum of random features of the last tokens,

    z = -zipf ln(rank) + amplitude sum_j w_j tanh(gain sum_l l**-lag_power <a_jl, e(x_-l)>) psi_j,

with w_j proportional to j**-feature_power and of unit length: a network of one hidden layer, with few strong
features and many weak ones, near tokens weighing more than far ones. There is no rule that is learned all at
once, so the loss falls gradually in N and in D. The distributions are rounded to multiples of 2**-16, and
the rounded ones are the language: entropy and samples are those of the same table.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distill_lib.scaling.specifications import LanguageSpec
from distill_lib.training.sampling import TOTAL, alias_slots, continue_streams, quantise, random_draws

#: Change of the stationary distribution in one step at which it counts as found, sum of absolute values.
TOLERANCE = 1e-13
_MOST_STEPS = 20_000
_LOG = np.log(np.maximum(np.arange(TOTAL), 1) / TOTAL)


@dataclass(frozen=True)
class Stationary:
    """The long-run distribution of the contexts.

    Attributes
    ----------
    probabilities : ndarray
        Probability of each context, the last `order` tokens, the oldest first [V, ..., V].
    residual : float
        How much one more step changes it, sum of absolute values.
    steps : int
        Steps of power iteration that were made.
    """

    probabilities: NDArray[np.float64]
    residual: float
    steps: int


class Language:
    """A Markov chain of known order over tokens, its distributions being whole counts of 2^-16.

    Parameters
    ----------
    counts : ndarray
        Counts [V**order, V] that sum to 2^16; row c is the context whose tokens, the oldest first, are the
        digits of c to base V.
    order : int
        Tokens that the next one depends on.
    stationary : Stationary, optional
        The long-run distribution, where it is known already.

    Raises
    ------
    ValueError
        If the counts are no such table.
    """

    def __init__(self, counts: NDArray[np.uint16], order: int, stationary: Stationary | None = None) -> None:
        vocab_size = counts.shape[-1]
        if order < 1 or counts.shape != (vocab_size**order, vocab_size):
            raise ValueError(
                f"counts have shape {list(counts.shape)}, order={order}: expected [V**order, V], order 1 or more"
            )
        if counts.dtype != np.uint16 or counts.min() < 1 or (counts.sum(-1, dtype=np.int64) != TOTAL).any():
            raise ValueError(
                f"counts must be uint16, 1 or more, and sum to {TOTAL} in each row: use quantise()"
            )
        self.counts, self.order, self.vocab_size = counts, order, vocab_size
        if stationary is not None:
            self.stationary = stationary

    @cached_property
    def slots(self) -> NDArray[np.uint16]:
        """The counts as slots to draw from [V**order, V]."""
        return alias_slots(self.counts)

    def states(self, tokens: NDArray[np.integer]) -> NDArray[np.int64]:
        """Find the contexts along sequences, as rows of the table.

        Parameters
        ----------
        tokens : ndarray
            Token ids [..., T], T at least `order`.

        Returns
        -------
        ndarray
            Rows of `counts` [..., T - order + 1]: the context that ends at each position from order - 1 on.

        Raises
        ------
        ValueError
            If a token is outside the vocabulary or the sequences are shorter than the order.
        """
        tokens = np.asarray(tokens)
        if tokens.shape[-1] < self.order:
            raise ValueError(
                f"{tokens.shape[-1]} tokens given: a context has {self.order}, give as many or more"
            )
        if tokens.size and not (0 <= tokens.min() and tokens.max() < self.vocab_size):
            raise ValueError(
                f"tokens from {tokens.min()} to {tokens.max()} given: expected 0 to {self.vocab_size - 1}"
            )
        n = tokens.shape[-1] - self.order + 1
        states = np.zeros((*tokens.shape[:-1], n), dtype=np.int64)
        for lag in range(self.order):
            states = states * self.vocab_size + tokens[..., lag : lag + n]
        return states

    def log_probs(self, tokens: NDArray[np.integer]) -> NDArray[np.float64]:
        """Look up the true log-probabilities of the next token, wherever the full context is visible.

        Parameters
        ----------
        tokens : ndarray
            Token ids [..., T], T at least `order`.

        Returns
        -------
        ndarray
            Natural logarithms [..., T - order + 1, V]; the last one for the token after the sequence.
        """
        return _LOG[self.counts[self.states(tokens)]]

    @cached_property
    def stationary(self) -> Stationary:
        """The long-run distribution of contexts, by power iteration."""
        return find_stationary(self.counts, self.order)

    @cached_property
    def staircase(self) -> tuple[float, ...]:
        """Entropy of the next token given the last 0, 1, ..., order tokens, nats per token.

        Step k is the least loss of a model that sees k tokens; the last one is the entropy rate.
        """
        tables = [np.exp(table) for table in self.log_conditionals]
        steps = [float(-table @ np.log(table)) for table in tables[:1]]
        for seen, table in enumerate(tables[1:], start=1):
            context = self._last(seen).reshape(-1)
            steps.append(float(-(context @ (table * np.log(table)).sum(-1))))
        return (*steps, self.entropy_rate)

    @cached_property
    def entropy_rate(self) -> float:
        """Entropy rate E: the mean entropy of the next token over the stationary contexts, nats per token."""
        entropies = np.empty(len(self.counts))
        for first in range(0, len(self.counts), 4096):
            rows = self.counts[first : first + 4096]
            entropies[first : first + 4096] = -(rows / TOTAL * _LOG[rows]).sum(-1)
        return float(self.stationary.probabilities.reshape(-1) @ entropies)

    @cached_property
    def log_conditionals(self) -> list[NDArray[np.float64]]:
        """Log-probabilities of a token given the last k tokens and no more, for k below the order.

        Table k is [V**k, V], the first one [V]: the truth for a reader who sees k tokens of a stationary text.
        """
        tables = []
        for seen in range(self.order):
            joint = self._last(seen + 1)
            tables.append(np.log(joint / joint.sum(-1, keepdims=True)).reshape(-1, self.vocab_size))
        tables[0] = tables[0].reshape(-1)
        return tables

    def _last(self, n: int) -> NDArray[np.float64]:
        """Joint distribution of n tokens in a row, n at most the order."""
        return self.stationary.probabilities.sum(tuple(range(self.order - n)))

    def long_run_entropy(
        self, tokens: int, seed: int = 0, streams: int = 1024, burn_in: int = 1000
    ) -> tuple[float, float]:
        """Measure the entropy rate as the mean surprise along sampled streams, without the stationary distribution.

        Parameters
        ----------
        tokens : int
            Tokens to measure on, all streams together.
        seed : int
            Seeds the streams.
        streams : int
            Streams that run side by side, independent of each other; each starts in a context of its own.
        burn_in : int
            Tokens left out at the beginning of each stream.

        Returns
        -------
        float
            Mean of -ln p of the tokens drawn, nats per token.
        float
            Its standard error, from the spread over streams.

        Raises
        ------
        ValueError
            If there are fewer than two tokens, streams, or a negative burn-in.
        """
        length = tokens // max(streams, 1)
        if streams < 2 or length < 1 or burn_in < 0:
            raise ValueError(
                f"tokens={tokens}, streams={streams}, burn_in={burn_in}: give two streams or more, a token for each"
            )
        state = np.arange(streams) * (len(self.counts) // streams or 1) % len(self.counts)
        surprise = np.zeros(streams)
        stream = np.arange(streams, dtype=np.uint64)
        for drawn in range(0, burn_in + length, 4):
            draws = random_draws((np.uint64(drawn // 4 * streams) + stream)[None], seed)
            new = continue_streams(self.slots, state, draws[: burn_in + length - drawn])
            for t, token in enumerate(new, start=drawn):
                if t >= burn_in:
                    surprise -= _LOG[self.counts[state, token]]
                state = (state * self.vocab_size + token) % len(self.counts)
        means = surprise / length
        return float(means.mean()), float(means.std(ddof=1) / np.sqrt(streams))


def design_language(spec: LanguageSpec) -> Language:
    """Make the language of a specification: the same one for the same seed.

    Parameters
    ----------
    spec : LanguageSpec
        Vocabulary, order, seed and features.

    Returns
    -------
    Language
        Its table; long-run distribution and entropy are found when they are asked for.
    """
    rng = np.random.default_rng(spec.seed)
    V, order = spec.vocab_size, spec.order
    embedding = rng.normal(size=(V, spec.embedding))
    directions = rng.normal(size=(order, spec.features, spec.embedding)) / np.sqrt(spec.embedding)
    weights = np.arange(1, spec.features + 1) ** -spec.feature_power
    effects = rng.normal(size=(spec.features, V)) * (
        spec.amplitude * weights / np.linalg.norm(weights)
    ).reshape(-1, 1)
    unigram = -spec.zipf * np.log(np.arange(1, V + 1))
    # What each token adds to the input of each feature, by how long ago it was.
    parts = [
        spec.gain * lag**-spec.lag_power * embedding @ directions[lag - 1].T for lag in range(1, order + 1)
    ]
    recent = np.zeros((1, spec.features))
    for part in parts[-2::-1]:  # all lags but the longest, the oldest of them first
        recent = (recent[:, None] + part).reshape(-1, spec.features)
    counts = np.empty((V, len(recent), V), dtype=np.uint16)
    for oldest in range(V):
        logits = unigram + np.tanh(parts[-1][oldest] + recent) @ effects
        weight = np.exp(logits - logits.max(-1, keepdims=True))
        counts[oldest] = quantise(weight / weight.sum(-1, keepdims=True))
    return Language(counts.reshape(-1, V), order)


def find_stationary(counts: NDArray[np.uint16], order: int) -> Stationary:
    """Find the long-run distribution of the contexts by power iteration.

    Every count is 1 or more, so the chain reaches every context from every other and the distribution is unique.

    Parameters
    ----------
    counts : ndarray
        Counts [V**order, V] that sum to 2^16.
    order : int
        Tokens in a context.

    Returns
    -------
    Stationary
        The distribution with its residual.

    Raises
    ------
    RuntimeError
        If it does not settle, as in a language that hardly ever leaves a group of contexts.
    """
    V = counts.shape[1]
    step = (counts.reshape(V, -1, V) / TOTAL).astype(np.float64)
    state = np.full((V, V ** (order - 1)), 1 / V**order)
    for steps in range(1, _MOST_STEPS + 1):
        new = np.einsum("am,amd->md", state, step).reshape(V, -1)
        new /= new.sum()
        residual = float(np.abs(new - state).sum())
        state = new
        if residual < TOLERANCE:
            return Stationary(state.reshape((V,) * order), residual, steps)
    raise RuntimeError(
        f"the long-run distribution still changes by {residual:.1e} after {_MOST_STEPS} steps: "
        "lower amplitude or gain"
    )
