"""The text corpus: built once from the Python sources of the environment, kept as token files, verified.

Three disjoint parts, split by file: teachers read one half, students the other, and every loss is measured
on the validation part. The manifest names each file with its hash; the corpus is known by the hash of it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_lib.scaling.specifications import CorpusSpec, LanguageSpec
from distill_lib.training.cache import (
    cache_folder,
    code_hash,
    file_sha256,
    installed_versions,
    is_whole,
    key_of,
    lock_for,
    new_folder,
    sealed,
)
from distill_lib.training.language_corpus import LanguageCorpus, build_language, language_key
from distill_lib.training.progress import Reporter
from distill_lib.training.sources import PARTS, CorpusError, SourceFile, find_sources, select_sources

#: Token that stands before each file.
FILE_TOKEN = "<|file|>"
_TOKENISER_SAMPLE = 1_000_000  # bytes; more text changes the 512 tokens little
_BATCH = 64  # files tokenised between two moves of the progress bar


class Corpus:
    """Token files of one corpus, opened as memory maps.

    Parameters
    ----------
    folder : Path
        Folder with ``manifest.json`` and the token files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        self.id: str = self.manifest["id"]
        self.vocab_size: int = self.manifest["vocab_size"]
        self._tokens = {part: np.load(folder / f"{part}.npy", mmap_mode="r") for part in PARTS}
        self._starts = {part: np.load(folder / f"{part}-files.npy") for part in PARTS}

    def tokens(self, part: str) -> NDArray[np.uint16]:
        """Tokens of a part, in file order.

        Parameters
        ----------
        part : {"teacher", "student", "validation"}
            Part of the corpus.

        Returns
        -------
        ndarray
            Token ids [n], read from disk as needed.
        """
        return self._tokens[part]

    def text(self, tokens: Sequence[int] | NDArray[np.integer]) -> str:
        """Read tokens back as text.

        Parameters
        ----------
        tokens : sequence of int
            Token ids.

        Returns
        -------
        str
            The text; the mark that separates files is left out.
        """
        from tokenizers import Tokenizer

        tokeniser = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        return tokeniser.decode([int(token) for token in tokens])

    def n_windows(self, part: str, seq_len: int) -> int:
        """Count the windows of a part, each token being predicted once at most.

        Parameters
        ----------
        part : {"teacher", "student", "validation"}
            Part of the corpus.
        seq_len : int
            Context, tokens.

        Returns
        -------
        int
            Number of windows.
        """
        return (len(self._tokens[part]) - 1) // seq_len

    def windows(self, part: str, index: NDArray[np.int64], seq_len: int) -> NDArray[np.int64]:
        """Read windows with the token that follows each.

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
            Token ids [B, seq_len + 1].
        """
        offsets = index[:, None] * seq_len + np.arange(seq_len + 1)
        return self._tokens[part][offsets].astype(np.int64)

    def file_of(self, part: str, index: NDArray[np.int64], seq_len: int) -> NDArray[np.int64]:
        """Tell in which file each window begins: windows of one file are not independent.

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
            Number of the file [B].
        """
        return np.searchsorted(self._starts[part], index * seq_len, side="right") - 1

    def order(self, part: str, seq_len: int, tokens: int, seed: int) -> NDArray[np.int64]:
        """Draw the windows that a run reads, without repetition.

        Parameters
        ----------
        part : {"teacher", "student", "validation"}
            Part of the corpus.
        seq_len : int
            Context, tokens.
        tokens : int
            Tokens to read, a multiple of the context.
        seed : int
            Seeds the order.

        Returns
        -------
        ndarray
            Numbers of the windows [tokens / seq_len]; with one seed, the shorter order begins the longer.

        Raises
        ------
        CorpusError
            If the part holds fewer tokens: no text is silently repeated.
        """
        available = self.n_windows(part, seq_len)
        if tokens > available * seq_len:
            raise CorpusError(
                f"{tokens:,} tokens asked for, the {part} part of {self.id} holds {available * seq_len:,}: "
                f"lower D or raise corpus.megabytes (now {self.manifest['spec']['megabytes']:g})"
            )
        shuffled = np.random.default_rng([seed, PARTS.index(part)]).permutation(available)
        return shuffled[: tokens // seq_len]


def open_corpus(
    spec: CorpusSpec | LanguageSpec, cache: Path | str | None = None, reporter: Reporter | None = None
) -> Corpus | LanguageCorpus:
    """Open a corpus, building it first if it is not in the cache, or not as its manifest says.

    Parameters
    ----------
    spec : CorpusSpec or LanguageSpec
        Which text, or which language of known entropy.
    cache : Path, str or None
        Cache folder; by default as `cache_folder` finds it.
    reporter : Reporter or None
        Where progress is shown; nowhere by default.

    Returns
    -------
    Corpus or LanguageCorpus
        The verified corpus.

    Raises
    ------
    CorpusError
        If a package is missing or the environment holds too little text.
    """
    reporter = reporter or Reporter(quiet=True)
    if isinstance(spec, LanguageSpec):
        name = language_key(spec)
    else:
        versions = installed_versions([*spec.packages, "tokenizers"])
        builder = code_hash(["sources.py", "corpus.py"])
        key = key_of({"spec": spec.model_dump(mode="json"), "versions": versions, "builder": builder})
        name = f"{spec.name}-{key}"
    folder = cache_folder(cache) / "corpora" / name
    with lock_for(folder):
        fault = _fault(folder)
        if fault:
            if folder.exists():
                reporter.say(f"corpus in the cache is damaged ({fault}): building it again")
            with new_folder(folder) as draft:
                if isinstance(spec, LanguageSpec):
                    build_language(spec, draft, reporter)
                else:
                    _build(spec, versions, draft, reporter)
    return load_corpus(folder)


def load_corpus(folder: Path) -> Corpus | LanguageCorpus:
    """Load a corpus that is known to be whole, such as one that `open_corpus` has just verified.

    Parameters
    ----------
    folder : Path
        Its folder.

    Returns
    -------
    Corpus or LanguageCorpus
        The corpus that its manifest names.
    """
    name = json.loads((folder / "manifest.json").read_text())["spec"]["name"]
    return LanguageCorpus(folder) if name == "language" else Corpus(folder)


def _fault(folder: Path) -> str | None:
    """Say what is wrong with a stored corpus, if anything."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        if not is_whole(manifest):
            return "manifest.json differs from its hash"
        for name, expected in manifest["sha256"].items():
            if file_sha256(folder / name) != expected:
                return f"{name} differs from its hash"
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _build(spec: CorpusSpec, versions: dict[str, str], folder: Path, reporter: Reporter) -> None:
    try:
        files = list(select_sources(find_sources(spec.packages), spec.megabytes))
    except FileNotFoundError as error:
        raise CorpusError(f"{error}: install it, or leave it out of corpus.packages") from None
    held = {part: sum(len(file.text) for file in files if file.part == part) / 1e6 for part in PARTS}
    if min(held["teacher"], held["student"]) < spec.megabytes:
        raise CorpusError(
            f"{spec.megabytes:g} MB asked for in each half, the sources installed here give "
            f"{held['teacher']:.1f} MB and {held['student']:.1f} MB: lower corpus.megabytes"
        )
    reporter.begin(f"corpus: {sum(held.values()):.1f} MB of Python sources", sum(held.values()))
    tokeniser = _train_tokeniser(files, spec.vocab_size)
    tokeniser.save(str(folder / "tokenizer.json"))
    counts = {}
    for part in PARTS:
        own = [file for file in files if file.part == part]
        counts[part] = _tokenise(own, part, tokeniser, folder, reporter)

    listing = [{"name": file.name, "part": file.part, "sha256": file.sha256} for file in files]
    hashes = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    manifest = {
        "id": f"{spec.name}-{spec.vocab_size}-{key_of({'files': listing, 'sha256': hashes})}",
        "spec": spec.model_dump(mode="json"),
        "vocab_size": spec.vocab_size,
        "tokens": counts,
        "megabytes": {part: round(size, 3) for part, size in held.items()},
        "n_files": {part: sum(file.part == part for file in files) for part in PARTS},
        "versions": versions,
        "sha256": hashes,
        "files": listing,
    }
    (folder / "manifest.json").write_text(json.dumps(sealed(manifest), indent=1))


def _train_tokeniser(files: list[SourceFile], vocab_size: int) -> Any:
    """Byte-level BPE, trained on the first megabyte of both training halves."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    sample, size = [], 0
    for file in files:
        if file.part != "validation" and size < _TOKENISER_SAMPLE:
            sample.append(file.text.decode("ascii"))
            size += len(file.text)
    tokeniser = Tokenizer(models.BPE())
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[FILE_TOKEN],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokeniser.train_from_iterator(sample, trainer)
    if tokeniser.get_vocab_size() != vocab_size:
        raise CorpusError(f"the text gives {tokeniser.get_vocab_size()} tokens, not {vocab_size}")
    return tokeniser


def _tokenise(files: list[SourceFile], part: str, tokeniser: Any, folder: Path, reporter: Reporter) -> int:
    """Write the tokens of a part and where each of its files begins; return the number of tokens."""
    separator = tokeniser.token_to_id(FILE_TOKEN)
    pieces: list[NDArray[np.uint16]] = []
    for first in range(0, len(files), _BATCH):
        batch = files[first : first + _BATCH]
        for encoded in tokeniser.encode_batch_fast([file.text.decode("ascii") for file in batch]):
            pieces.append(np.array([separator, *encoded.ids], dtype=np.uint16))
        reporter.advance(sum(len(file.text) for file in batch) / 1e6)
    starts = np.cumsum([0, *(len(piece) for piece in pieces[:-1])])
    tokens = np.concatenate(pieces)
    np.save(folder / f"{part}.npy", tokens)
    np.save(folder / f"{part}-files.npy", starts)
    return len(tokens)
