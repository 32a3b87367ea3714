"""Quantities as people type them: 1.5B, 300B tokens, 1e22 FLOPs, 40%."""

from __future__ import annotations

import re
from decimal import Decimal, Overflow, localcontext
from typing import Literal

from distill_lib.scaling.wording import UNITS

Kind = Literal["N", "D", "C"]

_SCALES = {letter.lower(): Decimal(str(size)) for size, letter in UNITS} | {
    "thousand": Decimal(10) ** 3,
    "million": Decimal(10) ** 6,
    "billion": Decimal(10) ** 9,
    "trillion": Decimal(10) ** 12,
}

# What each symbol counts, the words that may follow its number, and what to type.
_KINDS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "N": ("parameters", ("parameters", "parameter", "params", "param"), "1.5e9, 1.5B or '1.5B parameters'"),
    "D": ("tokens", ("tokens", "token"), "300e9, 300B or '300B tokens'"),
    "C": ("FLOPs of compute C", ("flops", "flop"), "1e22, '1e22 FLOPs' or 64xH100x14d"),
}

_SPELLINGS = {
    kind: re.compile(
        r"\s*(?P<number>[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*"
        rf"(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})?\s*(?:{'|'.join(units)})?\s*",
        re.IGNORECASE,
    )
    for kind, (_, units, _) in _KINDS.items()
}


def parse_quantity(text: str, kind: Kind, name: str | None = None) -> float:
    """Return the number that a person typed for parameters, tokens or FLOPs.

    A letter counts thousands (k), millions (M), billions (B), trillions (T) or 1e15 (P), in either case;
    the unit may follow. Whether the number is in range is left to who uses it.

    Parameters
    ----------
    text : str
        Such as ``"1.5B"``, ``"300e9 tokens"`` or ``"1e22 FLOPs"``.
    kind : {"N", "D", "C"}
        Parameters, tokens or FLOPs; another unit is refused.
    name : str, optional
        What the message calls it, such as an option or a cell; ``kind`` by default.

    Returns
    -------
    float
        The nearest float to what was typed.

    Raises
    ------
    ValueError
        Naming the text, what is wanted and how to type it.

    Examples
    --------
    >>> parse_quantity("1.5B", "N"), parse_quantity("300 billion tokens", "D")
    (1500000000.0, 300000000000.0)
    """
    counted, _, remedy = _KINDS[kind]
    found = _SPELLINGS[kind].fullmatch(text)
    if found is None:
        raise ValueError(f"{name or kind} = {text!r} is no number of {counted}; type {remedy}")
    with localcontext() as context:
        context.traps[Overflow] = False
        value = Decimal(found["number"].replace("_", ""))
        return float(value * _SCALES[found["scale"].lower()] if found["scale"] else value)


def parse_share(text: str, name: str) -> float:
    """Return a share typed as a fraction or in percent, above 0 and up to 1.

    Parameters
    ----------
    text : str
        Such as ``"0.4"`` or ``"40%"``.
    name : str
        What the message calls it.

    Returns
    -------
    float
        The share.

    Raises
    ------
    ValueError
        Naming the text, the valid range and how to type it.
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(%?)\s*", text)
    value = float(found[1]) / (100.0 if found[2] else 1.0) if found else 0.0
    if not 0.0 < value <= 1.0:
        raise ValueError(f"{name} = {text!r} is no share above 0 and up to 1; type 0.4 or 40%")
    return value
