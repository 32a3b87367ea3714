"""Rows of a protocol are found by what was asked, whatever label they carry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mini_runs import simulated, small_law

from distill_lib import runs
from distill_lib.scaling.protocols import PROTOCOLS, preset
from distill_lib.scaling.scales import MINI
from distill_lib.scaling.selections import for_laws, missing, select, without_teacher
from distill_lib.scaling.simulated_runs import simulate_runs


@pytest.fixture(scope="module")
def table():
    return simulate_runs(preset("mini", ["mixing", "temperature"], seeds=2), small_law())


def test_shared_runs_are_in_both_selections(table):
    mixing, temperature = (select(table, "mini", name, seeds=2) for name in ("mixing", "temperature"))
    shared = set(mixing["run"]) & set(temperature["run"])
    assert any("distilled" in run for run in shared)
    assert set(mixing["lam"].dropna()) == {0.0, 0.3, 0.5, 0.7, 0.9, 1.0}
    assert set(temperature["tau"].dropna()) == {0.5, 1.0, 2.0, 3.0, 10.0}


def test_what_is_not_there_yet_is_counted(table):
    assert missing(table, "mini", "mixing", seeds=2) == 0
    assert missing(table, "mini", "mixing") == len(PROTOCOLS["mixing"].runs(MINI)) - len(
        PROTOCOLS["mixing"].runs(MINI, 2)
    )


def test_a_diverged_run_is_never_selected(table):
    found = select(table, "mini", "mixing", seeds=2)
    lost = found.loc[found["objective"] == "distilled", "run"].iloc[0]
    broken = table.assign(
        status=table["status"].mask(table["run"] == lost, "diverged"), L=table["L"].mask(table["run"] == lost)
    )
    assert lost not in set(select(runs.validate(broken), "mini", "mixing", seeds=2)["run"])
    assert missing(broken, "mini", "mixing", seeds=2) == 1


def test_budgets_are_those_of_the_design():
    found = simulated("supervised_isoflops")
    assert set(found["budget"]) == set(MINI.budgets)
    assert np.allclose(found["C"], found["budget"], rtol=0.06)
    teachers = simulated("teacher_isoflops")
    assert set(teachers["budget_T"].dropna()) == set(MINI.budgets[1:])
    assert set(simulated("capacity_gap")["seed_T"].dropna()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("marathon", "mixing"), "no protocols in preset"),
        (("mini", "fishing"), "no protocol 'fishing'"),
        (("mini", "truncation"), "distill-lib sweep mini --protocol truncation"),
    ],
)
def test_what_cannot_be_selected_is_said(table, arguments, words):
    with pytest.raises(ValueError, match=words):
        select(table[table["tau"] == 2.0], *arguments, seeds=2)


def test_laws_are_fitted_to_what_they_speak_of():
    specs = preset("mini", ["mixing", "temperature", "direction", "truncation", "switching"], seeds=1)
    table = simulate_runs(specs, small_law())
    supervised, taught = for_laws(table)
    assert set(supervised["objective"]) == {"supervised"}
    plain = table[(table["objective"] == "distilled") & (table["lam"] == 1.0) & (table["tau"] == 1.0)]
    odd = plain["truncation"].notna() | plain["distilled_share"].notna() | (plain["direction"] != "forward")
    assert set(taught["run"]) == set(plain.loc[~odd, "run"])
    assert taught["L_S"].equals(taught["L"])


def test_students_without_a_teacher_are_supervised_and_read_the_students_half():
    rows = simulated("capacity_gap")
    alone = without_teacher(rows)
    assert set(alone["objective"]) == {"supervised"}
    assert set(alone["split"]) == {"student"}
    assert set(rows.drop(alone.index).query("objective == 'supervised'")["split"]) == {"teacher"}
    one = alone.iloc[0]
    some = without_teacher(rows, N=one["N"], D=one["D"])
    assert 0 < len(some) < len(alone)
    assert (some["N"] == one["N"]).all()
    assert (some["D"] == one["D"]).all()
    assert without_teacher(rows, N=1).empty


def test_students_of_the_truth_count_when_they_are_asked_for():
    table = simulated("capacity_gap").assign(direction="forward")
    taught = table.index[table["objective"] == "distilled"]
    truth = table.loc[taught[:5]].assign(N_T=np.nan, teacher_run="oracle", run=[f"o{n}" for n in range(5)])
    table = pd.concat([table, truth.astype(table.dtypes)], ignore_index=True)
    _, without = for_laws(table)
    _, everyone = for_laws(table, oracle=True)
    assert len(without) == len(taught)
    assert set(everyone["run"]) - set(without["run"]) == set(truth["run"])
