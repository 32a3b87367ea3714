"""How well runs can tell a coefficient of the distillation law: alone, and together with the others.

To first order a fit is linear: with the sensitivities J (change of ln L_S per change of ln coefficient) and
independent errors of relative size sigma, the covariance of the fitted logarithms is sigma^2 (J'J)^-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from distill_lib import paper
from distill_lib.scaling import _checks
from distill_lib.scaling.audit import COEFFICIENTS
from distill_lib.scaling.laws import DistillationLaw


def sensitivities(
    students: pd.DataFrame, law: DistillationLaw, coefficients: Sequence[str] = COEFFICIENTS
) -> pd.DataFrame:
    """Compute the change of ln L_S per change of the logarithm of each coefficient.

    Parameters
    ----------
    students : pandas.DataFrame
        Columns ``N_S``, ``D_S`` and ``L_T``.
    law : DistillationLaw
        Where to differentiate.
    coefficients : sequence of str
        Names of coefficients.

    Returns
    -------
    pandas.DataFrame
        One row per student, one column per coefficient.
    """
    where = [students[name].to_numpy(dtype=float) for name in ("N_S", "D_S", "L_T")]
    step = 1e-5
    columns = {}
    for i, name in enumerate(coefficients):
        name = _checks.choice(f"coefficients[{i}]", name, COEFFICIENTS)
        value = getattr(law, name)
        up, down = (
            np.log(replace(law, **{name: value * np.exp(sign * step)}).loss(*where)) for sign in (1.0, -1.0)
        )
        columns[name] = (up - down) / (2.0 * step)
    return pd.DataFrame(columns, index=students.index)


def coefficient_uncertainty(
    students: pd.DataFrame, law: DistillationLaw, *, sigma: float = 0.003, runs: int | None = None
) -> pd.DataFrame:
    """Estimate how well a fit to such students can tell each coefficient.

    Parameters
    ----------
    students : pandas.DataFrame
        Columns ``N_S``, ``D_S`` and ``L_T``.
    law : DistillationLaw
        The law that is taken to be true.
    sigma : float
        Relative error of a single L_S.
    runs : int, optional
        Number of runs with this mixture of students; as many as rows by default.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient, half-widths of 90 % intervals in percent of the value: ``alone`` (all others
        known), ``together`` (all nine fitted), and ``printed`` (Table 6).
    """
    sigma = _checks.number("sigma", sigma, 1e-9, 1.0, "it is a relative error such as 0.003")
    J = sensitivities(students, law).to_numpy()
    scale = sigma * np.sqrt(len(J) / (runs or len(J)))
    size = np.linalg.norm(J, axis=0)
    # Columns of one length: the sensitivities differ by orders of magnitude.
    covariance = np.linalg.inv((J / size).T @ (J / size))
    alone = scale / size
    together = alone * np.sqrt(np.diag(covariance))
    printed = paper.coefficients("distillation")
    half_width = []
    for name in COEFFICIENTS:
        entry = printed.get(name) or printed[f"{name}'"]
        half_width.append(50.0 * (entry.high - entry.low) / entry.value)
    z = 1.6449  # 90 % of a normal distribution
    return pd.DataFrame(
        {"alone": 100.0 * z * alone, "together": 100.0 * z * together, "printed": half_width},
        index=pd.Index(COEFFICIENTS, name="coefficient"),
    )
