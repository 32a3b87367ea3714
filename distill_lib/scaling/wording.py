"""How counts are written for people, in verdicts, tables and figures alike."""

from __future__ import annotations

import math

UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
"""Unit letters, from the largest."""


def count(value: float) -> str:
    """Write a count as people say it: 143M, 7.75B, 1T.

    Parameters
    ----------
    value : float
        Parameters or tokens.

    Returns
    -------
    str
        Three digits and a unit letter; a plain number below a thousand, and a power of ten beyond the last
        letter. "unknown" for NaN, "unlimited" for infinity.
    """
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "unlimited"
    for size, letter in UNITS:
        # What three digits round up to 1000 of one unit is 1 of the next.
        if 0.9995 * size <= value < 999.5 * size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
