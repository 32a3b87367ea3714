"""A table in other units is noticed, with the option that mends it; nothing is converted unasked."""

from __future__ import annotations

import numpy as np
import pytest

from distill_lib.observations import read_observations

BYTES = 4.4

SLIPS = {
    "N in billions": ("N", "billions", lambda t: t.assign(N=t.N / 1e9)),
    "N in millions": ("N", "millions", lambda t: t.assign(N=t.N / 1e6)),
    "D in billions": ("D", "billions", lambda t: t.assign(D=t.D / 1e9)),
    "D in millions": ("D", "millions", lambda t: t.assign(D=t.D / 1e6)),
    "L in bits": ("L", "bits", lambda t: t.assign(L=t.L / np.log(2))),
    "L in bits per byte": ("L", "bits-per-byte", lambda t: t.assign(L=t.L / np.log(2) / BYTES)),
    "L as perplexity": ("L", "perplexity", lambda t: t.assign(L=np.exp(t.L))),
    "L in percent": ("L", "percent", lambda t: t.assign(L=100 * t.L)),
    "N in cells": ("N", "suffixed", lambda t: t.assign(N=[f"{n / 1e9:g}B" for n in t.N])),
    "D in cells": ("D", "suffixed", lambda t: t.assign(D=[f"{d / 1e6:g} M" for d in t.D])),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_found_and_its_remedy_works(supervised, slip):
    symbol, unit, change = SLIPS[slip]
    found = read_observations(change(supervised))
    (finding,) = [f for f in found.findings if f.severity != "note"]
    assert (finding.column, finding.row) == (symbol, 0)
    assert finding.count == (7 if unit == "perplexity" else 20)  # the others are below a blind guess's loss
    assert finding.remedy.startswith(f'units={{"{symbol}": "{unit}"}} (--unit {symbol}={unit})')
    length = BYTES if unit == "bits-per-byte" else None
    mended = read_observations(change(supervised), units={symbol: unit}, bytes_per_token=length).require()
    assert mended.frame[list(supervised)].to_numpy() == pytest.approx(supervised.to_numpy(), rel=1e-9)
    assert not [f for f in mended.findings if f.severity == "warning"]


def test_both_counts_in_billions(supervised):
    found = read_observations(supervised.assign(N=supervised.N / 1e9, D=supervised.D / 1e9))
    assert [(f.column, f.code) for f in found.errors] == [("N", "unit"), ("D", "unit")]
    assert all("billions" in f.remedy for f in found.errors)


def test_tokens_that_are_flops(supervised):
    (error,) = read_observations(supervised.assign(D=6 * supervised.N * supervised.D)).errors
    assert (error.code, error.column) == ("unit", "D")
    assert "FLOPs?" in error.message
    assert 'tokens_from="6ND"' in error.remedy


def test_one_row_in_another_unit(supervised):
    supervised.loc[7, "N"] /= 1e9
    (error,) = read_observations(supervised).errors
    assert (error.column, error.row, error.count) == ("N", 7, 1)


@pytest.mark.parametrize("where", ["column", "argument"])
def test_above_a_blind_guess(supervised, where):
    high = supervised.assign(L=supervised.L * 2.2)
    if where == "column":
        found = read_observations(high.assign(vocab_size=64))
    else:
        found = read_observations(high, vocabulary=64)
    (error,) = found.errors
    assert "above 4.99 nats" in error.message
    assert not read_observations(supervised, vocabulary=32768).errors


def test_a_run_that_blew_up_is_named_by_its_row(supervised):
    supervised.loc[5, "L"] = 40.0
    (error,) = read_observations(supervised).errors
    assert (error.row, error.value, error.count) == (5, 40.0, 1)
    assert "did the run diverge?" in error.remedy


def test_who_vouches_for_a_unit_is_believed(supervised):
    bits = supervised.assign(L=supervised.L / np.log(2))
    assert not [f for f in read_observations(bits, units={"L": "nats"}).findings if f.severity != "note"]
    small = supervised.assign(N=supervised.N / 1e7)
    assert [
        f.severity for f in read_observations(small, units={"N": "raw"}).findings if f.code == "unit"
    ] == ["warning"]


@pytest.mark.parametrize(
    ("header", "remedy"),
    [("params (M)", "--unit N=millions"), ("N_billions", "--unit N=billions")],
)
def test_a_unit_in_the_header_is_asked_for_once(supervised, header, remedy):
    factor = 1e6 if "M" in header else 1e9
    table = supervised.assign(N=supervised.N / factor).rename(columns={"N": header})
    (error,) = read_observations(table).errors
    assert repr(header) in error.message
    assert remedy in error.remedy
    unit = remedy.split("=")[1]
    assert read_observations(table, units={"N": unit}).require().frame["N"].tolist() == pytest.approx(
        supervised["N"].tolist()
    )


def test_a_letter_holds_for_both_losses(distilled):
    bits = distilled.assign(L_T=distilled.L_T / np.log(2), L_S=distilled.L_S / np.log(2))
    found = read_observations(bits, "distillation")
    assert [f.column for f in found.findings if f.code == "unit"] == ["L_S"]
    mended = read_observations(bits, "distillation", units={"L": "bits"}).require()
    assert mended.units == {"L_T": "bits", "L_S": "bits"}
    assert mended.frame.to_numpy() == pytest.approx(distilled.to_numpy())
    one = read_observations(bits, "distillation", units={"L": "bits", "L_T": "nats"})
    assert one.units == {"L_S": "bits"}


def test_compute_that_does_not_fit_the_counts(supervised):
    flops = 6 * supervised.N * supervised.D
    assert not read_observations(supervised.assign(C=flops)).require().findings[1:]
    found = read_observations(supervised.assign(C=flops / 1e3))
    (warning,) = [f for f in found.findings if f.severity == "warning"]
    assert warning.column == "C"
    assert "0.001 times 6 N D" in warning.message


@pytest.mark.parametrize(
    ("cell", "code", "remedy"),
    [
        ("2,5", "decimal", "--decimal ,"),
        ("1,234", "decimal", "--decimal ,"),
        ("1,234,567", "thousands", "--thousands ,"),
        ("n.a.", "text", "--skip-invalid"),
    ],
)
def test_text_among_numbers(supervised, cell, code, remedy):
    table = supervised.astype({"L": object})
    table.loc[4, "L"] = cell
    (error,) = read_observations(table).errors
    assert (error.code, error.row, error.value) == (code, 4, cell)
    assert remedy in error.remedy


def test_a_comma_in_a_count_is_between_thousands(supervised):
    table = supervised.astype({"D": object})
    table.loc[4, "D"] = "400,000"
    (error,) = read_observations(table).errors
    assert error.code == "thousands"


def test_a_unit_excuses_small_values_and_not_impossible_ones(supervised):
    table = supervised.assign(N=supervised.N / 1e9)
    table.loc[[2, 9], "N"] = [0.0, -1.0]
    found = read_observations(table)
    assert [(f.code, f.row, f.count) for f in found.errors] == [("unit", 0, 18), ("value", 2, 2)]
    assert found.left_out["invalid values"].tolist() == [2, 9]
