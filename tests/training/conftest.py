"""What all tests of the training wing share: a corpus that is built in a second, and a stand-in for a GPU."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import stand_in
import torch
from tiny import TINY

from distill_lib.training.corpus import Corpus, open_corpus


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def corpus(cache: Path) -> Corpus:
    return open_corpus(TINY, cache)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[stand_in.Graph]:
    """Let the CPU capture and replay graphs as a GPU does; all that are made are listed."""
    monkeypatch.setattr(stand_in.Graph, "made", [])
    monkeypatch.setattr(torch.cuda, "CUDAGraph", stand_in.Graph)
    monkeypatch.setattr(torch.cuda, "graph", stand_in.capture)
    monkeypatch.setattr(torch.cuda, "Stream", stand_in.Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", stand_in.Stream)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr("distill_lib.training.together.replays_graphs", lambda device: True)
    return stand_in.Graph.made
