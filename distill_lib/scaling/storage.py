"""Stored teacher logits: how many bytes they take, and what they cost.

Scenarios that do not charge for logits assume that someone keeps them. A full row is the vocabulary long
for every token; keeping the k largest, with their places, is thousands of times smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.wording import readable_bytes

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float8": 1}
"""Bytes of one stored value."""


@dataclass(frozen=True)
class LogitStorage:
    """The size of the logits of a set of tokens.

    Parameters
    ----------
    tokens : float
        Tokens whose logits are kept.
    bytes_per_token : int
        Bytes of one row.
    top_k : int or None
        Entries kept per row; None for all of the vocabulary.
    dtype : str
        Type of the values.
    price_per_TB : float or None
        Price of keeping 1e12 bytes, in any currency.
    """

    tokens: float
    bytes_per_token: int
    top_k: int | None
    dtype: str
    price_per_TB: float | None = None

    @property
    def bytes(self) -> float:
        """Bytes in all."""
        return self.tokens * self.bytes_per_token

    @property
    def price(self) -> float | None:
        """Price of keeping them, in the currency of ``price_per_TB``."""
        return None if self.price_per_TB is None else self.bytes / 1e12 * self.price_per_TB

    def __str__(self) -> str:
        kept = "all logits" if self.top_k is None else f"the {self.top_k} largest logits and their places"
        price = "" if self.price is None else f", price {self.price:,.0f}"
        return (
            f"{kept} of {self.tokens:.3g} tokens as {self.dtype}: {self.bytes_per_token:,} bytes a token, "
            f"{readable_bytes(self.bytes)}{price}"
        )


def logit_storage(
    D_S: float,
    *,
    vocabulary: int = formulas.VOCABULARY,
    top_k: int | None = None,
    dtype: str = "bfloat16",
    price_per_TB: float | None = None,
) -> LogitStorage:
    """Size and price of storing a teacher's logits for a student's tokens (App G.4).

    Parameters
    ----------
    D_S : float
        Tokens whose logits are kept.
    vocabulary : int
        Length of a full row.
    top_k : int, optional
        Keep only so many of the largest; each then needs its place too, two bytes up to a vocabulary of
        65536 and four beyond.
    dtype : {"float32", "float16", "bfloat16", "float8"}
        Type of the values.
    price_per_TB : float, optional
        Price of keeping 1e12 bytes for as long as they are needed, in any currency.

    Returns
    -------
    LogitStorage
        Bytes per token, bytes in all, and the price; print it for a sentence.

    Raises
    ------
    ValueError
        For counts out of range or another type.

    Examples
    --------
    >>> print(logit_storage(1e12, top_k=128))
    the 128 largest logits and their places of 1e+12 tokens as bfloat16: 512 bytes a token, 512 TB
    """
    tokens = _checks.one("D_S", D_S)
    entries = int(_checks.number("vocabulary", vocabulary, 2, 1e9, "count the tokens it has"))
    width = BYTES[_checks.choice("dtype", dtype, BYTES)]
    if price_per_TB is not None:
        price_per_TB = _checks.number("price_per_TB", price_per_TB, 0.0, 1e12, "give the price of 1e12 bytes")
    if top_k is not None:
        top_k = int(_checks.number("top_k", top_k, 1, entries, "keep 1 entry to all of the vocabulary"))
    row = formulas.logit_row_bytes(entries, top_k, width)
    return LogitStorage(tokens, row, top_k, dtype, price_per_TB)
