"""The runs that the fitting benchmark fits: Chinchilla's where a copy is at hand, else simulated ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw

#: 95 % intervals of Besiroglu et al. 2024 (arXiv 2404.10102): 4,000 case bootstraps of the 240 runs, numpy seed 42.
PUBLISHED_INTERVALS = {
    "E": (1.769, 1.871),
    "A": (285.214, 743.626),
    "B": (1042.357, 5810.344),
    "alpha": (0.317, 0.373),
    "beta": (0.331, 0.415),
}

#: Near the fit to those runs: the truth of simulated ones.
TRUTH = SupervisedLaw(E=1.817, A=478.0, B=2143.0, alpha=0.347, beta=0.367)


def chinchilla_runs() -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return what the runs are, and their N, D and L.

    The 245 runs that Epoch read off Fig 4 of Hoffmann et al. 2022 are looked for in ``epoch_chinchilla`` in the folder
    that ``DISTILL_LIB_DATA`` names, else in ``shared/data`` beside the checkout. The five of highest loss are left
    out, as Epoch did.
    """
    folder = os.environ.get("DISTILL_LIB_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(folder) / "epoch_chinchilla" / "svg_extracted_data.csv"
    if not path.is_file():
        return "simulated", *simulated_runs(240)
    table = pd.read_csv(path).rename(columns={"Model Size": "N", "Training FLOP": "C", "loss": "L"})
    table = table[table["L"] < table["L"].nlargest(5).min()]
    N, C, L = (table[name].to_numpy() for name in "NCL")
    return "Chinchilla's, read off by Epoch", N, C / (6.0 * N), L


def simulated_runs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return N, D and L of runs scattered as Chinchilla's are, 0.6 % around a known law."""
    rng = np.random.default_rng(seed)
    N = np.exp(rng.uniform(np.log(5.7e7), np.log(1.6e10), count))
    C = np.exp(rng.uniform(np.log(1.4e18), np.log(1.3e22), count))
    D = np.clip(C / (6.0 * N), 0.5 * N, 350.0 * N)
    return N, D, TRUTH.loss(N, D) * np.exp(0.006 * rng.standard_normal(count))


def simulated_students(law: DistillationLaw, count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return N_S, D_S, L_T and L_S of students over the fitted ranges, 0.35 % around a law."""
    rng = np.random.default_rng(seed)
    N_S = np.exp(rng.uniform(np.log(1.43e8), np.log(1.26e10), count))
    D_S = np.exp(rng.uniform(np.log(4e9), np.log(5.12e11), count))
    L_T = rng.uniform(1.8, 2.8, count)
    return N_S, D_S, L_T, law.loss(N_S, D_S, L_T) * np.exp(0.0035 * rng.standard_normal(count))


def case_weights(runs: int, draws: int) -> np.ndarray:
    """Return how often each run occurs in Epoch's resamples, [draws, runs]: numpy's seed 42, one choice each."""
    rng = np.random.RandomState(42)
    return np.stack([np.bincount(rng.choice(runs, runs), minlength=runs) for _ in range(draws)]).astype(float)
