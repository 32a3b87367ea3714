"""Progress that fits where it is shown: a bar with time left in a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Reporter:
    """Report one task after the other on standard error.

    Parameters
    ----------
    quiet : bool
        Report nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, quiet=quiet)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = time.monotonic()
        if self._console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("elapsed,"),
                TimeRemainingColumn(),
                TextColumn("left"),
                console=self._console,
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, label: str, total: float) -> None:
        """Begin a task.

        Parameters
        ----------
        label : str
            What is done, a few words.
        total : float
            Work to do, in any unit.
        """
        if self._bar is not None:
            self._task = self._bar.add_task(label, total=total)
        else:
            self.say(f"{label} ...")

    def advance(self, done: float) -> None:
        """Move the bar.

        Parameters
        ----------
        done : float
            Work done since the last call, in the unit of the total.
        """
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, done)

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one.

        Parameters
        ----------
        line : str
            The line.
        """
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        elif not self._quiet:
            print(f"[{time.monotonic() - self._started:6.1f} s] {line}", file=sys.stderr, flush=True)
