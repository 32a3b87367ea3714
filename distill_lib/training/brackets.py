"""Which bracket closes: a question with three answers that a window of program text answers by its grammar.

With repetition (``copying``) it stands in for the downstream scores of the paper (Fig 35), several of which are
choices between a few answers too. To be right the model has to know what is open, which may be far up; to
say when a bracket closes is not asked. It is no measure of knowledge or reasoning.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill_lib.training.corpus import FILE_TOKEN, Corpus

OPENING, CLOSING = "([{", ")]}"
_FILE = "\n"  # where a token that begins a file stands among the brackets


@functools.lru_cache(maxsize=2)  # of the corpora that a process has open
def _brackets_of(corpus: Corpus) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the brackets in each token, and the kind of the one that it begins with, -1 for none [V]."""
    from tokenizers import Tokenizer

    tokeniser = Tokenizer.from_file(str(corpus.folder / "tokenizer.json"))
    texts: list[str] = [tokeniser.decode([token]) for token in range(corpus.vocab_size)]
    inside = ["".join(letter for letter in text if letter in OPENING + CLOSING) for text in texts]
    inside = [
        _FILE if token == tokeniser.token_to_id(FILE_TOKEN) else text for token, text in enumerate(inside)
    ]
    begins = [CLOSING.find(text.lstrip()[:1]) if text.strip() else -1 for text in texts]
    return tuple(inside), np.array(begins)


def closing_kinds(corpus: Corpus) -> NDArray[np.int64]:
    """Tell which tokens begin with a closing bracket, blanks left out.

    Parameters
    ----------
    corpus : Corpus
        The text with its tokens.

    Returns
    -------
    ndarray
        0 for ")", 1 for "]", 2 for "}", -1 for all other tokens [V].
    """
    return _brackets_of(corpus)[1]


def closings(corpus: Corpus, windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the predicted tokens that close the innermost bracket left open further up in the window.

    Brackets in strings and comments count like others; where one closes what is not open, or a file begins,
    all that was open is forgotten. So a question is asked only where the window answers it.

    Parameters
    ----------
    corpus : Corpus
        The text with its tokens.
    windows : ndarray
        Token ids [B, T + 1], the last one being predicted only.

    Returns
    -------
    ndarray
        Kind of the bracket [B, T], one for each predicted token, as in `closing_kinds`; -1 where none closes.
    """
    inside, kinds = _brackets_of(corpus)
    holds = np.array([bool(text) for text in inside])
    found = np.full((windows.shape[0], windows.shape[1] - 1), -1)
    row, opened = -1, ""
    for at, place in np.argwhere(holds[windows]):
        if at != row:
            row, opened = at, ""
        token = windows[at, place]
        if place > 0 and opened and kinds[token] == OPENING.index(opened[-1]):
            found[at, place - 1] = kinds[token]
        for letter in inside[token]:
            if letter in OPENING:
                opened += letter
            elif opened and OPENING.index(opened[-1]) == CLOSING.find(letter):
                opened = opened[:-1]
            else:
                opened = ""
    return found


def choice_logits(logits: Tensor, kinds: NDArray[np.int64]) -> Tensor:
    """Let a model choose between the three closing brackets.

    Parameters
    ----------
    logits : Tensor
        Logits of the next token [..., V].
    kinds : ndarray
        What `closing_kinds` returns [V].

    Returns
    -------
    Tensor
        Logits of the three kinds [..., 3]: all tokens that begin with one together.
    """
    groups = [logits[..., np.flatnonzero(kinds == kind)].logsumexp(-1) for kind in range(len(CLOSING))]
    return torch.stack(groups, dim=-1)
