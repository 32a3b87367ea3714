"""The result of reading a table of runs: usable rows, where they come from, and what was found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from distill_lib.observations.findings import SEVERITIES, Finding, listing
from distill_lib.observations.units import UNITS, letter

Kind = Literal["supervised", "distillation"]


class ObservationsError(ValueError):
    """A table of runs cannot be fitted as it is; the message lists every error."""


@dataclass(frozen=True)
class Observations:
    """A table of runs made ready for a fit, with all that was found on the way.

    Parameters
    ----------
    source : str
        Name of the table.
    kind : {"supervised", "distillation"}
        Which law the observations are for.
    frame : pandas.DataFrame
        The usable rows, indexed by their row in the table: ``N``, ``D``, ``L`` (or ``N_S``, ``D_S``, ``L_T``,
        ``L_S``) as raw counts and nats per token, other known columns by their symbols, then all that no fit needs
        under its own name.
    columns : dict of str to str
        The header that each symbol was read from.
    computed : dict of str to str
        The formula of each symbol that was not read.
    units : dict of str to str
        Units that were converted from, by symbol.
    other_columns : tuple of str
        Columns that were kept and not used.
    rows_read : int
        Rows of the table.
    left_out : dict of str to numpy.ndarray
        Rows that are not in the frame, by reason; with the frame they are all the rows.
    findings : tuple of Finding
        In the order in which they were made.
    """

    source: str
    kind: Kind
    frame: pd.DataFrame
    columns: dict[str, str]
    computed: dict[str, str]
    units: dict[str, str]
    other_columns: tuple[str, ...]
    rows_read: int
    left_out: dict[str, np.ndarray]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid a fit."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def require(self, allow: Collection[str] = ()) -> Observations:
        """Return the observations if they can be fitted.

        Parameters
        ----------
        allow : collection of str
            Codes of findings to pass over, such as ``"in_step"``.

        Returns
        -------
        Observations
            These.

        Raises
        ------
        ObservationsError
            Listing the errors: the first ten, and the count of the rest.
        """
        errors = [error for error in self.errors if error.code not in allow]
        if errors:
            raise ObservationsError("\n".join(f"{self.source}: {line}" for line in listing(errors)))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Describe the observations as plain values, for JSON; the frame is left out.

        Returns
        -------
        dict
            Every field but the frame; of the rows left out, the count and the first hundred.
        """
        return {
            "source": self.source,
            "kind": self.kind,
            "usable": not self.errors,
            "rows_read": self.rows_read,
            "rows_used": len(self.frame),
            "left_out": [
                {"reason": reason, "count": len(rows), "rows": rows[:100].tolist()}
                for reason, rows in self.left_out.items()
            ],
            "columns": self.columns,
            "computed": self.computed,
            "units": self.units,
            "other_columns": list(self.other_columns),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def __str__(self) -> str:
        out = self.rows_read - len(self.frame)
        lines = [
            f"{self.source}: {self.rows_read} rows read, {len(self.frame)} used, {out} left out ({self.kind})"
        ]
        lines += [f"  left out: {len(rows)} ({reason})" for reason, rows in self.left_out.items()]
        origins = {symbol: repr(header) for symbol, header in self.columns.items()} | self.computed
        for symbol, origin in origins.items():
            line = f"  {symbol} from {origin}"
            if symbol in self.units:
                line += f", in {self.units[symbol]}"
            if symbol in self.frame and letter(symbol) in UNITS and len(self.frame):
                line += f": {self.frame[symbol].min():.4g} to {self.frame[symbol].max():.4g}"
            lines.append(line)
        if self.other_columns:
            lines.append(f"  kept, not used: {', '.join(self.other_columns)}")
        counts = {name: sum(f.severity == name for f in self.findings) for name in SEVERITIES}
        lines.append(
            ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
        )
        return "\n".join([*lines, *listing(self.findings)])
