"""The scaling wing: laws, counting, fitting and planning with numpy and scipy; never torch."""

from pkgutil import iter_modules

import lazy_loader

# Modules are imported on first use, so that `distill_lib.protocols` and its like stay cheap to offer.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=[module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
)
