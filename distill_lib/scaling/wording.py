"""How counts are written for people, in verdicts, tables and figures, and on the page that plans alike.

Like :mod:`distill_lib.scaling.formulas` this file also runs in the browser: ``math`` and what MicroPython has.
"""

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
            return general(value / size, 3) + letter
    return general(value, 3)


def fixed(value: float, places: int) -> str:
    """Write a number with so many decimals, as ``format`` does; MicroPython's own rounds ties the other way.

    Parameters
    ----------
    value : float
        The number.
    places : int
        Decimals.

    Returns
    -------
    str
        What ``f"{value:.{places}f}"`` gives in CPython.
    """
    if not math.isfinite(value):
        return str(value)
    digits = str(_scaled(value, places))
    digits = "0" * (places + 1 - len(digits)) + digits
    text = digits if places == 0 else digits[:-places] + "." + digits[-places:]
    return "-" + text if math.copysign(1.0, value) < 0.0 else text


def general(value: float, digits: int) -> str:
    """Write a number in so many significant digits, as ``format`` does, to the same digit everywhere.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Significant digits.

    Returns
    -------
    str
        What ``f"{value:.{digits}g}"`` gives in CPython.
    """
    if not math.isfinite(value):
        return str(value)
    return _laid_out(value, *_significant(value, digits), digits)


def exact(value: float) -> str:
    """Write a float as ``repr`` does, in the fewest digits that tell it from every other.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        What ``repr(value)`` gives in CPython; MicroPython's own takes a digit too many at times.
    """
    if not math.isfinite(value):
        return str(value)
    whole, exponent = _significant(value, 17)
    for digits in (15, 16):
        nearest, power = _significant(value, digits)
        # Above a power of two floats lie wider than below it, and the upper neighbour may tell it too.
        found = [
            fewer for fewer in (nearest, nearest + 1) if float(f"{fewer}e{power - digits + 1}") == abs(value)
        ]
        if found:
            whole, exponent = found[0], power
            break
    text = _laid_out(value, whole, exponent, 16)
    return text if "e" in text or "." in text else text + ".0"


def _significant(value: float, digits: int) -> tuple[int, int]:
    """Return the first digits of a number, rounded, as a whole number, and the power of ten of the first one."""
    if value == 0.0:
        return 0, 0
    exponent = math.floor(math.log10(abs(value)))
    whole = _scaled(value, digits - 1 - exponent)
    if whole < 10 ** (digits - 1):  # the logarithm was rounded up to the next power of ten
        exponent -= 1
        whole = _scaled(value, digits - 1 - exponent)
    if whole >= 10**digits:
        exponent += 1
        whole = _scaled(value, digits - 1 - exponent)
    return whole, exponent


def _laid_out(value: float, whole: int, exponent: int, most: int) -> str:
    """Return the sign of a number with its digits, as a power of ten where they would be too many."""
    sign, digits = ("-" if math.copysign(1.0, value) < 0.0 else ""), str(whole).rstrip("0") or "0"
    if -4 <= exponent < 0:
        return sign + "0." + "0" * (-exponent - 1) + digits
    if 0 <= exponent < most:
        digits += "0" * (exponent + 1 - len(digits))
        head, tail = digits[: exponent + 1], digits[exponent + 1 :]
        return sign + head + ("." + tail if tail else "")
    power = ("-" if exponent < 0 else "+") + ("0" if abs(exponent) < 10 else "") + str(abs(exponent))
    return sign + digits[0] + ("." + digits[1:] if digits[1:] else "") + "e" + power


def _scaled(value: float, places: int) -> int:
    """Return |value| 10^places as a whole number, exactly, with ties to even."""
    mantissa, exponent = math.frexp(abs(value))
    over, under = int(mantissa * 2.0**53), 1
    if exponent >= 53:
        over *= 2 ** (exponent - 53)
    else:
        under *= 2 ** (53 - exponent)
    if places >= 0:
        over *= 10**places
    else:
        under *= 10**-places
    whole, rest = over // under, over % under
    return whole + 1 if 2 * rest > under or (2 * rest == under and whole % 2 == 1) else whole


def readable_bytes(size: float) -> str:
    """Return a number of bytes for people, in powers of 1000.

    Parameters
    ----------
    size : float
        Bytes.

    Returns
    -------
    str
        Such as ``"260 PB"``.
    """
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 999.5:
            return f"{general(size, 3)} {unit}"
        size /= 1000.0
    return f"{general(size, 3)} EB"
