"""What people type comes back as the number they meant; what is no quantity is refused with its remedy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_lib.scaling.accelerators import ACCELERATORS, DAY, find_accelerator, parse_fleet
from distill_lib.scaling.quantities import parse_quantity, parse_share
from distill_lib.scaling.wording import UNITS, count

calm = settings(derandomize=True, deadline=None, max_examples=200)
positive = st.floats(1.0, 1e18, allow_subnormal=False)


@calm
@given(positive, st.sampled_from(["", " tokens", " Tokens ", "token"]))
def test_every_float_comes_back_from_its_own_spelling(value, unit):
    assert parse_quantity(f"{value!r}{unit}", "D") == value
    assert parse_quantity(f"{value:.17g}{unit}", "D") == value


@calm
@given(positive)
def test_what_a_table_writes_can_be_typed_back(value):
    text = count(value)
    again = parse_quantity(text, "N")
    assert again == pytest.approx(value, rel=5.1e-3)  # three digits are written
    assert count(again) == text


@calm
@given(st.integers(1, 999_999), st.integers(0, 3), st.sampled_from(UNITS), st.booleans())
def test_a_letter_is_its_power_of_ten_to_the_last_bit(digits, places, unit, lower):
    size, letter = unit
    number = f"{digits / 10**places:.{places}f}"
    exponent = len(str(int(size))) - 1
    typed = number + (letter.lower() if lower else letter)
    assert parse_quantity(typed, "D") == float(f"{number}e{exponent}")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1.5B", "N", 1.5e9),
        ("1.1B params", "N", 1.1e9),
        ("300e9 tokens", "D", 3e11),
        ("300B tokens", "D", 3e11),
        ("2 T", "D", 2e12),
        ("7 billion", "N", 7e9),
        ("1_000_000", "N", 1e6),
        ("1E22 FLOPs", "C", 1e22),
        (".5T", "D", 5e11),
        ("-1", "N", -1.0),  # a number: who uses it says which are valid
    ],
)
def test_spellings(text, kind, value):
    assert parse_quantity(text, kind) == value


@pytest.mark.parametrize(
    "text", ["", "B", "nan", "inf", "1,5B", "1.5 GB", "1e", "three", "1.5BB", "1 2", "0x10"]
)
def test_no_quantity(text):
    with pytest.raises(ValueError, match=r"is no number of parameters; type 1\.5e9, 1\.5B or"):
        parse_quantity(text, "N", "--student")


def test_the_wrong_unit_is_refused():
    with pytest.raises(ValueError, match=r"--tokens = '3B parameters' is no number of tokens"):
        parse_quantity("3B parameters", "D", "--tokens")
    with pytest.raises(ValueError, match=r"C = '3B tokens' is no number of FLOPs"):
        parse_quantity("3B tokens", "C")


@pytest.mark.parametrize(("text", "value"), [("0.4", 0.4), ("40%", 0.4), ("100 %", 1.0), (".25", 0.25)])
def test_shares(text, value):
    assert parse_share(text, "--utilisation") == value


@pytest.mark.parametrize("text", ["0", "40", "101%", "-0.1", "x", "nan"])
def test_no_share(text):
    with pytest.raises(
        ValueError, match=r"--utilisation = .* is no share above 0 and up to 1; type 0.4 or 40%"
    ):
        parse_share(text, "--utilisation")


# ---------------------------------------------------------------- accelerators


@calm
@given(
    st.integers(1, 10**6),
    st.sampled_from(list(ACCELERATORS.values())),
    st.floats(0.5, 1000.0).map(lambda x: round(x, 2)),
    st.sampled_from([("h", 1 / 24), ("d", 1.0), ("w", 7.0)]),
    st.floats(0.01, 1.0),
)
def test_a_fleet_costs_what_it_delivers(devices, kind, time, unit, utilisation):
    letter, days = unit
    fleet = parse_fleet(f"{devices}x{kind.name.lower()}x{time}{letter}", "--budget", utilisation)
    assert fleet.kind == kind
    assert fleet.flops == pytest.approx(devices * time * days * DAY * kind.peak * utilisation, rel=1e-12)
    assert fleet.days(fleet.flops) == pytest.approx(time * days, rel=1e-12)
    assert fleet.device_days(fleet.flops) == pytest.approx(devices * time * days, rel=1e-12)


def test_a_fleet_by_hand():
    assert parse_fleet("64 x H100 x 14 days", "--budget").flops == 64 * 14 * 86400 * 989.5e12 * 0.4
    bare = parse_fleet("8xH100-PCIe", "--gpus")
    assert (bare.count, bare.seconds, bare.flops) == (8, None, float("inf"))
    assert parse_fleet("1e22", "--budget") is None


def test_every_peak_names_its_source():
    for kind in ACCELERATORS.values():
        assert 1e14 < kind.peak < 1e16
        assert "https://" in kind.source
    assert find_accelerator("h200", "--gpu").peak == find_accelerator("H100", "--gpu").peak


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("64xH900x14d", "'H900' is no accelerator known here; choose one of A100, H100,"),
        ("0xH100x14d", "is out of range"),
        ("8xH100x0d", "takes no time; type such as 64xH100x14d"),
    ],
)
def test_no_fleet(text, words):
    with pytest.raises(ValueError, match=words):
        parse_fleet(text, "--budget")


def test_no_utilisation():
    with pytest.raises(ValueError, match="utilisation = 40 is out of range"):
        parse_fleet("8xH100x1d", "--budget", 40)
