"""Budgets in accelerators and days: what 64xH100x14d buys, and what a number of FLOPs costs.

Peaks are those of dense bf16 matrix products in the vendors' data sheets; a sheet that advertises the figure
"with sparsity" shows twice that. No training reaches the peak: the utilisation says which part of it is had.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from distill_lib.scaling import _checks

DAY = 86400.0
"""Seconds of a day."""

UTILISATION = 0.4
"""Part of the peak that training gets unless told otherwise: a middling figure for large runs, to be replaced by one's own."""


@dataclass(frozen=True)
class Accelerator:
    """A kind of accelerator.

    Parameters
    ----------
    name : str
        As typed in a budget.
    peak : float
        Dense bf16 FLOPs per second.
    source : str
        The vendor's sheet that says so.
    """

    name: str
    peak: float
    source: str


_NVIDIA = "https://www.nvidia.com/en-us/data-center"
_GOOGLE = "https://cloud.google.com/tpu/docs"
_AMD = "https://www.amd.com/en/products/accelerators/instinct"

ACCELERATORS = {
    kind.name.lower(): kind
    for kind in (
        Accelerator("A100", 312e12, f"NVIDIA A100 data sheet, {_NVIDIA}/a100"),
        Accelerator("H100", 989.5e12, f"NVIDIA H100 data sheet, SXM: half of 1,979, {_NVIDIA}/h100"),
        Accelerator("H100-PCIe", 756.5e12, f"NVIDIA H100 data sheet, PCIe: half of 1,513, {_NVIDIA}/h100"),
        Accelerator("H100-NVL", 835.5e12, f"NVIDIA H100 data sheet, NVL: half of 1,671, {_NVIDIA}/h100"),
        Accelerator("H200", 989.5e12, f"NVIDIA H200 data sheet, SXM: half of 1,979, {_NVIDIA}/h200"),
        Accelerator("B200", 2250e12, f"NVIDIA HGX B200: half of 36,000 / 8, {_NVIDIA}/hgx"),
        Accelerator("L40S", 362.05e12, f"NVIDIA L40S data sheet, {_NVIDIA}/l40s"),
        Accelerator("MI250X", 383e12, f"AMD Instinct MI250X data sheet, {_AMD}/mi200/mi250x.html"),
        Accelerator("TPUv4", 275e12, f"Google Cloud TPU v4, {_GOOGLE}/v4"),
        Accelerator("TPUv5e", 197e12, f"Google Cloud TPU v5e, {_GOOGLE}/v5e"),
        Accelerator("TPUv5p", 459e12, f"Google Cloud TPU v5p, {_GOOGLE}/v5p"),
        Accelerator("TPUv6e", 918e12, f"Google Cloud TPU v6e, {_GOOGLE}/v6e"),
    )
}
"""The accelerators known, by lower-case name."""

_SECONDS = {"h": 3600.0, "d": DAY, "w": 7 * DAY}
_FLEET = re.compile(
    r"\s*(?P<count>\d+)\s*[x×*]\s*(?P<kind>[a-z][a-z0-9-]*?)"
    r"(?:\s*[x×*]\s*(?P<time>\d+\.?\d*|\.\d+)\s*(?P<unit>[hdw])(?:ours?|ays?|eeks?)?)?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Fleet:
    """Accelerators of one kind, perhaps for a time.

    Parameters
    ----------
    kind : Accelerator
        Which.
    count : int
        How many.
    seconds : float or None
        For how long; None where only the price of a number of FLOPs is asked for.
    utilisation : float
        Part of the peak that is had.
    """

    kind: Accelerator
    count: int
    seconds: float | None
    utilisation: float = UTILISATION

    @property
    def flops(self) -> float:
        """FLOPs that they deliver in their time; infinite without one."""
        seconds = float("inf") if self.seconds is None else self.seconds
        return self.count * seconds * self.kind.peak * self.utilisation

    def device_days(self, C: float) -> float:
        """Return the days that one device would take.

        Parameters
        ----------
        C : float
            FLOPs.

        Returns
        -------
        float
            Device-days, GPU-days for a GPU.
        """
        return C / (self.kind.peak * self.utilisation * DAY)

    def days(self, C: float) -> float:
        """Return the days that all of them together take.

        Parameters
        ----------
        C : float
            FLOPs.

        Returns
        -------
        float
            Days.
        """
        return self.device_days(C) / self.count


def parse_fleet(text: str, name: str = "budget", utilisation: float = UTILISATION) -> Fleet | None:
    """Return the accelerators that a person typed; None for a text that speaks of none.

    Parameters
    ----------
    text : str
        Count, kind and time such as ``"64xH100x14d"``; time in hours (h), days (d) or weeks (w), and it may
        be left out.
    name : str
        What the message calls it, such as an option.
    utilisation : float
        Part of the peak that is had.

    Returns
    -------
    Fleet or None
        The accelerators.

    Raises
    ------
    ValueError
        For an unknown kind, none of them, no time at all, or a utilisation that is no share.

    Examples
    --------
    >>> f"{parse_fleet('64xH100x14d').flops:.4g}"
    '3.064e+22'
    """
    found = _FLEET.fullmatch(text)
    if found is None:
        return None
    kind = find_accelerator(found["kind"], name)
    count = _checks.number(f"{name} (count)", int(found["count"]), 1, 1e7, "count the devices")
    seconds = None
    if found["time"]:
        seconds = float(found["time"]) * _SECONDS[found["unit"].lower()]
        if not seconds > 0.0:
            raise ValueError(f"{name} = {text!r} takes no time; type such as 64x{kind.name}x14d")
    share = _checks.number("utilisation", utilisation, 1e-6, 1.0, "give the part of the peak, such as 0.4")
    return Fleet(kind, int(count), seconds, share)


def find_accelerator(kind: str, name: str) -> Accelerator:
    """Return an accelerator by its name, in either case.

    Parameters
    ----------
    kind : str
        Its name, such as ``"H100"``.
    name : str
        What the message calls it.

    Returns
    -------
    Accelerator
        With its peak and source.

    Raises
    ------
    ValueError
        For another one, listing those known.
    """
    try:
        return ACCELERATORS[kind.lower()]
    except KeyError:
        known = ", ".join(each.name for each in ACCELERATORS.values())
        raise ValueError(
            f"{name}: {kind!r} is no accelerator known here; choose one of {known}, or give FLOPs"
        ) from None
