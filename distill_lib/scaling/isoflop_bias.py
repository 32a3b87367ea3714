"""How far an IsoFLOP fit is from the truth: profiles made from a known law, whose optimum is known too."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.isoflop import REACH, VARIANTS
from distill_lib.scaling.laws import SupervisedLaw
from distill_lib.scaling.parabolas import Profile
from distill_lib.scaling.simulate import Noise, supervised_replicates


def profile_bias(
    law: SupervisedLaw,
    *,
    C: ArrayLike = 1e21,
    width: ArrayLike = 16.0,
    offset: ArrayLike = 1.0,
    sizes: int = 14,
    delta: float = 3e-3,
    reach: float = REACH,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
) -> pd.DataFrame:
    """Compare the minimum of each variant with the law's own, on noise-free profiles.

    Parameters
    ----------
    law : SupervisedLaw
        The truth.
    C : array_like
        Budgets, FLOPs.
    width : array_like
        Largest over smallest size of a profile.
    offset : array_like
        Centre of the profile (geometric) over the law's optimum.
    sizes : int
        Sizes of a profile, evenly spaced in ln N; 5 at least.
    delta : float
        Width of the Huber loss, as a share of the loss.
    reach : float
        Half-width of the recentred variant's weights, in ln N.
    context, vocabulary : int
        How compute is counted; both 0 for C = 6ND.

    Returns
    -------
    pandas.DataFrame
        One row per C, width, offset and ``variant``: ``N_true`` and ``N_opt`` (parameters), ``bias`` and ``bias_L``
        (relative errors of size and of loss; the loss is that of the law at its optimum), and ``inside``,
        whether the law's optimum lies within the profile. NaN where a parabola has no minimum.

    Raises
    ------
    ValueError
        For values out of range.

    Examples
    --------
    >>> from distill_lib.scaling.laws import published_law
    >>> bias = profile_bias(published_law().supervised, width=64, offset=[0.5, 1, 2])
    >>> bias.groupby("variant")["bias"].agg(lambda e: abs(e).max()).round(3).to_dict()
    {'parabola': 0.009, 'recentred': 0.009}
    """
    budgets = np.atleast_1d(_checks.positive("C", C))
    widths = _factors("width", width, 1.001)
    offsets = _factors("offset", offset, 0.0)
    _checks.whole("sizes", sizes, 5)
    N_true, D_true = (np.atleast_1d(value) for value in law.compute_optimal(budgets, context, vocabulary))
    L_true = np.atleast_1d(law.loss(N_true, D_true))
    rows = []
    for (i, budget), wide, off in itertools.product(enumerate(budgets), widths, offsets):
        N = off * N_true[i] * wide ** np.linspace(-0.5, 0.5, sizes)
        L = np.asarray(law.loss(N, budget / (3.0 * formulas.forward_flops(N, context, vocabulary))))
        for variant in VARIANTS:
            found = Profile(N).minima(L, delta=delta, reach=reach if variant == "recentred" else None)
            N_opt = float(np.exp(found.log_N[0]))
            rows.append(
                {
                    "C": float(budget), "width": float(wide), "offset": float(off), "variant": variant,
                    "N_true": float(N_true[i]), "N_opt": N_opt, "bias": N_opt / float(N_true[i]) - 1.0,
                    "bias_L": float(found.L[0] / L_true[i]) - 1.0,
                    "inside": bool(N[0] < N_true[i] < N[-1]),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def exponent_bias(
    law: SupervisedLaw,
    *,
    N: Sequence[float],
    C: Sequence[float],
    noise: Noise | None = None,
    replicates: int = 300,
    seed: int = 0,
    delta: float = 3e-3,
    reach: float = REACH,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
) -> pd.DataFrame:
    """Compare the exponent a of N ~ C^a with the law's, where every budget is tried at the same sizes.

    Parameters
    ----------
    law : SupervisedLaw
        The truth.
    N : sequence of float
        Sizes of every profile, non-embedding parameters; 5 at least.
    C : sequence of float
        Budgets, FLOPs; 2 at least.
    noise : Noise, optional
        Scatter of the losses; none by default.
    replicates : int
        Draws of the noise.
    seed : int
        Decides the draws.
    delta, reach : float
        As for :func:`profile_bias`.
    context, vocabulary : int
        How compute is counted; both 0 for C = 6ND.

    Returns
    -------
    pandas.DataFrame
        Indexed by variant: ``a_true``, ``a`` (mean of the draws), ``bias``, ``sd`` and ``rmse`` of a, ``rms_ln_N``
        (root mean square error of ln N_opt) and ``resolved`` (share of draws in which every minimum lies inside
        its profile; the others are left out, as a fit would).

    Raises
    ------
    ValueError
        For values out of range, or too few sizes or budgets.
    """
    sizes = np.unique(np.atleast_1d(_checks.positive("N", N)))
    budgets = np.unique(np.atleast_1d(_checks.positive("C", C)))
    if sizes.size < 5 or budgets.size < 2:
        raise ValueError(
            f"N has {sizes.size} sizes and C {budgets.size} budgets; give 5 sizes and 2 budgets at least"
        )
    grid = pd.DataFrame({"N": np.tile(sizes, budgets.size), "C": np.repeat(budgets, sizes.size)}).assign(
        D=lambda runs: runs["C"] / (3.0 * formulas.forward_flops(runs["N"].to_numpy(), context, vocabulary))
    )
    silent = noise is None
    losses = supervised_replicates(
        grid, law, 1 if silent else replicates, noise=Noise(sd=0.0) if silent else noise, seed=seed
    ).reshape(-1, budgets.size, sizes.size)
    log_C = np.log(budgets) - np.log(budgets).mean()
    true = np.log(np.atleast_1d(law.compute_optimal(budgets, context, vocabulary)[0]))
    a_true = float(true @ log_C / (log_C @ log_C))
    profile, rows = Profile(sizes), []
    for variant in VARIANTS:
        within = reach if variant == "recentred" else None
        found = np.stack(
            [profile.minima(losses[:, i], delta=delta, reach=within).log_N for i in range(budgets.size)],
            axis=1,
        )
        whole = ((found > np.log(sizes[0])) & (found < np.log(sizes[-1]))).all(axis=1)
        a = found[whole] @ log_C / (log_C @ log_C)
        rows.append(
            {
                "a_true": a_true, "a": a.mean(), "bias": a.mean() - a_true, "sd": a.std(),
                "rmse": np.sqrt(np.mean((a - a_true) ** 2)),
                "rms_ln_N": np.sqrt(np.mean((found[whole] - true) ** 2)), "resolved": whole.mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, index=pd.Index(VARIANTS, name="variant"))


def _factors(name: str, value: ArrayLike, above: float) -> np.ndarray:
    """Return ratios of sizes, all finite and above a bound."""
    array = np.atleast_1d(np.asarray(value, dtype=float))
    if not array.size or not (np.isfinite(array) & (array > above)).all():
        raise ValueError(
            f"{name} = {value!r} is out of range; give ratios of sizes above {above:g}, such as 2"
        )
    return array
