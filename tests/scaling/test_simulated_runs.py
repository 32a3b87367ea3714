"""A simulated protocol is a runs table whose losses are the law's."""

from __future__ import annotations

import numpy as np
import pytest
from mini_runs import small_law

from distill_lib import runs
from distill_lib.scaling.fitting import fit_supervised_law
from distill_lib.scaling.protocols import PROTOCOLS
from distill_lib.scaling.scales import MINI, MINI_LANGUAGE
from distill_lib.scaling.simulate import Noise
from distill_lib.scaling.simulated_runs import simulate_runs


def test_without_noise_every_loss_is_the_laws():
    law = small_law()
    table = simulate_runs(PROTOCOLS["capacity_gap"].runs(MINI, 2), law, noise=Noise(sd=0.0))
    alone = table[table["objective"] == "supervised"]
    assert np.allclose(alone["L"], law.supervised.loss(alone["N"].astype(float), alone["D"].astype(float)))
    taught = table[table["objective"] == "distilled"]
    assert np.allclose(
        taught["L"],
        law.loss(taught["N"].astype(float), taught["D"].astype(float), taught["L_T"].astype(float)),
    )


def test_it_is_a_table_that_can_be_written_and_read(tmp_path):
    table = simulate_runs(PROTOCOLS["mixing"].runs(MINI, 1), small_law(), seed=1)
    path = tmp_path / "simulated.csv"
    path.write_text(runs.to_csv(table))
    assert runs.read(path).equals(table)


def test_the_fixed_ratio_grid_tells_the_law():
    law = small_law().supervised
    table = simulate_runs(PROTOCOLS["supervised_fixed_ratio"].runs(MINI), small_law(), noise=Noise(sd=0.0))
    fit = fit_supervised_law(table["N"], table["D"], table["L"], gamma="free")
    assert np.allclose(fit.law.loss(table["N"], table["D"]), law.loss(table["N"], table["D"]), rtol=1e-4)


def test_a_seed_decides_the_draw():
    specs = PROTOCOLS["mixing"].runs(MINI, 1)
    one, same, other = (simulate_runs(specs, small_law(), seed=seed)["L"] for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_a_teacher_must_be_there():
    specs = PROTOCOLS["mixing"].runs(MINI, 1)
    with pytest.raises(ValueError, match="its teacher is not among the runs"):
        simulate_runs([spec for spec in specs if spec.teacher is not None], small_law())
    with pytest.raises(ValueError, match="its teacher is not among the runs"):
        simulate_runs(PROTOCOLS["oracle_students"].runs(MINI_LANGUAGE, 1), small_law())
