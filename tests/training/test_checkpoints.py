"""Trained teachers are found by what made them, and trusted by their hash alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import tiny_run

from distill_lib.training import checkpoints
from distill_lib.training.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
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


def test_an_interrupted_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "a", Decoder(tiny_run().model))
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []
