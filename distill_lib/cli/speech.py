"""How the command line speaks: faults in one line, findings in colour."""

from __future__ import annotations

import sys


def say(message: str, status: int) -> int:
    """Tell a fault.

    Parameters
    ----------
    message : str
        What is wrong, and how to mend it.
    status : int
        The exit status that goes with it.

    Returns
    -------
    int
        The status.
    """
    print(f"distill-lib: {message}", file=sys.stderr)
    return status


def print_findings(text: str) -> None:
    """Print findings, in colour on a terminal.

    Parameters
    ----------
    text : str
        One finding a line, each with its severity in front.
    """
    from rich.console import Console
    from rich.text import Text

    styled = Text(text)
    for severity, style in (("error", "bold red"), ("warning", "yellow"), ("note", "cyan")):
        styled.highlight_regex(rf"(?m)^{severity}(?=:)", style)
    Console(highlight=False).print(styled, soft_wrap=True)
