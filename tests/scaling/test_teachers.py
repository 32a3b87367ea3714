"""A table of teachers is read as it was meant, or refused in one line that names the place."""

import math

import pytest

from distill_lib.scaling.planning import plan
from distill_lib.scaling.teachers import Teacher, read_teachers


def table(folder, text):
    path = folder / "teachers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_counts_as_people_type_them_names_and_measured_losses(tmp_path):
    text = "name, N_T,D_T,L_T\nsmall,500M,100B,\n\nmid,1e9,200e9 tokens,2.05\n,30B,6e11,\n"
    found = read_teachers(table(tmp_path, text))
    assert [each.name for each in found] == ["small", "mid", "teacher 3"]
    assert [each.given for each in found] == [(5e8, 1e11), (1e9, 2e11, 2.05), (3e10, 6e11)]
    assert plan(1e9, 1e22, teachers=[each.given for each in found]).teacher in (0, 1, 2)


def test_losses_alone_and_columns_in_another_order(tmp_path):
    (loss,) = read_teachers(table(tmp_path, "L_T\n1.9\n"))
    assert loss.given == 1.9
    assert math.isnan(loss.N_T)
    assert read_teachers(table(tmp_path, "\ufeffD_T,N_T\n2T,7B\n")) == [
        Teacher("teacher 1", 7e9, 2e12, pytest.approx(math.nan, nan_ok=True))
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"teachers.csv is empty; write the columns N_T,D_T,L_T"),
        ("\n\n", r"teachers.csv is empty"),
        ("N_T,D_T,L_T\n", r"teachers.csv has a header but no teachers"),
        ("N_T,D_T,loss\n1,2,3\n", r"unknown column 'loss'; the columns are N_T, D_T, L_T, and perhaps name"),
        ("N_T,N_T\n1,2\n", r"column N_T stands there twice"),
        ("N_T,L_T\n1e9,2\n", r"column N_T without D_T; add D_T, or give the loss L_T alone"),
        ("name\nbig\n", r"no column says what a teacher is; give N_T and D_T, or L_T"),
        ("N_T,D_T\n1e9\n", r"row 2: 1 cells for 2 columns"),
        ("N_T,D_T\n1e9,2e10\n\n1e9,\n", r"row 4, column D_T is empty"),
        ("L_T,name\n,big\n", r"row 2, column L_T is empty"),
        (
            "N_T,D_T\nseven,2e10\n",
            r"row 2, column N_T = 'seven' is no number of parameters; type 1.5e9, 1.5B",
        ),
        ("N_T,D_T\n7,2e10\n", r"row 2, column N_T = '7' is out of range: 1000 to 1e17 parameters; write 7B"),
        ("N_T,D_T\n7B,-1\n", r"row 2, column D_T = '-1' is out of range: 1000 to 1e17 tokens"),
        ("N_T,D_T\n7B,3B parameters\n", r"row 2, column D_T = '3B parameters' is no number of tokens"),
        ("N_T,D_T,L_T\n7B,2T,low\n", r"row 2, column L_T = 'low' is no loss: nats per token, above 0"),
        ("N_T,D_T,L_T\n7B,2T,-2\n", r"row 2, column L_T = '-2' is no loss"),
        ("N_T,D_T,L_T\n7B,2T,nan\n", r"row 2, column L_T = 'nan' is no loss"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as fault:
        read_teachers(table(tmp_path, text))
    assert "\n" not in str(fault.value)


def test_no_text_and_no_file(tmp_path):
    path = tmp_path / "teachers.csv"
    path.write_bytes(b"\xff\xfe\x00PK")
    with pytest.raises(ValueError, match="is no CSV text"):
        read_teachers(path)
    with pytest.raises(FileNotFoundError):
        read_teachers(tmp_path / "none.csv")
