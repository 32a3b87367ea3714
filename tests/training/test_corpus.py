"""The corpus: built whole or not at all, verified, never repeated in silence."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY

from distill_lib.scaling.specifications import CorpusSpec, LanguageSpec
from distill_lib.training import corpus as module
from distill_lib.training.corpus import Corpus, CorpusError, open_corpus


def test_manifest_names_files_counts_and_versions(corpus: Corpus):
    manifest = corpus.manifest
    names = [file["name"] for file in manifest["files"]]
    assert len(set(names)) == len(names)
    assert all(name.startswith("stdlib/") for name in names)
    for part in ("teacher", "student", "validation"):
        assert manifest["tokens"][part] == len(corpus.tokens(part))
        assert manifest["n_files"][part] == sum(file["part"] == part for file in manifest["files"])
    assert set(manifest["versions"]) == {"stdlib", "tokenizers"}
    assert str(corpus.folder.parent) not in json.dumps(manifest)


def test_tokens_give_the_text_back(corpus: Corpus):
    from tokenizers import Tokenizer

    from distill_lib.training.sources import find_sources, select_sources

    tokeniser = Tokenizer.from_file(str(corpus.folder / "tokenizer.json"))
    tokens = corpus.tokens("student")
    assert tokens.dtype == np.uint16
    assert tokens.max() < corpus.vocab_size == tokeniser.get_vocab_size()
    starts = np.flatnonzero(tokens == tokeniser.token_to_id(module.FILE_TOKEN))
    first = next(
        file for file in select_sources(find_sources(TINY.packages), TINY.megabytes) if file.part == "student"
    )
    assert corpus.text(tokens[: starts[1]]).encode() == first.text


def test_windows_overlap_by_the_label_alone(corpus: Corpus):
    windows = corpus.windows("teacher", np.array([0, 1, 5]), 16)
    tokens = corpus.tokens("teacher")
    assert windows.shape == (3, 17)
    np.testing.assert_array_equal(windows[0], tokens[:17])
    assert windows[0, -1] == windows[1, 0]
    np.testing.assert_array_equal(windows[2], tokens[80:97])
    last = corpus.n_windows("teacher", 16) - 1
    assert corpus.windows("teacher", np.array([last]), 16).shape == (1, 17)


def test_order_is_seeded_without_repetition_and_nested(corpus: Corpus):
    short, long = (corpus.order("student", 16, tokens, seed=3) for tokens in (160, 320))
    np.testing.assert_array_equal(short, long[:10])
    assert len(set(long.tolist())) == 20
    assert not np.array_equal(long, corpus.order("student", 16, 320, seed=4))


def test_more_tokens_than_there_are_is_refused(corpus: Corpus):
    with pytest.raises(CorpusError, match=r"1,000,000 tokens asked for, the student part .* raise corpus"):
        corpus.order("student", 16, 1_000_000, seed=0)


def test_file_of_a_window(corpus: Corpus):
    starts = np.load(corpus.folder / "validation-files.npy")
    index = np.arange(corpus.n_windows("validation", 16))
    files = corpus.file_of("validation", index, 16)
    assert files[0] == 0
    assert (np.diff(files) >= 0).all()
    assert (starts[files] <= index * 16).all()


def test_the_cache_is_used_and_gives_the_same_corpus_as_a_new_build(
    corpus: Corpus, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert open_corpus(TINY, tmp_path).id == corpus.id
    monkeypatch.setattr(module, "_build", lambda *_: pytest.fail("built although it is there"))
    assert open_corpus(TINY, cache).id == corpus.id


def test_environment_variable_moves_the_cache(corpus: Corpus, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISTILL_LIB_CACHE", str(cache))
    assert open_corpus(TINY).folder == corpus.folder


@pytest.mark.parametrize("name", ["student.npy", "tokenizer.json", "manifest.json", "validation-files.npy"])
def test_a_damaged_cache_is_noticed_and_built_again(
    name: str, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = open_corpus(TINY, tmp_path).folder
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / name).write_bytes(content)
    again = open_corpus(TINY, tmp_path, module.Reporter())
    assert again.id == corpus.id
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "spec", [TINY, LanguageSpec(vocab_size=4, order=1, features=8)], ids=["text", "language"]
)
def test_every_number_of_a_manifest_is_under_its_hash(
    spec: CorpusSpec | LanguageSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    first = open_corpus(spec, tmp_path)
    path = first.folder / "manifest.json"
    whole = json.loads(path.read_text())
    changes = {"id": "another", "vocab_size": 3, "spec": whole["spec"] | {"gain": 9.0}, "entropy_rate": 0.1}
    for name in [*(set(changes) & set(whole)), "a new one"]:
        path.write_text(json.dumps(whole | {name: changes.get(name)}))
        again = open_corpus(spec, tmp_path, module.Reporter())
        assert "manifest.json differs from its hash" in capsys.readouterr().err
        assert again.manifest == first.manifest
    path.write_text("[]")
    assert open_corpus(spec, tmp_path).id == first.id


def test_what_a_killed_builder_left_is_removed_by_the_next(tmp_path: Path):
    folder = open_corpus(TINY, tmp_path).folder
    other = folder.with_name(".another-x1y2")
    for left in (folder.with_name(f".{folder.name}-x1y2"), other):
        left.mkdir()
        (left / "student.npy").write_bytes(b"half")
    (folder / "student.npy").unlink()
    open_corpus(TINY, tmp_path)
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".")] == [other]


def test_an_interrupted_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_tokenise", stop)
    with pytest.raises(KeyboardInterrupt):
        open_corpus(TINY, tmp_path)
    assert [path for path in (tmp_path / "corpora").iterdir() if path.suffix != ".lock"] == []


def test_two_builders_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    builds = []
    build = module._build
    monkeypatch.setattr(module, "_build", lambda *given: (builds.append(1), build(*given)))
    threads = [threading.Thread(target=open_corpus, args=(TINY, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_too_little_text_says_how_much_there_is(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"50 MB asked for .* lower corpus.megabytes"):
        open_corpus(CorpusSpec(megabytes=50, packages=("json", "stdlib")[1:]), tmp_path)


def test_a_missing_package_is_named(tmp_path: Path):
    with pytest.raises(CorpusError, match="no_such_package"):
        open_corpus(CorpusSpec(packages=("no_such_package",)), tmp_path)
