"""Draws from many small distributions at once: one gather a token, the same tokens for the same number.

A distribution over V tokens is a row of whole counts that sum to 2^16, so what is drawn has these
probabilities exactly. Walker's alias method (1974) makes of it V slots of equal weight, each shared by two
tokens at most: sixteen random bits choose slot and place, one look at the slot gives the token.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Sum of the counts of a distribution: a probability is a multiple of 1 / TOTAL.
TOTAL = 1 << 16
_ROWS = 4096  # rows worked on at once: as many as a cache holds
_STEP = np.uint64(0x9E3779B97F4A7C15)


def quantise(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Round distributions to whole counts, one at least, so that no token becomes impossible.

    Parameters
    ----------
    probabilities : ndarray
        Distributions [..., V], V a power of two of 2 to 256.

    Returns
    -------
    ndarray
        Counts [..., V] that sum to 2^16; what rounding leaves over goes to the likeliest token.
    """
    vocab_size = probabilities.shape[-1]
    counts = np.floor(probabilities * (TOTAL - vocab_size)).astype(np.int64) + 1
    likeliest = probabilities.argmax(-1)[..., None]
    missing = TOTAL - counts.sum(-1, keepdims=True)
    np.put_along_axis(counts, likeliest, np.take_along_axis(counts, likeliest, -1) + missing, -1)
    return counts.astype(np.uint16)


def alias_slots(counts: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Cut each distribution into V slots of 2^16 / V units, each shared by two tokens at most (Walker, 1974).

    Parameters
    ----------
    counts : ndarray
        Counts [n, V] that sum to 2^16, V a power of two.

    Returns
    -------
    ndarray
        Slots [n, V]: ``threshold * V + alias``. In slot i, units below the threshold are token i, the others
        are the alias; a slot that is all token i has threshold 0 and alias i.
    """
    vocab_size = counts.shape[1]
    units = TOTAL // vocab_size
    slots = np.empty(counts.shape, dtype=np.uint16)
    for first in range(0, len(counts), _ROWS):
        left = counts[first : first + _ROWS].astype(np.int32)
        row = np.arange(len(left))
        block = slots[first : first + _ROWS]
        block[:] = np.arange(vocab_size)
        # The smallest fills its slot from the largest, and leaves. A slot that is done counts `units`, which
        # is always the mean of what is left: it is never the smallest or the largest while one is open.
        for _ in range(vocab_size - 1):
            smallest, largest = left.argmin(1), left.argmax(1)
            threshold = left[row, smallest]
            is_open = threshold < units
            if not is_open.any():
                break
            at, low, high, kept = row[is_open], smallest[is_open], largest[is_open], threshold[is_open]
            block[at, low] = kept * vocab_size + high
            left[at, high] -= units - kept
            left[at, low] = units
    return slots


def random_words(counter: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """Give each number its own 64 random bits (SplitMix64; Steele, Lea and Flood, 2014).

    Parameters
    ----------
    counter : ndarray
        Numbers, of any shape. Under one key, different numbers have different words: the map is one to one.
    key : int
        Chooses among 2^64 maps.

    Returns
    -------
    ndarray
        Words, of the same shape.
    """
    # Two rounds, the key between them: keys then differ by more than an offset into one common sequence.
    return _mix(_mix(counter * _STEP) ^ np.uint64(key)) if counter.size else counter.copy()


def random_draws(counter: NDArray[np.uint64], key: int) -> NDArray[np.uint16]:
    """Give each number its own four draws of 16 bits, for four tokens.

    Parameters
    ----------
    counter : ndarray
        Numbers [n, ...].
    key : int
        Chooses among 2^64 maps.

    Returns
    -------
    ndarray
        Draws [4 n, ...]: those of the first number come first.
    """
    words = random_words(counter, key)
    parts = [(words >> np.uint64(16 * k)).astype(np.uint16) for k in range(4)]
    return np.stack(parts, axis=1).reshape(-1, *counter.shape[1:])


def _mix(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = word + _STEP
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def continue_streams(
    slots: NDArray[np.uint16], state: NDArray[np.int64], draws: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """Continue many streams of a Markov chain side by side, one token each at a time.

    Parameters
    ----------
    slots : ndarray
        Slots [V**order, V], as `alias_slots` makes them.
    state : ndarray
        Where each stream is [B]: its last tokens read as a number to base V, the last one lowest.
    draws : ndarray
        Sixteen random bits for each token [T, B].

    Returns
    -------
    ndarray
        Tokens [T, B].
    """
    n_states, vocab_size = slots.shape
    bits = vocab_size.bit_length() - 1
    flat = slots.reshape(-1)
    slot, place = draws >> (16 - bits), draws & ((1 << (16 - bits)) - 1)
    tokens = np.empty(draws.shape, dtype=np.uint8)
    at: Any = state.astype(np.int64)
    for t in range(len(draws)):
        entry = flat[(at << bits) + slot[t]]
        token = np.where(place[t] < entry >> bits, slot[t], entry & (vocab_size - 1))
        tokens[t] = token
        at = ((at << bits) + token) & (n_states - 1)
    return tokens
