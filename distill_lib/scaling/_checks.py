"""Bad input is refused here, in one voice: the argument, the value, the valid range and the remedy."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

Real = float | np.ndarray

_ABOVE_ZERO = 5e-324  # the least positive float

# What each symbol counts, its least value, and what to type instead.
_QUANTITIES: Mapping[str, tuple[str, float, str]] = {
    "N": ("parameters without embeddings", 1.0, "give a raw count such as 1e9 for a 1B model"),
    "D": ("tokens", 1.0, "give a raw count such as 20e9, one token at least"),
    "C": ("FLOPs", 1.0, "give a raw count such as 1e21"),
    "L": ("nats per token", 0.0, "give a positive cross-entropy, such as 2.2"),
}


def positive(name: str, value: Any, kind: str | None = None) -> Real:
    """Return a quantity as a float or a float64 array after checking that all of it is in range.

    Parameters
    ----------
    name : str
        The argument as the caller knows it, for the message.
    value : array_like
        The number or numbers.
    kind : str, optional
        ``"N"``, ``"D"``, ``"C"`` or ``"L"``; by default the first letter of ``name``.

    Returns
    -------
    float or numpy.ndarray
        A float for a scalar, an array otherwise.

    Raises
    ------
    ValueError
        Naming the argument, the (first offending) value, the valid range and the remedy.
    """
    unit, least, remedy = _QUANTITIES[kind or name[0]]
    if type(value) is float and max(least, _ABOVE_ZERO) <= value < math.inf:
        return value  # the common case, at once
    bound = (
        f"{name} is in {unit}: finite and {'above 0' if least == 0.0 else f'at least {least:g}'}; {remedy}"
    )
    array = _numbers(name, value, bound)
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(array) & ((array > 0.0) if least == 0.0 else (array >= least)))
    if bad.any():
        raise ValueError(f"{_first(name, array, bad)} is out of range. {bound}")
    return float(array) if array.ndim == 0 else array


def one(name: str, value: Any, kind: str | None = None) -> float:
    """Return a single quantity after the checks of :func:`positive`; an array is refused.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : float
        The quantity.
    kind : str, optional
        As for :func:`positive`.

    Returns
    -------
    float
        The quantity.

    Raises
    ------
    ValueError
        Naming the argument, the value, the valid range and the remedy.
    """
    checked = positive(name, value, kind)
    if not isinstance(checked, float):
        raise ValueError(f"{name} = {value!r} is an array; give one number here")
    return checked


def number(name: str, value: Any, low: float, high: float, remedy: str) -> float:
    """Return one number after checking that it lies between low and high, ends included.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : float
        The number.
    low, high : float
        The valid range.
    remedy : str
        What to type instead.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ValueError
        Naming the argument, the value, the valid range and the remedy.
    """
    if type(value) in (int, float) and low <= value <= high:
        return float(value)  # the common case, at once
    bound = f"{name} must be one number from {low:g} to {high:g}; {remedy}"
    array = _numbers(name, value, bound)
    if array.ndim or not low <= float(array) <= high:
        raise ValueError(f"{name} = {value!r} is out of range. {bound}")
    return float(array)


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number after checking that it is not below the least one.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : int
        The number; a boolean is none.
    least : int
        The least valid one.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        Naming the argument, the value, the valid range and the remedy.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} = {value!r} is out of range; give a whole number, {least} at least")
    return int(value)


def choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """Return a word after checking that it is among those allowed.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : str
        The word.
    allowed : collection of str
        The valid words.

    Returns
    -------
    str
        The word.

    Raises
    ------
    ValueError
        Naming the argument, the value and the valid words.
    """
    if not isinstance(value, str) or value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"{name} = {value!r} is unknown; choose one of: {words}")
    return value


def broadcast(**arguments: Real) -> None:
    """Refuse arguments whose shapes do not broadcast, naming each with its shape.

    Parameters
    ----------
    **arguments : float or numpy.ndarray
        The arguments by name.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    try:
        np.broadcast_shapes(*(np.shape(value) for value in arguments.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {list(np.shape(value))}" for name, value in arguments.items())
        raise ValueError(
            f"shapes do not broadcast: {shapes}. Use equal lengths, or an axis of length one "
            "such as N[:, None] against D[None, :]"
        ) from None


def _numbers(name: str, value: Any, bound: str) -> np.ndarray:
    """Return real numbers as float64; text, booleans and complex numbers are refused."""
    array = np.asarray(value)
    if array.dtype == object:  # mixed lists, None, big Python integers, Decimal
        for index, item in np.ndenumerate(array):
            if isinstance(item, (str, bytes, bool)) or not hasattr(item, "__float__"):
                place = f"{name}[{', '.join(map(str, index))}]" if index else name
                raise ValueError(f"{place} = {item!r} is not a number. {bound}")
        array = array.astype(float)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} = {value!r} is not a number. {bound}")
    if array.size == 0:
        raise ValueError(f"{name} is empty. {bound}")
    return array.astype(float)


def _first(name: str, array: np.ndarray, bad: np.ndarray) -> str:
    """Return 'name[i, j] = value' for the first offending element."""
    if array.ndim == 0:
        return f"{name} = {float(array)!r}"
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{name}[{', '.join(map(str, index))}] = {float(array[index])!r}"
