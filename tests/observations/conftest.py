"""Tables of runs drawn from a known law, as others might have written them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distill_lib.scaling.laws import published_law


@pytest.fixture
def supervised() -> pd.DataFrame:
    """Twenty runs: five sizes, four numbers of tokens."""
    N, D = (axis.ravel() for axis in np.meshgrid([1e8, 3e8, 1e9, 3e9, 7e9], [4e9, 2e10, 1e11, 4e11]))
    return pd.DataFrame({"N": N, "D": D, "L": published_law().supervised.loss(N, D)})


@pytest.fixture
def distilled() -> pd.DataFrame:
    """Forty-five students: three sizes, three numbers of tokens, five teachers."""
    axes = np.meshgrid([2e8, 5e8, 2e9], [4e9, 2e10, 1e11], [1.9, 2.0, 2.1, 2.2, 2.4])
    N_S, D_S, L_T = (axis.ravel() for axis in axes)
    L_S = published_law().loss(N_S, D_S, L_T)
    return pd.DataFrame({"N_S": N_S, "D_S": D_S, "L_T": L_T, "L_S": L_S})
