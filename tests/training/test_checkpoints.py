"""Trained teachers are found by what made them, and trusted by their hash alone."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
import torch
from tiny import tiny_run

from distill_lib.training import checkpoints
from distill_lib.training.checkpoints import (
    checkpoint_path,
    forget_state,
    load_checkpoint,
    load_state,
    save_checkpoint,
    save_state,
)
from distill_lib.training.model import Decoder


def test_weights_come_back_to_the_bit(tmp_path: Path):
    model = Decoder(tiny_run().model, seed=3)
    save_checkpoint(tmp_path / "a", model)
    again = load_checkpoint(tmp_path / "a")
    assert again is not None
    assert again.spec == model.spec
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["weights.pt", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["removed", "cut", "changed"])
def test_damage_is_noticed(name: str, damage: str, tmp_path: Path):
    save_checkpoint(tmp_path / "a", Decoder(tiny_run().model))
    path = tmp_path / "a" / name
    content = bytearray(path.read_bytes())
    if damage == "removed":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-20])
    else:
        content[20] ^= 0xFF
        path.write_bytes(content)
    assert load_checkpoint(tmp_path / "a") is None


@pytest.mark.parametrize(
    ("old", "new"), [('"head_dim": 8', '"head_dim": 4'), ('"d_model": 8', '"d_model": 16')]
)
def test_weights_are_not_read_into_another_shape(old: str, new: str, tmp_path: Path):
    save_checkpoint(tmp_path / "a", Decoder(tiny_run().model))
    path = tmp_path / "a" / "checkpoint.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert load_checkpoint(tmp_path / "a") is None
    path.write_text("[]")
    assert load_checkpoint(tmp_path / "a") is None


def test_a_full_disk_is_told_as_one_and_leaves_nothing(tmp_path: Path):
    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    usual_signal = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, usual[1]))  # bytes; writing more is refused
        with pytest.raises(OSError, match="too large"):
            save_checkpoint(tmp_path / "a", Decoder(tiny_run().model))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, usual_signal)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_whatever_decides_the_weights_decides_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = tiny_run()
    places = [
        checkpoint_path(tmp_path, spec, "corpus-a", "cpu"),
        checkpoint_path(tmp_path, tiny_run(seed=1), "corpus-a", "cpu"),
        checkpoint_path(tmp_path, spec, "corpus-b", "cpu"),
        checkpoint_path(tmp_path, spec, "corpus-a", "cuda"),
    ]
    monkeypatch.setattr(checkpoints, "code_hash", lambda modules: "other code")
    places.append(checkpoint_path(tmp_path, spec, "corpus-a", "cpu"))
    assert len(set(places)) == len(places)


#: What the trainer uses and what cannot change its weights: text is known by its hash, the others only look or move.
HARMLESS = {
    "cache",
    "checkpoints",
    "enough_text",
    "evaluation",
    "language",
    "loss_checks",
    "progress",
    "sharing",
}
HARMLESS |= {"sources", "fused_head"}


def modules_of(name: str, found: dict[str, None] | None = None) -> list[str]:
    """Follow the imports of a module within the training wing; evaluation comes after the last step."""
    found = {} if found is None else found
    if name not in found:
        found[name] = None
        source = (Path(checkpoints.__file__).parent / f"{name}.py").read_text()
        for other in re.findall(r"^from distill_lib\.training\.(\w+) import", source, flags=re.M):
            if name != "evaluation":
                modules_of(other, found)
    return list(found)


@pytest.mark.parametrize("together", [False, True])
def test_all_code_that_decides_the_weights_decides_the_place(
    together: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hashed: set[str] = set()
    monkeypatch.setattr(checkpoints, "code_hash", lambda modules: (hashed.update(modules), "code")[1])
    checkpoint_path(tmp_path, tiny_run(), "corpus-a", "cpu", together=together)
    used = {f"{name}.py" for name in modules_of("together" if together else "trainer")}
    assert hashed == used - {f"{name}.py" for name in HARMLESS}


def test_an_interrupted_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "a", Decoder(tiny_run().model))
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_state_comes_back_and_damage_is_noticed(tmp_path: Path):
    path = tmp_path / "folder" / "a.state"
    state = {"step": 3, "weights": {"w": torch.arange(5.0)}}
    assert load_state(path, "run") is None
    save_state(path, "run", state)
    found = load_state(path, "run")
    assert found is not None
    assert found["step"] == 3
    assert torch.equal(found["weights"]["w"], state["weights"]["w"])
    assert load_state(path, "another run") is None
    whole = path.read_bytes()
    for content in (whole[:-1], b"x" + whole[1:], whole[:200] + b"!" + whole[201:], b""):
        path.write_bytes(content)
        assert load_state(path, "run") is None


def test_a_full_disk_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.state"
    save_state(path, "run", {"step": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            save_state(path, "run", {"step": 2})
    found = load_state(path, "run")
    assert found is not None
    assert found["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_run_leaves_no_state_and_no_draft(tmp_path: Path):
    path, other = tmp_path / "a.state", tmp_path / "b.state"
    save_state(path, "run", {"step": 1})
    save_state(other, "run", {"step": 1})
    (tmp_path / ".a.state-x1y2").write_bytes(b"half")
    forget_state(path)
    forget_state(path)
    assert list(tmp_path.iterdir()) == [other]
