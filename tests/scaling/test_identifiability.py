"""What a fit can see, against a fit that is made."""

import numpy as np
import pytest

from distill_lib.scaling.audit import refit
from distill_lib.scaling.identifiability import coefficient_uncertainty, sensitivities
from distill_lib.scaling.laws import published_law
from distill_lib.scaling.paper_protocols import distillation_runs

LAW = published_law("reconciled")
STUDENTS = distillation_runs(LAW.supervised)


def test_sensitivities_by_hand():
    J = sensitivities(STUDENTS, LAW, ["gamma"])
    one = STUDENTS.iloc[0]
    L_S = LAW.loss(one.N_S, one.D_S, one.L_T)
    inner = LAW.A * one.N_S**-LAW.alpha + LAW.B * one.D_S**-LAW.beta
    assert J["gamma"].iloc[0] == pytest.approx((1 - one.L_T / L_S) * LAW.gamma * np.log(inner), rel=1e-5)
    with pytest.raises(ValueError, match="is unknown"):
        sensitivities(STUDENTS, LAW, ["E"])


def test_the_width_alone_is_that_of_simulated_fits():
    rng = np.random.default_rng(0)
    truth = LAW.loss(STUDENTS["N_S"], STUDENTS["D_S"], STUDENTS["L_T"])
    fitted = []
    for _ in range(30):
        noisy = STUDENTS.assign(L_S=truth * np.exp(0.003 * rng.standard_normal(len(truth))))
        fitted.append(np.log(refit(noisy, LAW, ("B",), delta=1.0).law.B / LAW.B))
    expected = coefficient_uncertainty(STUDENTS, LAW).loc["B", "alone"] / 100 / 1.6449
    assert np.std(fitted) == pytest.approx(expected, rel=0.4)  # thirty draws: sd of an sd is 13 %


def test_together_is_never_better_than_alone_and_errors_scale():
    table = coefficient_uncertainty(STUDENTS, LAW)
    assert (table["together"] >= table["alone"]).all()
    double = coefficient_uncertainty(STUDENTS, LAW, sigma=0.006)
    np.testing.assert_allclose(double["together"], 2 * table["together"])
    four_times = coefficient_uncertainty(STUDENTS, LAW, runs=4 * len(STUDENTS))
    np.testing.assert_allclose(four_times["alone"], table["alone"] / 2)
    assert table.loc["c1", "printed"] == 0.0


def test_as_printed_the_runs_could_not_have_told_B():
    printed = coefficient_uncertainty(STUDENTS, published_law("printed"), runs=697).loc["B"]
    assert printed["alone"] > 50 * printed["printed"]
