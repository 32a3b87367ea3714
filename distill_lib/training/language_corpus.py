"""Text without an end in a language of known entropy, read like any other corpus and with the truth beside it.

Windows are independent of each other, each begins in the long-run distribution of the language, and each is
made when it is read: its tokens follow from its number alone. Teachers, students and validation draw from
parts of one numbering that do not meet, and so does each seed of a run.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_lib.scaling.specifications import LanguageSpec
from distill_lib.training.cache import code_hash, file_sha256, installed_versions, key_of, sealed
from distill_lib.training.language import Language, Stationary, design_language
from distill_lib.training.progress import Reporter
from distill_lib.training.sampling import continue_streams, random_draws, random_words
from distill_lib.training.sources import PARTS, CorpusError

_BLOCK = 1024  # windows made together: one alone would cost as many steps
_RUN_BITS = 31  # of a counter: its place within the stream of one part and seed


class LanguageCorpus:
    """A language of known entropy as a corpus; the same calls as `corpus.Corpus`.

    Parameters
    ----------
    folder : Path
        Folder with ``manifest.json`` and the tables, as `build_language` makes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        self.id: str = self.manifest["id"]
        self.vocab_size: int = self.manifest["vocab_size"]
        self.entropy_rate: float = self.manifest["entropy_rate"]
        order = self.manifest["spec"]["order"]
        stationary = Stationary(np.load(folder / "stationary.npy"), **self.manifest["stationary"])
        self.language = Language(np.load(folder / "counts.npy", mmap_mode="r"), order, stationary)
        self._slots = np.load(folder / "slots.npy", mmap_mode="r")
        self._cumulative = np.cumsum(stationary.probabilities.reshape(-1))
        self._key = int(key_of(self.manifest["spec"]), 16)
        self._block: tuple[tuple[str, int, int], NDArray[np.uint8]] | None = None

    def text(self, tokens: Sequence[int] | NDArray[np.integer]) -> str:
        """Show tokens by their numbers: they are no words.

        Parameters
        ----------
        tokens : sequence of int
            Token ids.

        Returns
        -------
        str
            The numbers, separated by blanks.
        """
        return " ".join(str(int(token)) for token in tokens)

    def n_windows(self, part: str, seq_len: int) -> int:
        """Count the windows that one run can read: about two thousand million tokens.

        Parameters
        ----------
        part : {"teacher", "student", "validation"}
            Part of the corpus; all are equally long.
        seq_len : int
            Context, tokens.

        Returns
        -------
        int
            Number of windows, in whole blocks.
        """
        return 2**_RUN_BITS // self._span(seq_len) * _BLOCK

    def order(self, part: str, seq_len: int, tokens: int, seed: int) -> NDArray[np.int64]:
        """List the windows that a run reads: new ones for each seed.

        Parameters
        ----------
        part : {"teacher", "student", "validation"}
            Part of the corpus.
        seq_len : int
            Context, tokens.
        tokens : int
            Tokens to read, a multiple of the context.
        seed : int
            Seed of the run; no two seeds share a window.

        Returns
        -------
        ndarray
            Numbers of the windows [tokens / seq_len]; with one seed, the shorter order begins the longer.

        Raises
        ------
        CorpusError
            If more tokens are asked for than one seed has.
        """
        PARTS.index(part)
        available = self.n_windows(part, seq_len)
        if tokens > available * seq_len:
            raise CorpusError(
                f"{tokens:,} tokens asked for, one seed of {self.id} gives {available * seq_len:,}: "
                "lower D, or share it among several seeds"
            )
        return (seed << _RUN_BITS) + np.arange(tokens // seq_len, dtype=np.int64)

    def windows(self, part: str, index: NDArray[np.int64], seq_len: int) -> NDArray[np.int64]:
        """Make windows with the token that follows each.

        Parameters
        ----------
        part : {"teacher", "student", "validation"}
            Part of the corpus.
        index : ndarray
            Numbers of the windows [B], as `order` lists them.
        seq_len : int
            Context, tokens.

        Returns
        -------
        ndarray
            Token ids [B, seq_len + 1].
        """
        blocks, rows = np.divmod(index, _BLOCK)
        found = np.empty((len(index), seq_len + 1), dtype=np.int64)
        for block in np.unique(blocks):
            here = blocks == block
            found[here] = self._windows_of(part, int(block), seq_len)[rows[here]]
        return found

    def file_of(self, part: str, index: NDArray[np.int64], seq_len: int) -> NDArray[np.int64]:
        """Tell which windows are not independent: each is a file of its own here.

        Parameters
        ----------
        part : {"teacher", "student", "validation"}
            Part of the corpus.
        index : ndarray
            Numbers of the windows [B].
        seq_len : int
            Context, tokens.

        Returns
        -------
        ndarray
            The numbers themselves [B].
        """
        return index

    def _span(self, seq_len: int) -> int:
        """Counters of one block: one for the beginning of each window, one for every four tokens after it."""
        drawn = seq_len + 1 - self.language.order
        return _BLOCK * (1 + max(0, -(-drawn // 4)))

    def _windows_of(self, part: str, block: int, seq_len: int) -> NDArray[np.uint8]:
        """Tokens of a whole block [_BLOCK, seq_len + 1]; the last one is kept, since runs read in order."""
        name = (part, block, seq_len)
        if self._block is None or self._block[0] != name:
            V, order = self.vocab_size, self.language.order
            seed, number = divmod(block, 2**_RUN_BITS // _BLOCK)
            begin = (PARTS.index(part) << 62) | (seed << _RUN_BITS) | (number * self._span(seq_len))
            counter = np.arange(self._span(seq_len), dtype=np.uint64).reshape(-1, _BLOCK) + np.uint64(begin)
            uniform = (random_words(counter[0], self._key) >> np.uint64(11)) * 2.0**-53
            last = len(self._cumulative) - 1  # rounding can leave the sum of all just below a draw
            state = np.minimum(np.searchsorted(self._cumulative, uniform, side="right"), last)
            first = state // V ** np.arange(order - 1, -1, -1)[:, None] % V
            draws = random_draws(counter[1:], self._key)[: max(0, seq_len + 1 - order)]
            tokens = np.concatenate([first.astype(np.uint8), continue_streams(self._slots, state, draws)])
            self._block = (name, np.ascontiguousarray(tokens[: seq_len + 1].T))
        return self._block[1]


def language_key(spec: LanguageSpec) -> str:
    """Name the folder of a language by all that decides its tables.

    Parameters
    ----------
    spec : LanguageSpec
        The language.

    Returns
    -------
    str
        A name that changes with specification, code and numpy.
    """
    builder = code_hash(["language.py", "sampling.py", "language_corpus.py"])
    content = {"spec": spec.model_dump(mode="json"), "versions": installed_versions(["numpy"])}
    return f"{spec.name}-{key_of(content | {'builder': builder})}"


def build_language(spec: LanguageSpec, folder: Path, reporter: Reporter) -> None:
    """Make the tables of a language, measure its entropy, and write both with a manifest.

    Parameters
    ----------
    spec : LanguageSpec
        The language.
    folder : Path
        An empty folder.
    reporter : Reporter
        Where progress is shown.
    """
    reporter.begin(f"language: {spec.vocab_size ** (spec.order + 1):,} probabilities", 1)
    language = design_language(spec)
    np.save(folder / "counts.npy", language.counts)
    np.save(folder / "slots.npy", language.slots)
    np.save(folder / "stationary.npy", language.stationary.probabilities)
    hashes = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    manifest = {
        # The counts are the language; the rest follows from them, to rounding.
        "id": f"{spec.name}-{spec.vocab_size}-{key_of([spec.model_dump(mode='json'), hashes['counts.npy']])}",
        "spec": spec.model_dump(mode="json"),
        "vocab_size": spec.vocab_size,
        "entropy_rate": language.entropy_rate,
        "staircase": language.staircase,
        "stationary": {"residual": language.stationary.residual, "steps": language.stationary.steps},
        "versions": installed_versions(["numpy"]),
        "sha256": hashes,
    }
    (folder / "manifest.json").write_text(json.dumps(sealed(manifest), indent=1))
    reporter.advance(1)
