"""Trained teachers, kept so that many students can share one: found by what made them, verified by hash."""

import json
from pathlib import Path

import torch

from distill_lib.scaling.specifications import ModelSpec, RunSpec
from distill_lib.training.cache import code_hash, file_sha256, key_of, lock_for, new_folder
from distill_lib.training.model import Decoder


def checkpoint_path(cache: Path, spec: RunSpec, corpus_id: str, device: str) -> Path:
    """Tell where the weights of a run are kept.

    The name covers all that decides the bits: specification, corpus, training code, PyTorch, device.

    Parameters
    ----------
    cache : Path
        Cache folder.
    spec : RunSpec
        The run.
    corpus_id : str
        The corpus, by its hash.
    device : str
        Kind of device, such as "cpu".

    Returns
    -------
    Path
        A folder, there or not.
    """
    text = ["corpus.py", "language_corpus.py", "sampling.py"]
    losses = ["losses.py", "divergences.py", "sparse_teachers.py"]
    code = code_hash(["model.py", "trainer.py", "objectives.py", *losses, *text])
    key = key_of([spec.spec_hash, corpus_id, code, torch.__version__, device])
    return cache / "checkpoints" / f"{spec.spec_hash}-{key}"


def save_checkpoint(folder: Path, model: Decoder) -> None:
    """Keep the weights of a model, whole or not at all.

    Parameters
    ----------
    folder : Path
        Where, as `checkpoint_path` says.
    model : Decoder
        The model.
    """
    with lock_for(folder), new_folder(folder) as draft:
        torch.save({name: weight.cpu() for name, weight in model.state_dict().items()}, draft / "weights.pt")
        content = {"sha256": file_sha256(draft / "weights.pt"), "model": model.spec.model_dump(mode="json")}
        (draft / "checkpoint.json").write_text(json.dumps(content))


def load_checkpoint(folder: Path) -> Decoder | None:
    """Load a model, if it is there and as it was written.

    Parameters
    ----------
    folder : Path
        Where, as `checkpoint_path` says.

    Returns
    -------
    Decoder or None
        The model on the CPU; None if it is missing or differs from its hash.
    """
    with lock_for(folder):
        try:
            content = json.loads((folder / "checkpoint.json").read_text())
            if file_sha256(folder / "weights.pt") != content["sha256"]:
                return None
            model = Decoder(ModelSpec.model_validate(content["model"]))
            model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
        except (OSError, ValueError, KeyError):
            return None
    return model
