"""A corpus small enough to be built in a second, shared by all tests of the training wing."""

from __future__ import annotations

from pathlib import Path

import pytest
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
