"""Positions that a reader who copies gets right."""

from __future__ import annotations

import numpy as np

from distill_lib.training.copying import NEW, OTHER, SAME, repetition


def by_hand(window: list[int]) -> list[int]:
    """Look every pair up the slow way."""
    found = []
    for t in range(len(window) - 1):
        earlier = [s for s in range(1, t) if window[s - 1 : s + 1] == window[t - 1 : t + 1]] if t else []
        guess = window[earlier[-1] + 1] if earlier else None
        found.append(NEW if guess is None else SAME if guess == window[t + 1] else OTHER)
    return found


def test_a_pair_is_continued_as_it_was_last_time():
    assert repetition(np.array([[1, 2, 3, 1, 2, 3, 9, 1, 2, 4]])).tolist() == [[0, 0, 0, 0, 1, 2, 0, 0, 2]]


def test_a_pair_may_overlap_itself():
    assert repetition(np.array([[7, 7, 7, 7]])).tolist() == [[NEW, NEW, SAME]]


def test_it_is_what_a_slow_search_finds():
    windows = np.random.default_rng(0).integers(0, 4, size=(50, 33))
    found = repetition(windows)
    assert found.tolist() == [by_hand(list(window)) for window in windows]
    assert set(found.ravel()) == {NEW, SAME, OTHER}


def test_windows_too_short_to_repeat_are_new():
    assert repetition(np.array([[1, 1, 1]])).tolist() == [[NEW, NEW]]
