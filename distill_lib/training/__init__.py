"""The training wing: corpora, models, losses and sweeps with torch; it writes the runs table."""

from importlib.util import find_spec

import lazy_loader

if find_spec("torch") is None:
    raise ModuleNotFoundError(
        "the training wing needs torch, which the core install leaves out: pip install 'distill-lib[train]'",
        name="torch",
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["loss_lab"])
