"""Tables that do not say what they are, and Excel's first line that does."""

from pathlib import Path

import pytest

from tests.support.data_files import refusal, run

ROWS = [(f"The council of town {n} decided on {n} bridges today.", f"Town {n} builds bridges") for n in range(12)]
POSITIONS = {"columns": {"summary": 1, "headline": 2}}


def written(delimiter: str, header: str | None = "short_description,headline", first: str = "", end: str = "\n") -> str:
    lines = [first] * bool(first) + [(header or "").replace(",", delimiter)] * bool(header)
    return end.join([*lines, *(delimiter.join(row) for row in ROWS), ""])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("first", "delimiter"), [("sep=;", ";"), ("SEP=,", ","), ("sep=\t", "\t"), ('"sep=^"', "^")])
def test_the_first_line_of_excel_says_what_parts_the_columns(
    tmp_path: Path, first: str, delimiter: str, end: str
) -> None:
    for more in ({}, POSITIONS):
        header = None if more else "short_description,headline"
        outcome = run(tmp_path, written(delimiter, header, first, end), "rows.csv", **more)
        assert outcome.headlines == {headline for _, headline in ROWS}
        assert not outcome.rejects


def test_with_a_byte_order_mark_and_the_lines_counted_as_they_stand(tmp_path: Path) -> None:
    outcome = run(tmp_path, "\ufeff" + written(";", first="sep=;") + "only one value\n", "rows.csv")
    assert len(outcome.rows) == 12
    assert outcome.reasons == {15: "malformed"}


def test_an_encoding_that_does_not_fit_is_named_with_the_line_of_the_header(tmp_path: Path) -> None:
    data = written(";", "Überschrift;short_description;headline", "sep=;").encode("cp1252")
    assert "rows.csv, line 2, is not UTF-8" in refusal(tmp_path, data, "rows.csv")


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_a_table_of_another_name_is_read_where_there_is_no_doubt(tmp_path: Path, delimiter: str) -> None:
    for header, more in (("short_description,headline", {}), (None, POSITIONS)):
        outcome = run(tmp_path, written(delimiter, header), "export.txt", **more)
        assert outcome.headlines == {headline for _, headline in ROWS}
        assert outcome.manifest["origin"]["format"] == "csv"


def test_a_table_with_other_columns_says_which_it_has(tmp_path: Path) -> None:
    said = refusal(tmp_path, written("\t", "text,title"), "export.txt")
    assert "short_description" in said
    assert "text, title" in said


@pytest.mark.parametrize("text", [
    "Town builds bridges\nThe council, which met today, decided.\nIt was late.\nA vote, it said, follows.\n",
    "one, two\nthree, four\n",
    "a line\n" * 60,
])  # fmt: skip
def test_prose_is_none(tmp_path: Path, text: str) -> None:
    assert "no known format" in refusal(tmp_path, text, "story.txt")
