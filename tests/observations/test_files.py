"""What can be wrong with a file is said with its line, before anything is known of its columns."""

from __future__ import annotations

import pandas as pd
import pytest

from distill_lib.observations import read_observations
from distill_lib.observations.files import load

ROWS = "1e8,2e9,3.1\n1e9,2e10,2.5\n3e9,6e10,2.2\n"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty", "the file is empty"),
        (b" \n\n", "empty", "the file is empty"),
        (b"N,D,L\n", "empty", "a header and no rows"),
        (ROWS.encode(), "header", "the first line holds numbers (1e8, 2e9, 3.1), not names"),
        (f"N,D,L\n{ROWS}".encode("utf-16"), "encoding", "not UTF-8 text"),
        (f"N,D,L\n{ROWS}é,1,2\n".encode("latin-1"), "encoding", "line 5 holds the byte 0xe9"),
        (b"N,D,L\n1e8,2e9,3,1\n1e9,2e10,2,5\n", "fields", "row 0 (line 2): 4 fields, where the header has 3"),
        (f"N,D,L\n{ROWS}1e9,2e10".encode(), "fields", "row 3 (line 5): 2 fields, where the header has 3"),
        (
            f"N,D,L\n{ROWS * 30}1,2,3,4,5\n".encode(),
            "fields",
            "row 90 (line 92): 5 fields, where the header has 3",
        ),
    ],
)
def test_a_file_that_is_no_table(tmp_path, content, code, words):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    found = read_observations(path)
    (error,) = found.errors
    assert error.code == code
    assert words in str(error)
    assert error.remedy
    assert found.frame.empty


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator_is_said(tmp_path, separator, name):
    (tmp_path / "t.csv").write_text(f"N,D,L\n{ROWS}".replace(",", separator))
    table = load(tmp_path / "t.csv")
    assert list(table.frame) == ["N", "D", "L"]
    (note,) = table.findings
    assert name in note.message


@pytest.mark.parametrize(
    "text",
    [
        f"N,D,L\n{ROWS}".rstrip("\n"),
        f"N,D,L\n{ROWS}".replace("\n", "\r\n"),
        f"N,D,L\n{ROWS}".replace("\n", "\n\n"),
        f"N,D,L\n{ROWS}".replace("\n", ",\n").replace("L,", "L"),
        f"\ufeffN,D,L\n{ROWS}",
        f" N , D ,L\n{ROWS}",
    ],
)
def test_small_oddities_change_no_value(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    table = load(tmp_path / "t.csv")
    assert table.frame.to_numpy().tolist() == [[1e8, 2e9, 3.1], [1e9, 2e10, 2.5], [3e9, 6e10, 2.2]]
    assert not [f for f in table.findings if f.severity == "error"]


def test_lines_are_named_only_where_rows_are_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('N,D,L,who\n1e9,2e10,-1,"two\nlines"\n' + "1e9,3e10,-1,one\n")
    (error,) = [f for f in read_observations(path).findings if f.code == "value"]
    assert (error.row, error.line, error.count) == (0, None, 2)
    path.write_text("N,D,L\n1e9,2e10,2.5\n1e9,3e10,-1\n")
    (error,) = [f for f in read_observations(path).findings if f.code == "value"]
    assert (error.row, error.line) == (1, 3)


def test_repeated_and_empty_headers_are_told_apart(tmp_path):
    (tmp_path / "t.csv").write_text(f",x,x\n{ROWS}")
    table = load(tmp_path / "t.csv")
    assert list(table.frame) == ["column 1", "x", "x #2"]
    assert table.repeated == ("x",)


def test_a_frame_with_a_named_index_keeps_it():
    frame = pd.DataFrame({"D": [1e9], "L": [2.0]}, index=pd.Index([1e8], name="N"))
    assert list(load(frame).frame) == ["N", "D", "L"]
    assert list(frame) == ["D", "L"]


def test_other_files_are_refused_with_what_to_save(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"t\.xlsx: files of kind '\.xlsx' are not read; save it as \.csv"):
        load(tmp_path / "t.xlsx")
