"""What a checker answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import fill

_WIDTH = 68  # fits a page of the book without scrolling


@dataclass(frozen=True, repr=False)
class Report:
    """Checks by name, and a hint for each that failed; shows itself as a list.

    Attributes
    ----------
    checks : dict of str to bool
        Whether each check passed.
    hints : dict of str to str
        For each check that did not, what was found and where to look.
    """

    checks: dict[str, bool] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return bool(self.checks) and all(self.checks.values())

    def __repr__(self) -> str:
        """Write one line for each check, and the hint of a failed one below it."""
        lines = []
        for name, right in self.checks.items():
            lines.append(f"{'✔' if right else '✘'} {name}")
            if not right:
                lines.append(fill(self.hints[name], _WIDTH, initial_indent="    ", subsequent_indent="    "))
        return "\n".join(lines)
