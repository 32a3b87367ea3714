"""A bar in a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from distill_lib.training import progress
from distill_lib.training.progress import Reporter


def use(reporter: Reporter) -> None:
    with reporter:
        reporter.begin("training", total=4.0)
        reporter.advance(2.0)
        reporter.say("a run: L = 4.0 [nats/token]")
        reporter.advance(2.0)


def test_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]):
    use(Reporter())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("] ", 1)[1] for line in lines] == ["training ...", "a run: L = 4.0 [nats/token]"]


def test_a_bar_with_time_left_in_a_terminal(monkeypatch: pytest.MonkeyPatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    use(Reporter())
    shown = screen.getvalue()
    assert "training" in shown
    assert "100 %" in shown
    assert "left" in shown
    assert "a run: L = 4.0 [nats/token]" in shown


def test_nothing_when_quiet(capsys: pytest.CaptureFixture[str]):
    use(Reporter(quiet=True))
    captured = capsys.readouterr()
    assert captured.err + captured.out == ""
