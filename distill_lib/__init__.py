"""The executable companion to *Distillation Scaling Laws* (Busbridge et al., 2025).

A protocol is trained into runs, runs are fitted into a law, a law is planned with and drawn::

    import distill_lib as dl

    law = dl.published_law()
    law.loss(N_S=1e9, D_S=2e10, L_T=2.1)
    dl.plan(N_S=1e9, C=1e21, scenario="teacher_inference")

Names are imported on first use (the list is in ``__init__.pyi``), so that ``import distill_lib`` is
quick and needs no torch; only the training wing does (``pip install "distill-lib[train]"``).
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
