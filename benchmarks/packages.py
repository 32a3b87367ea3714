"""Fit the Chinchilla form with one of the packages on PyPI, in whatever Python has it.

``python packages.py chinchilla 1024 < runs.json`` prints the coefficients and the processor time of the fit as JSON.
``runs.json`` holds N, D, L and delta. Nothing of this project is imported: the packages need other Pythons.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
import time
from importlib.metadata import version


def chinchilla(runs: dict, starts: int) -> dict:
    """Fit with ``chinchilla``: BFGS from a grid, with its log-Huber loss, in one process and without its plots."""
    import numpy as np
    from chinchilla import Chinchilla
    from chinchilla._metrics import log_huber

    per_axis = max(2, round(starts**0.2))
    ranges = {"e": (-1.0, 1.0), "a": (0.0, 25.0), "b": (0.0, 25.0), "alpha": (0.0, 2.0), "beta": (0.0, 2.0)}
    with tempfile.TemporaryDirectory() as folder:
        fitter = Chinchilla(
            folder,
            param_grid={
                name: np.linspace(low, high, per_axis).tolist() for name, (low, high) in ranges.items()
            },
            loss_fn=functools.partial(log_huber, delta=runs["delta"]),
            log_level=50,
        )
        for N, D, L in zip(runs["N"], runs["D"], runs["L"], strict=True):
            fitter.append(N=N, D=D, loss=L)
        fitter.visualizer.optim = lambda *_, **__: None
        begin = time.process_time()
        fitter.fit(parallel=False)
        seconds = time.process_time() - begin
        values = {name: float(getattr(fitter, name)) for name in ("E", "A", "B", "alpha", "beta")}
    return {"what": f"{per_axis**5:,} starts", "seconds": seconds, **values}


def simple_scaling_laws(runs: dict, draws: int) -> dict:
    """Fit with ``simple-scaling-laws``: least squares on the raw loss and a wild cluster bootstrap."""
    import polars as pl
    from simple_scaling_laws import fit

    table = pl.DataFrame(
        {
            "training_run_id": [str(i) for i in range(len(runs["N"]))],
            "model_size__N": runs["N"],
            "dataset_size__D": runs["D"],
            "test_loss__L": runs["L"],
        }
    )
    begin = time.process_time()
    model = fit(table, law="separable-power", n_draws=draws, seed=0)
    seconds = time.process_time() - begin
    values = {name: float(value) for name, value in model.params("test_loss__L").items()}
    # Its A and B stand at the geometric means of N and D.
    for weight, exponent, axis in (("A", "alpha", "model_size__N"), ("B", "beta", "dataset_size__D")):
        values[weight] *= model.observed_domain[axis]["reference"] ** values[exponent]
    return {"what": f"with {draws} draws", "seconds": seconds, **values}


def main() -> None:
    name, size = sys.argv[1], int(sys.argv[2])
    fitter = {"chinchilla": chinchilla, "simple-scaling-laws": simple_scaling_laws}[name]
    result = fitter(json.load(sys.stdin), size)
    print(json.dumps({"version": version(name), **result}))


if __name__ == "__main__":
    main()
