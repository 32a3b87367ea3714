"""Bytes of stored logits, held against App G.4."""

import pytest

from distill_lib import paper
from distill_lib.scaling.storage import logit_storage, readable_bytes


def test_the_papers_own_numbers():
    claims = paper.table("claims").set_index("claim")["value"]
    row = logit_storage(1, vocabulary=32168, dtype="float32")  # with its vocabulary as printed in App G.4
    assert row.bytes_per_token == pytest.approx(claims["c72"], rel=0.005)
    assert logit_storage(2e12, vocabulary=32168, dtype="float32").bytes == pytest.approx(
        claims["c73"], rel=0.02
    )


def test_full_and_top_k_by_hand():
    assert logit_storage(10).bytes == 10 * 32768 * 2
    assert logit_storage(10, top_k=128).bytes == 10 * 128 * (2 + 2)
    assert logit_storage(10, top_k=128, vocabulary=100_000, dtype="float32").bytes == 10 * 128 * (4 + 4)
    assert logit_storage(1e12, top_k=50, price_per_TB=20.0).price == pytest.approx(200 * 20.0)
    assert logit_storage(1e12).price is None


def test_sentences():
    assert str(logit_storage(2e9, price_per_TB=10)).endswith("65,536 bytes a token, 131 TB, price 1,311")
    assert [readable_bytes(x) for x in (12, 999, 999_700, 2.6e17, 5e21)] == [
        "12 B",
        "999 B",
        "1 MB",
        "260 PB",
        "5e+03 EB",
    ]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"D_S": 0}, r"D_S = 0.0 is out of range"),
        ({"D_S": [1, 2]}, r"give one number here"),
        ({"top_k": 0}, r"top_k = 0 is out of range"),
        ({"top_k": 40000}, r"top_k must be one number from 1 to 32768"),
        ({"dtype": "int8"}, r"dtype = 'int8' is unknown"),
        ({"price_per_TB": -1}, r"price_per_TB = -1 is out of range"),
    ],
)
def test_bad_input(question, message):
    with pytest.raises(ValueError, match=message):
        logit_storage(**{"D_S": 1e9, **question})
