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
from distill_lib.scaling.architecture import forward_flops
from distill_lib.scaling.audit import COEFFICIENTS
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw

FIXED_M_TEACHERS = (5.46e8, 9.75e8, 1.82e9, 2.72e9, 4.82e9, 7.75e9)
BUDGETS = (3e19, 1e20, 3e20, 1e21)
FIXED_M_STUDENTS = (1.98e8, 5.46e8, 9.75e8, 1.82e9)


def protocol_students(base: SupervisedLaw, *, per_profile: int = 10) -> pd.DataFrame:
    """List students like those of the paper's three protocols (Sec 4.2): what it varied, not its runs.

    Parameters
    ----------
    base : SupervisedLaw
        Gives the loss of a teacher from its size and tokens.
    per_profile : int
        Sizes on each IsoFLOP profile; the paper does not state them.

    Returns
    -------
    pandas.DataFrame
        Columns ``protocol``, ``N_S``, ``D_S`` and ``L_T``.
    """
    rows: list[tuple[str, float, float, float]] = []
    sizes = np.geomspace(1e8, 7e9, per_profile)
    for C in BUDGETS:
        tokens = np.asarray(C / (3.0 * forward_flops(sizes)))
        for N_T in FIXED_M_TEACHERS:
            L_T = float(base.loss(N_T, 20.0 * N_T))
            rows += [("student_isoflop", N, D, L_T) for N, D in zip(sizes, tokens, strict=True)]
        for N_S in FIXED_M_STUDENTS:
            losses = np.asarray(base.loss(sizes, tokens))
            rows += [("teacher_isoflop", N_S, 20.0 * N_S, L_T) for L_T in losses]
    teachers = np.geomspace(1.98e8, 1.26e10, 10)
    for N_S in (1.43e8, 1.98e8, 5.46e8):
        for M in (20.0, 40.0, 80.0, 160.0, 320.0):
            losses = np.asarray(base.loss(teachers, 20.0 * teachers))
            rows += [("fixed_ratio", N_S, M * N_S, L_T) for L_T in losses]
    return pd.DataFrame(rows, columns=["protocol", "N_S", "D_S", "L_T"])


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
