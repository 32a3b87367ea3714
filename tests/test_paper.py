"""The paper's tables: complete, typed, and consistent with each other and with the code."""

import re

import pytest

from distill_lib import paper
from distill_lib.scaling import formulas


@pytest.mark.parametrize("name", list(paper.SCHEMAS))
def test_every_table_passes_its_schema_and_is_a_fresh_copy(name):
    frame = paper.table(name)
    assert len(frame) > 0
    frame.iloc[0, 0] = frame.iloc[-1, 0]
    frame["extra"] = 1
    assert "extra" not in paper.table(name)


@pytest.mark.parametrize(
    ("name", "rows", "key"),
    [
        ("figures", 61, "figure"),
        ("claims", 77, "claim"),
        ("errata", 21, "erratum"),
        ("tables", 13, "table"),
        ("architectures", 33, "name"),
        ("scenarios", 4, "scenario"),
        ("calibration", 119, None),
    ],
)
def test_counts_and_unique_keys(name, rows, key):
    frame = paper.table(name)
    assert len(frame) == rows
    if key:
        assert frame[key].is_unique


def test_every_row_names_its_place():
    for name in paper.SCHEMAS:
        frame = paper.table(name)
        if "place" in frame and name != "hyperparameters":  # what is missing has no place
            assert (frame["place"].str.len() > 0).all(), name


def test_coefficients_lie_inside_their_intervals():
    for law, count in (("supervised", 8), ("distillation", 11)):
        entries = paper.coefficients(law)
        assert len(entries) == count
        for entry in entries.values():
            assert entry.low <= entry.value <= entry.high, entry
    assert paper.coefficients("distillation")["B'"].value == 24181.0


def test_printed_exponents_follow_from_alpha_and_beta():
    for law, prime in (("supervised", ""), ("distillation", "'")):
        entries = {symbol: entry.value for symbol, entry in paper.coefficients(law).items()}
        alpha, beta = entries["alpha" + prime], entries["beta" + prime]
        assert entries["a" + prime] == pytest.approx(beta / (alpha + beta), abs=1e-3)
        assert entries["b" + prime] == pytest.approx(alpha / (alpha + beta), abs=1e-3)


def test_scenarios_agree_with_the_planner():
    rows = paper.table("scenarios").itertuples()
    assert {row.scenario: (row.delta_logits, row.delta_pretraining) for row in rows} == formulas.SCENARIOS


def test_figures_cover_every_number_from_1_to_54():
    numbers = {int(re.match(r"\d+", name)[0]) for name in paper.table("figures")["figure"]}
    assert numbers == set(range(1, 55))


def test_sources_of_claims_and_tables_exist():
    for reference in [*paper.table("claims")["source"], *paper.table("tables")["stored_in"]]:
        if reference and not reference.startswith("not stored"):
            name, *rest = reference.split("/")
            frame = paper.table(name)
            if name == "coefficients" and rest:
                assert rest[1] in paper.coefficients(rest[0])
            elif rest:
                assert rest[0] in frame.columns or rest[0] in set(frame.iloc[:, 0]), reference


def test_fitted_ranges_rise():
    assert set(paper.fitted_ranges()) == {"N_S", "N_T", "D_S", "D_T", "L_T"}
    assert all(low < high for low, high in paper.fitted_ranges().values())


def test_unknown_names_are_refused_with_the_choice():
    with pytest.raises(ValueError, match=r"name = 'nothing' is no table.*architectures"):
        paper.table("nothing")
    with pytest.raises(ValueError, match=r"law = 'x' is unknown; choose one of: supervised, distillation"):
        paper.coefficients("x")
    with pytest.raises(TypeError):
        paper.coefficients("supervised")["E"] = None
