"""A law of the size of the small models, and whole protocols simulated from it."""

from __future__ import annotations

import dataclasses
import functools

import pandas as pd

from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw, published_law
from distill_lib.scaling.protocols import PROTOCOLS
from distill_lib.scaling.scales import MINI
from distill_lib.scaling.selections import select
from distill_lib.scaling.simulate import Noise
from distill_lib.scaling.simulated_runs import simulate_runs

SMALL = SupervisedLaw(E=1.2, A=40.0, B=300.0, alpha=0.3, beta=0.35, gamma=0.4)


def small_law() -> DistillationLaw:
    """Make a law whose supervised part is that of small models, and whose students bend as the paper's do."""
    return dataclasses.replace(published_law(), supervised=SMALL, A=20.0, B=400.0)


@functools.cache
def simulated(protocol: str, sd: float = 0.002) -> pd.DataFrame:
    """Simulate a protocol at the mini scale."""
    table = simulate_runs(PROTOCOLS[protocol].runs(MINI), small_law(), noise=Noise(sd=sd), seed=3)
    found = select(table, "mini", protocol)
    taught = found["objective"] == "distilled"
    return found.assign(kl_teacher=(found["L"] - found["L_T"]).clip(lower=0.01).where(taught))
