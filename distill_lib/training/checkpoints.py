"""Trained teachers, kept so that many students can share one, and unfinished runs, kept to go on with.

Both are found by what made them and verified by hash: what is damaged counts as missing, and is made again.
"""

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from distill_lib.scaling.specifications import ModelSpec, RunSpec
from distill_lib.training.cache import code_hash, key_of, lock_for, new_file, new_folder
from distill_lib.training.model import Decoder


def checkpoint_path(
    cache: Path, spec: RunSpec, corpus_id: str, device: str, *, together: bool = False
) -> Path:
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
    together : bool
        Whether it is trained by `together`, whose sums are taken in another order.

    Returns
    -------
    Path
        A folder, there or not.
    """
    text = ["corpus.py", "language_corpus.py", "sampling.py"]
    losses = ["losses.py", "divergences.py", "sparse_divergences.py", "sparse_teachers.py"]
    own = ["model.py", "trainer.py", "objectives.py", "logit_cache.py", "kept_forms.py", "devices.py"]
    stacked = ["together.py", "stack.py", "stack_steps.py", "attention.py", "logit_gradients.py", "replay.py"]
    code = code_hash([*own, *losses, *text, *(stacked if together else [])])
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

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; nothing is then left there.
    """
    # By way of memory: on a full disk `torch.save` raises an error of its own, which names no disk.
    buffer = io.BytesIO()
    torch.save({name: weight.cpu() for name, weight in model.state_dict().items()}, buffer)
    weights = buffer.getvalue()
    shape = model.spec.model_dump(mode="json")
    content = {"sha256": _digest(weights, shape), "model": shape}
    with lock_for(folder), new_folder(folder) as draft:
        (draft / "weights.pt").write_bytes(weights)
        (draft / "checkpoint.json").write_text(json.dumps(content))


def _digest(weights: bytes, shape: Any) -> str:
    """Hash weights with the shape of their model: other heads read the same weights in another way."""
    return sha256(weights + key_of(shape).encode()).hexdigest()


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
            weights = (folder / "weights.pt").read_bytes()
            if _digest(weights, content["model"]) != content["sha256"]:
                return None
            spec = ModelSpec.model_validate(content["model"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
    model = Decoder(spec)
    model.load_state_dict(torch.load(io.BytesIO(weights), weights_only=True))
    return model


def save_state(path: Path, name: str, state: dict[str, Any]) -> None:
    """Keep the state of an unfinished run, whole or not at all; the one before is replaced.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The run, by the hash of its specification.
    state : dict
        Tensors and plain values, as ``torch.save`` writes them.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; the state before is then still there.
    """
    buffer = io.BytesIO()
    torch.save(state | {"name": name}, buffer)
    content = buffer.getvalue()
    with new_file(path) as file:
        file.write(sha256(content).hexdigest().encode() + b"\n" + content)


def load_state(path: Path, name: str) -> dict[str, Any] | None:
    """Read the state of an unfinished run, if it is there and as it was written.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The run, by the hash of its specification.

    Returns
    -------
    dict or None
        The state, on the CPU; None if it is missing, differs from its hash or is of another run.
    """
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if sha256(content).hexdigest().encode() != digest:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    return state if state["name"] == name else None


def forget_state(path: Path) -> None:
    """Remove the state of a run that is finished, and drafts of it that a kill left behind.

    Parameters
    ----------
    path : Path
        The file, there or not.
    """
    for each in (path, *path.parent.glob(f".{path.name}-*")):
        each.unlink(missing_ok=True)
