"""Raw counts and nats per token: what is converted on request, and what looks as if it should have been.

A loss of 3.9 may be nats or bits, a size of 7 may be millions or billions: nothing is converted unless asked
for. What looks wrong is a finding with the option that would mend it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np
import pandas as pd

from distill_lib.observations.findings import Finding, Severity, at_rows
from distill_lib.scaling import _checks
from distill_lib.scaling.laws import published_law

_COUNTS = {"raw": 1.0, "thousands": 1e3, "millions": 1e6, "billions": 1e9, "trillions": 1e12}

#: By letter, what one of each unit is in raw counts or nats per token; ``nan`` where it is no factor.
UNITS: Mapping[str, Mapping[str, float]] = {
    "N": {**_COUNTS, "suffixed": math.nan},
    "D": {**_COUNTS, "suffixed": math.nan},
    "C": {"raw": 1.0, "petaflop-days": 8.64e19, "exaflops": 1e18, "zettaflops": 1e21, "suffixed": math.nan},
    "L": {
        "nats": 1.0,
        "bits": math.log(2.0),
        "perplexity": math.nan,
        "percent": 0.01,
        "bits-per-byte": math.nan,
        "nats-per-byte": math.nan,
    },
}
_BYTES_PER_TOKEN = 4.4  # typical of English and tens of thousands of tokens; only to name a likely unit
_BLIND = 12.5  # nats: a blind guess among 256,000 tokens, the largest vocabularies in use
_OVER_BLIND = 1.2  # as in runs: so far above ln(vocab_size) no training run ends


def letter(symbol: str) -> str:
    """Return the kind of quantity: ``"N"`` for ``"N_S"``; symbols without a unit as they are.

    Parameters
    ----------
    symbol : str
        Such as ``"N"``, ``"L_T"`` or ``"weight"``.

    Returns
    -------
    str
        N, D, C or L, else the symbol.
    """
    return symbol[0] if symbol[:1] in UNITS and symbol[1:] in ("", "_S", "_T") else symbol


def by_symbol(units: Mapping[str, str] | None, symbols: list[str]) -> dict[str, str]:
    """Spell out units given by letter: ``{"L": "bits"}`` holds for ``L_T`` and ``L_S``.

    Parameters
    ----------
    units : mapping of str to str, optional
        Unit by symbol, or by letter.
    symbols : list of str
        The symbols that the table can have.

    Returns
    -------
    dict of str to str
        Unit by symbol; a symbol's own unit goes before its letter's.

    Raises
    ------
    ValueError
        For a symbol that has no unit here, or an unknown unit.
    """
    with_unit = [symbol for symbol in symbols if letter(symbol) in UNITS]
    spelt: dict[str, str] = {}
    for name, unit in sorted((units or {}).items(), key=lambda item: len(item[0])):
        _checks.choice("a key of units", name, dict.fromkeys([*map(letter, with_unit), *with_unit]))
        _checks.choice(f"units[{name!r}]", unit, UNITS[letter(name)])
        spelt |= {symbol: unit for symbol in with_unit if name in (symbol, letter(symbol))}
    return spelt


def convert(values: np.ndarray, kind: str, unit: str, bytes_per_token: float | None = None) -> np.ndarray:
    """Convert to raw counts or nats per token.

    Parameters
    ----------
    values : numpy.ndarray
        Numbers in ``unit``.
    kind : str
        N, D, C or L.
    unit : str
        A unit of :data:`UNITS`.
    bytes_per_token : float, optional
        Mean length of a token; needed for losses per byte.

    Returns
    -------
    numpy.ndarray
        Same shape.

    Raises
    ------
    ValueError
        For a loss per byte without ``bytes_per_token``.
    """
    if unit == "perplexity":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(values)
    if unit.endswith("-per-byte"):
        if bytes_per_token is None:
            raise ValueError(
                f'units["L"] = {unit!r} needs the mean length of a token; give bytes_per_token, such as 4.4 '
                "(--bytes-per-token 4.4)"
            )
        length = _checks.number("bytes_per_token", bytes_per_token, 0.1, 100.0, "such as 4.4 for English")
        return values * (length * (math.log(2.0) if unit.startswith("bits") else 1.0))
    return values if unit in ("raw", "nats", "suffixed") else values * UNITS[kind][unit]


def asking(symbol: str, unit: str) -> str:
    """Say what to type for a unit.

    Parameters
    ----------
    symbol : str
        The symbol.
    unit : str
        The unit.

    Returns
    -------
    str
        The argument, and the option of the command line.
    """
    return f'units={{"{symbol}": "{unit}"}} (--unit {symbol}={unit})'


class UnitCheck:
    """Look at converted numbers for signs of another unit.

    Parameters
    ----------
    numbers : mapping of str to numpy.ndarray
        Values by symbol, after conversion; NaN where there is none.
    fields : mapping of str to pandas.Series
        The same columns as they stand in the table.
    declared : mapping of str to str
        Units that the caller gave: what is said to be raw or nats is believed, with a warning.
    vocabulary : numpy.ndarray or float, optional
        Tokens in the vocabulary.
    computed : collection of str
        Tokens that were computed from C: what is odd about them is C's.
    asked : collection of str
        Symbols whose unit was asked for already.
    """

    def __init__(
        self,
        numbers: Mapping[str, np.ndarray],
        fields: Mapping[str, pd.Series],
        declared: Mapping[str, str],
        vocabulary: np.ndarray | float | None = None,
        computed: Collection[str] = (),
        asked: Collection[str] = (),
    ) -> None:
        self.numbers, self.fields, self.declared = numbers, fields, declared
        self.vocabulary, self.computed, self.asked = vocabulary, computed, asked
        self.findings: list[Finding] = []

    def run(self) -> list[Finding]:
        """Make all checks.

        Returns
        -------
        list of Finding
            At most one per column, save for rows that differ from the rest of theirs.
        """
        with np.errstate(all="ignore"):
            checks: Mapping[str, Callable[[str], None]] = {
                "N": self._size,
                "D": self._tokens,
                "L": self._loss,
            }
            for symbol in self.numbers:
                asked = symbol in self.asked
                if not asked and letter(symbol) in checks and np.isfinite(self.numbers[symbol]).any():
                    checks[letter(symbol)](symbol)
            self._compute()
        return self.findings

    def _add(
        self, symbol: str, bad: np.ndarray, message: str, remedy: str, *, doubtful: bool = False
    ) -> None:
        """Add a finding at the rows that are bad; no error where the caller vouches for the unit."""
        severity: Severity = (
            "warning" if doubtful or self.declared.get(symbol) in ("raw", "nats") else "error"
        )
        rows = np.flatnonzero(bad)
        if rows.size:
            field = self.fields.get(symbol, pd.Series(self.numbers[symbol]))
            self.findings.append(at_rows(severity, "unit", symbol, rows, field, message, remedy))

    def _pair(self, symbol: str) -> tuple[np.ndarray, np.ndarray]:
        """Return N and D of the same model; NaN where there is none."""
        role, none = symbol[1:], np.full(self.numbers[symbol].shape, math.nan)
        return self.numbers.get(f"N{role}", none), self.numbers.get(f"D{role}", none)

    def _size(self, symbol: str) -> None:
        N, (_, D) = self.numbers[symbol], self._pair(symbol)
        ratio = _median(D / N)
        raw_D = _median(D) >= 1e6
        if np.nanmax(N) < 1e3 or (np.nanmax(N) < 1e5 and raw_D and ratio > 1e5):
            likely = _likeliest(
                ("thousands", "millions", "billions"),
                lambda f: (
                    abs(math.log10(_median(N) * f / 3e8))
                    + (abs(math.log10(ratio / f / 50)) if raw_D else 0.0)
                ),
            )
            self._add(symbol, N > 0, f"is no raw count of parameters; in {likely}?", _either(symbol, likely))
            return
        self._add(
            symbol,
            N > 1e15,
            "is too large for a model; training FLOPs?",
            f"name the column of {symbol} by columns=",
        )
        if _median(N) >= 1e5:
            odd = (N > 0) & (N < 1e3)
            self._add(
                symbol,
                odd,
                f"is no raw count, though other rows of {symbol} are",
                "give all rows in one unit",
            )

    def _tokens(self, symbol: str) -> None:
        D, (N, _) = self.numbers[symbol], self._pair(symbol)
        ratio = _median(D / N)
        raw_N = 1e5 <= _median(N) <= 1e15
        if symbol in self.computed:
            self._computed_tokens(D, N, ratio)
            return
        if np.nanmax(D) < 1e4 or (raw_N and ratio < 1e-3):
            centre = math.log10(20.0 * _median(N)) if raw_N else 10.3
            likely = _likeliest(
                ("thousands", "millions", "billions", "trillions"),
                lambda f: abs(math.log10(_median(D) * f) - centre),
            )
            self._add(symbol, D > 0, f"is no raw count of tokens; in {likely}?", _either(symbol, likely))
            return
        if _median(D) > 1e15 or (raw_N and ratio > 1e7):
            self._add(
                symbol,
                D > 0,
                "is more than any training has read; FLOPs?",
                'name the column as compute and derive tokens: columns={...: "C"}, tokens_from="6ND" '
                "(--column C=... --tokens-from 6ND)",
            )
            return
        if raw_N:
            odd = ((D > 0) & (D < 1e-4 * N)) | (D > 1e15)
            self._add(symbol, odd, f"is far from the other rows of {symbol}", "give all rows in one unit")

    def _computed_tokens(self, D: np.ndarray, N: np.ndarray, ratio: float) -> None:
        if not 1e-3 < ratio < 1e7:
            target = math.log10(20.0 * _median(N))
            factors = {unit: factor for unit, factor in UNITS["C"].items() if not math.isnan(factor)}
            likely = min(factors, key=lambda unit: abs(math.log10(_median(D) * factors[unit]) - target))
            said = f"is no training compute in FLOPs: it would make {ratio:.3g} tokens per parameter"
            if likely == "raw":
                self._add("C", D > 0, said, "is it another quantity? name the right column by columns=")
            else:
                self._add("C", D > 0, f"{said}; in {likely}?", _either("C", likely))

    def _loss(self, symbol: str) -> None:
        L = self.numbers[symbol]
        likely, misfit = self._likely_loss_unit(symbol)
        blind = np.asarray(_BLIND if self.vocabulary is None else _OVER_BLIND * np.log(self.vocabulary))
        high = np.isfinite(L) & (L > blind)
        if high.any():
            limit = float(np.broadcast_to(blind, L.shape)[np.flatnonzero(high)[0]])
            whose = "any vocabulary" if self.vocabulary is None else "this vocabulary"
            said = f"is above {limit:.3g} nats, out of reach even of a blind guess over {whose}"
            if high.mean() > 0.1:
                unit = likely if likely != "nats" else "bits" if _median(L) < 18.0 else "perplexity"
                self._add(symbol, high, f"{said}; in {unit}?", _either(symbol, unit))
            else:
                self._add(
                    symbol, high, said, "did the run diverge? remove it, or give all rows in nats per token"
                )
            return
        if likely != "nats":
            said = f"and the rest are {misfit:.2f} times what text models of such N and D reach; in {likely}?"
            self._add(
                symbol,
                L > 0,
                said,
                f"{asking(symbol, likely)}, or {asking(symbol, 'nats')} if they are nats",
                doubtful=True,
            )
        elif np.nanmax(L) < 1.0:
            said = "and all others are below 1 nat per token, where text models do not get; in bits-per-byte?"
            self._add(
                symbol,
                L > 0,
                said,
                f"{asking(symbol, 'bits-per-byte')}, or {asking(symbol, 'nats')} if they are nats",
                doubtful=True,
            )

    def _likely_loss_unit(self, symbol: str) -> tuple[str, float]:
        """Name the unit in which losses come nearest to the published law, and how far nats are from it."""
        N, D = self._pair(symbol)
        L = self.numbers[symbol]
        # The law was fitted to text, 143M parameters and up; below a tenth of that it is no guide.
        usable = (N >= 1e7) & (D >= 1e8) & (N < 1e14) & (D < 1e15) & (L > 0) & np.isfinite(L)
        if usable.sum() < 3 or self.declared.get(symbol) == "nats":
            return "nats", 1.0
        reference = published_law().supervised.loss(N[usable], D[usable])
        off = {
            unit: abs(_median(np.log(convert(L[usable], "L", unit, _BYTES_PER_TOKEN) / reference)))
            for unit in UNITS["L"]
        }
        off = {unit: distance if np.isfinite(distance) else math.inf for unit, distance in off.items()}
        best = min(off, key=lambda unit: off[unit])
        clear = off["nats"] > math.log(1.3) and off[best] < 0.5 * off["nats"]
        return (best if clear else "nats"), float(_median(L[usable] / reference))

    def _compute(self) -> None:
        """Compare C with 6ND where a table has all three: a slip of a unit shows as a factor."""
        names = [name for name in ("N", "N_S") if name in self.numbers]
        if not names or "C" not in self.numbers or any(f.code == "unit" for f in self.findings):
            return
        N, D = self._pair(names[0])
        factor = self.numbers["C"] / (6.0 * N * D)
        middle = _median(factor)
        if not 0.2 < middle < 10.0 and np.isfinite(middle):
            said = f"and in the median row C is {middle:.3g} times 6 N D"
            self._add(
                "C",
                np.isfinite(factor),
                said,
                "one of the three is in another unit; see units=",
                doubtful=True,
            )


def _median(values: np.ndarray) -> float:
    """Median of the numbers there are; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else math.nan


def _likeliest(units: tuple[str, ...], distance: Callable[[float], float]) -> str:
    return min(units, key=lambda unit: distance(_COUNTS[unit]))


def _either(symbol: str, unit: str) -> str:
    """Offer a unit, and name the others."""
    others = ", ".join(other for other in UNITS[letter(symbol)] if other != unit)
    return f"{asking(symbol, unit)}; or one of {others}"
