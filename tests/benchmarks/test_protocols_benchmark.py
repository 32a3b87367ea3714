"""What protocols cost is added up from the rows that they ask for."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from distill_lib.scaling import protocols
from distill_lib.scaling.scales import SMOKE

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def cost():
    spec = importlib.util.spec_from_file_location("protocols_benchmark", FOLDER / "protocols.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cost


def test_shared_runs_are_paid_once_in_all_and_holes_are_said(cost):
    wanted = [
        run.spec_hash for run in protocols.preset("smoke", [each.name for each in protocols.of_scale(SMOKE)])
    ]
    table = pd.DataFrame({"spec_hash": wanted, "seconds": 60.0})
    found = cost("smoke", table).set_index("protocol")
    assert found.loc["all", "took"] == pytest.approx(len(wanted) / 2)
    assert found["took"].drop("all").sum() >= found.loc["all", "took"]
    short = cost("smoke", table[1:]).set_index("protocol")
    assert pd.isna(short.loc["all", "took"])
    assert short.loc["all", "there"] == len(wanted) - 1
