"""The training wing: corpora, models, losses and sweeps with torch; it writes the runs table."""

from importlib.util import find_spec
from pkgutil import iter_modules

import lazy_loader

if find_spec("torch") is None:
    raise ModuleNotFoundError(
        "the training wing needs torch, which the core install leaves out: pip install 'distill-lib[train]'",
        name="torch",
    )

# As in the scaling wing: modules are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=[module.name for module in iter_modules(__path__)]
)
