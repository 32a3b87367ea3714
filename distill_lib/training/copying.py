"""What a window of text gives away by repetition: tasks that can be solved by copying from further up.

They stand in for the downstream scores of the paper (Fig 35), which models of this size do not reach: a
skill that is scored right or wrong and that nobody trained for by name. They say nothing about knowledge or
reasoning, and a pair of tokens that is common everywhere is continued rightly without any copying.
"""

import numpy as np
from numpy.typing import NDArray

#: Bins by repetition: the last two tokens are new in the window, came before and are continued in the same
#: way, or came before and are continued in another way.
NEW, SAME, OTHER = range(3)


def repetition(windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort positions by what the last two tokens did when they were seen last in the same window.

    The pair that ends at a position is looked for further up (it may overlap itself); what followed it the
    last time is the guess of a reader who copies. The bin depends on the token to be predicted, as in any
    task of which only the answerable questions are asked: a model that always copies is right in all of
    `SAME` and wrong in all of `OTHER`.

    Parameters
    ----------
    windows : ndarray
        Token ids [B, T + 1], the last one being predicted only.

    Returns
    -------
    ndarray
        Bins [B, T], one for each predicted token: `NEW`, `SAME` or `OTHER`; the first position is `NEW`.
    """
    bins = np.full((windows.shape[0], windows.shape[1] - 1), NEW)
    if bins.shape[1] < 3:
        return bins
    pairs = windows[:, :-2] * (windows.max() + 1) + windows[:, 1:-1]  # pair i ends at position i + 1
    # Sorted stably, equal pairs lie side by side in the order of the window.
    order = np.argsort(pairs, axis=1, kind="stable")
    ordered = np.take_along_axis(pairs, order, axis=1)
    before = np.where(ordered[:, 1:] == ordered[:, :-1], order[:, :-1], -1)
    last = np.full_like(pairs, -1)
    np.put_along_axis(last, order[:, 1:], before, axis=1)
    guess = np.take_along_axis(windows, np.maximum(last, 0) + 2, axis=1)
    found = np.where(guess == windows[:, 2:], SAME, OTHER)
    bins[:, 1:] = np.where(last >= 0, found, NEW)
    return bins
