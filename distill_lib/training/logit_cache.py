"""Logits of a teacher, kept on disk for the other students that read the same windows.

A trained teacher speaks to its students in half precision, with the largest logit of each position at zero,
whether its logits are kept or not: the loss moves by less than 1e-5 nats, and a student is the same to the bit
with the cache and without it (wherever the teacher's rows do not depend on the batch that they stand in, as
measured on the CPU). So nothing hangs on the cache but time: it may be lost, damaged or full.

What is kept is all that a student sees (`kept_forms`): every logit, or the likeliest tokens and the mass of the
others. The windows of a run are cut into chunks in reading order. A chunk is one file: a header of 1,024 bytes,
then the numbers. It is known by the windows in it, built by the first student that comes to it while others
wait for that chunk alone, and believed after its hash was checked, once in a process.
"""

import contextlib
import json
import math
import os
from collections.abc import Callable
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distill_lib.scaling.specifications import ModelSpec
from distill_lib.training.cache import key_of, lock_for, new_file
from distill_lib.training.corpus import Corpus
from distill_lib.training.devices import half_precision
from distill_lib.training.kept_forms import AllLogits, KeptForm
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.sharing import bytes_per_token
from distill_lib.training.sparse_teachers import SparseTeacher

_FORMAT = 1
_HEADER = 1024  # bytes
_CHUNK = 256  # windows: 16 MB at a context of 64 and a vocabulary of 512
_BATCH = 32  # windows that the teacher reads at once


def half(logits: Tensor) -> Tensor:
    """Write a teacher's logits in half precision, with the largest of each position at zero.

    Likely tokens are then written most finely: to 2^-11 of their distance from the likeliest.

    Parameters
    ----------
    logits : Tensor
        Logits [..., V].

    Returns
    -------
    Tensor
        The same distributions [..., V], float16; excluded tokens stay excluded.
    """
    return (logits - logits.amax(-1, keepdim=True)).half()


def worth_caching(teacher: ModelSpec, students: int, k: int | None = None) -> bool:
    """Tell whether students that read the same windows save time by keeping their teacher's logits.

    Parameters
    ----------
    teacher : ModelSpec
        The teacher.
    students : int
        Students that read the same windows.
    k : int or None
        Likeliest tokens that are kept; None for all logits.

    Returns
    -------
    bool
        Whether what is saved, a forward pass for each student but the first, is more than what is paid: a
        write, and a read and a check for each. Times are those of one CPU core (``benchmarks/training.py``).
    """
    forward = teacher.architecture.flops_forward / 36e9 + 2e-6  # s per token
    size = bytes_per_token(teacher.vocab_size, k)
    write, read = size / 0.45e9, size / 1.3e9  # s per token; the hash is in both
    return (students - 1) * (forward - read) > write


