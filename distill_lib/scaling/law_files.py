"""What a saved law must look like: the form of the file, and its checks in plain Python.

The page that plans in the browser reads such files by this very code under MicroPython;
:mod:`distill_lib.scaling.saved` writes them.
"""

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

FORMAT = "distill-lib law 1"
"""First entry of every such file; a change of what follows raises the number."""

SUPERVISED = ("E", "A", "B", "alpha", "beta", "gamma")
DISTILLATION = ("A", "B", "alpha", "beta", "gamma", "c0", "c1", "f1", "d1")


def read_law(content: Any, name: str) -> Any:
    """Return what a saved fit holds: a distillation law, its reach and the laws of its resamples.

    Parameters
    ----------
    content : dict or None
        What the file's JSON says; None if it is no JSON.
    name : str
        The file's name, for messages.

    Returns
    -------
    dict
        ``law``, ``ranges``, ``draws`` and ``accuracy``: the mean relative error on its runs, None if it is not told.

    Raises
    ------
    ValueError
        If it is no saved distillation law, saying why.
    """
    remedy = "save one with: distill-lib fit ... --save"
    if content is None:
        raise ValueError(f"{name} is no JSON; {remedy}")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{name} is no saved law ({FORMAT!r}); {remedy}")
    if content.get("kind") != "distillation":
        raise ValueError(
            f"{name} holds a {content.get('kind')} law; a plan needs one of distillation: "
            "distill-lib fit --distillation ... --save"
        )
    law = _distillation(content.get("law"), name, None)
    fitted, kept = content.get("fitted_range") or {}, content.get("draws") or []
    if not isinstance(fitted, dict) or not isinstance(kept, list):
        raise ValueError(f"{name} is damaged: fitted_range or draws is not what a saved law holds; {remedy}")
    ranges = {}
    for quantity, ends in fitted.items():
        if not isinstance(ends, list) or len(ends) != 2 or not all(_is_number(end) for end in ends):
            raise ValueError(f"{name} is damaged: fitted_range of {quantity} is {ends!r}; {remedy}")
        if ends[0] > ends[1]:
            raise ValueError(f"{name} is damaged: fitted_range of {quantity} falls; {remedy}")
        ranges[quantity] = (float(ends[0]), float(ends[1]))
    draws = [_distillation(draw, name, law["supervised"]) for draw in kept]
    error: Any = content.get("mean_error")
    if error is not None and (not _is_number(error) or not 0.0 <= error <= 1.0):
        raise ValueError(
            f"{name} is damaged: mean_error = {error!r} is no relative error from 0 to 1; {remedy}"
        )
    return {
        "law": law,
        "ranges": ranges,
        "draws": draws,
        "accuracy": None if error is None else float(error),
    }


def _distillation(values: Any, name: str, supervised: Any) -> Any:
    """Return the checked coefficients of a law; the supervised ones may be given, for draws that leave them out."""
    law = _coefficients(values, DISTILLATION, name, "")
    if values.get("supervised") is not None or supervised is None:
        supervised = _coefficients(values.get("supervised"), SUPERVISED, name, "supervised ")
    law["supervised"] = supervised
    return law


def _coefficients(values: Any, keys: Any, name: str, part: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{name} holds no law: its {part}coefficients are missing")
    law = {}
    for key in keys:
        value: Any = values.get(key)
        if not _is_number(value) or value < 0.0 or (value == 0.0 and key != "E"):
            raise ValueError(
                f"{name} holds no law: {part}{key} = {value!r} is no coefficient, finite and above 0 (E may be 0)"
            )
        law[key] = float(value)
    return law


def _is_number(value: Any) -> Any:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