class LogitCache:
    """The kept logits of one teacher on the windows of one order.

    Parameters
    ----------
    folder : Path
        Folder of all kept logits; the limit holds for it.
    name : str
        What decides the logits: the teacher by what made it, the part of the text, the order.
    teacher : Module
        The teacher, on its device: tokens [B, T] in, logits [B, T, V] out.
    corpus : Corpus or LanguageCorpus
        The text.
    part : {"teacher", "student"}
        The part that is read.
    seq_len : int
        Context, tokens.
    limit : int
        Bytes that all kept logits may take. Those of other names make room; beyond, and on a full disk, the
        teacher is asked instead.
    note : callable or None
        Called with a line for people when logits are built again or cannot be kept.
    form : AllLogits, LikeliestTokens or None
        What is kept; None for all logits.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        teacher: nn.Module,
        corpus: Corpus | LanguageCorpus,
        part: str,
        seq_len: int,
        *,
        limit: int = 2 * 10**9,
        note: Callable[[str], None] | None = None,
        form: KeptForm | None = None,
    ) -> None:
        self._root, self._name = folder, name
        self._teacher, self._corpus, self._part, self._seq_len = teacher, corpus, part, seq_len
        self._limit, self._note = limit, note or (lambda line: None)
        self._form = AllLogits(corpus.vocab_size) if form is None else form
        self._full = False
        self._checked: set[tuple[Path, int]] = set()
        self._chunk: tuple[int, list[NDArray[Any]] | None] = (-1, None)

    def logits(self, order: NDArray[np.int64], first: int, count: int) -> Tensor | SparseTeacher | None:
        """Read what is kept for windows that follow each other in an order.

        Parameters
        ----------
        order : ndarray
            All windows of the run, by number [n], in reading order.
        first : int
            Place of the first one in the order.
        count : int
            How many.

        Returns
        -------
        Tensor, SparseTeacher or None
            Logits [count, T, V], float16 on the CPU, or the likeliest tokens at positions [count, T]; None if
            they cannot be kept: ask the teacher.
        """
        pieces = []
        while count:
            number, row = divmod(first, _CHUNK)
            if self._chunk[0] != number:
                self._chunk = (number, self._open(order[number * _CHUNK : (number + 1) * _CHUNK]))
            chunk = self._chunk[1]
            if chunk is None:
                return None
            taken = min(count, len(chunk[0]) - row)
            pieces.append([part[row : row + taken] for part in chunk])
            first, count = first + taken, count - taken
        # A copy, since torch does not take memory that must not be written.
        return self._form.teacher([np.concatenate(part) for part in zip(*pieces, strict=True)])

    def _open(self, windows: NDArray[np.int64]) -> list[NDArray[Any]] | None:
        """Map the parts of a chunk, building it first if need be; None if there is no room."""
        header: dict[str, Any] = {
            "format": _FORMAT,
            "teacher": self._name,
            "corpus": self._corpus.id,
            "part": self._part,
            "windows": sha256(windows.tobytes()).hexdigest(),
            "shape": [len(windows), self._seq_len, self._corpus.vocab_size],
            **self._form.name,
        }
        places = len(windows), self._seq_len
        parts = [(np.dtype(kind), (*places, *shape)) for kind, shape in self._form.columns]
        sizes = [kind.itemsize * math.prod(shape) for kind, shape in parts]
        path = self._root / self._name / f"{key_of(header)}.logits"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with lock_for(path.parent):
                fault = self._fault(path, header)
                if fault is not None:
                    if path.exists():
                        self._note(f"kept logits {path.name} are damaged ({fault}): building them again")
                    if not self._room_for(sum(sizes)):
                        return None
                    self._build(path, header, windows)
                with contextlib.suppress(OSError):
                    os.utime(path)  # least recently used ones make room first
                starts = accumulate(sizes[:-1], initial=_HEADER)
                return [
                    np.memmap(path, kind, "r", offset=start, shape=shape)
                    for (kind, shape), start in zip(parts, starts, strict=True)
                ]
        except OSError as error:
            self._give_up(f"{error.strerror or error}")
            return None

    def _fault(self, path: Path, header: dict[str, Any]) -> str | None:
        """Say what is wrong with a chunk, if anything."""
        if not path.exists():
            return "missing"
        seen = (path, path.stat().st_ino)
        if seen in self._checked:
            return None
        content = path.read_bytes()
        try:
            found = dict(json.loads(content[:_HEADER]))
        except (ValueError, TypeError):
            return "its header cannot be read"
        if found | {"sha256": None} != header | {"sha256": None}:
            return "its header names other logits"
        if sha256(memoryview(content)[_HEADER:]).hexdigest() != found["sha256"]:
            return "it differs from its hash"
        self._checked.add(seen)
        return None

    def _build(self, path: Path, header: dict[str, Any], windows: NDArray[np.int64]) -> None:
        device = next((weight.device for weight in self._teacher.parameters()), torch.device("cpu"))
        for draft in path.parent.glob(".*.logits-*"):  # from a worker that was killed: the lock is ours now
            draft.unlink(missing_ok=True)
        rows = []
        with torch.no_grad(), half_precision(device):
            for first in range(0, len(windows), _BATCH):
                index = windows[first : first + _BATCH]
                batch = torch.from_numpy(self._corpus.windows(self._part, index, self._seq_len)).to(device)
                rows.append(self._form.parts(half(self._teacher(batch[:, :-1]))))
        data = b"".join(np.concatenate(part).tobytes() for part in zip(*rows, strict=True))
        whole = header | {"sha256": sha256(data).hexdigest()}
        with new_file(path, durable=False) as file:  # its hash tells if a crash left half of it
            file.write(json.dumps(whole).encode().ljust(_HEADER))
            file.write(data)
        self._checked.add((path, path.stat().st_ino))

    def _room_for(self, size: int) -> bool:
        """Make room by removing what other teachers left longest ago; False if that is not enough."""
        kept = []
        for path in self._root.glob("*/*.logits"):
            with contextlib.suppress(FileNotFoundError):  # another worker made room just now
                kept.append((path.stat().st_mtime, path.stat().st_size, path))
        excess = sum(each for _, each, _ in kept) + size - self._limit
        for _, each, path in sorted(kept):
            if excess <= 0:
                break
            if path.parent.name != self._name:
                path.unlink(missing_ok=True)
                excess -= each
        if excess > 0:
            self._give_up(f"the limit of {self._limit / 1e9:g} GB is reached")
        return excess <= 0

    def _give_up(self, reason: str) -> None:
        if not self._full:
            self._note(f"teacher logits are computed anew, not kept: {reason}")
        self._full = True
