"""Quotes in CSV: a stray one costs its own row, and legitimate values of several lines are read."""

import csv
import io
import random
from pathlib import Path

import pytest

from tests.support.data_files import refusal, run, table


def with_line(lines: list[str], line: int, change) -> str:
    """Return the file with one line changed, by its number."""
    lines = list(lines)
    lines[line - 1] = change(lines[line - 1])
    return "\n".join(lines) + "\n"


def opened(line: str) -> str:
    return '"' + line


@pytest.mark.parametrize("count", [400, 60_000])  # to the end of the file, and further than a row may be long
def test_an_opening_quote_costs_its_own_row(tmp_path: Path, count: int) -> None:
    outcome = run(tmp_path, with_line(table(count), 102, opened), "rows.csv")
    assert outcome.reasons == {102: "stray_quote"}
    assert outcome.counts["read"] == count


@pytest.mark.parametrize(
    "second",
    [
        opened,  # another row opens the next one
        lambda line: line + '"',
        lambda line: line.replace(",Town", '",Town'),  # closes so that the values' number is right
        lambda line: line.replace("bridges today", 'bridges "today"'),
    ],
)
@pytest.mark.parametrize("at", [9, 150])
def test_a_second_quote_hides_no_row_between(tmp_path: Path, second, at: int) -> None:
    lines = with_line(table(200), 3, opened).splitlines()
    outcome = run(tmp_path, with_line(lines, at, second), "rows.csv")
    assert outcome.reasons.pop(3) == "stray_quote"
    assert set(outcome.reasons) <= {at}
    assert outcome.counts["read"] == 200


def test_a_quote_near_the_end_costs_its_own_row(tmp_path: Path) -> None:
    for line in (19, 20, 21):
        outcome = run(tmp_path, with_line(table(20), line, opened), "rows.csv")
        assert outcome.reasons == {line: "stray_quote"}
        assert outcome.counts["read"] == 20


def test_a_quote_inside_a_quoted_value_is_named(tmp_path: Path) -> None:
    lines = [*table(5), '"He said "no" to it, and the council agreed.",Council agrees,NEWS']
    outcome = run(tmp_path, "\n".join(lines), "rows.csv")
    assert outcome.reasons == {7: "stray_quote"}


def texts(draw: random.Random) -> str:
    """Return a text with delimiters, quotes, line breaks and blank lines."""
    words = ["one", "two,", '"three"', "four\n", "five\n\n", "six;", "seven\r\n", 'eight"', '"\nnine', "ten"]
    return " ".join(draw.choices(words, k=draw.randint(8, 40)))


def test_values_of_several_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [(texts(draw), f"Town {number} builds", "A, B") for number in range(500)]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("short_description", "headline", "category"), *rows])
    outcome = run(tmp_path, buffer.getvalue(), "rows.csv")
    assert outcome.reasons == {}
    found = {row["headline"]: row["summary"] for row in outcome.rows}
    assert found == {headline: " ".join(summary.split()) for summary, headline, _ in rows}


def test_a_stray_quote_among_values_of_several_lines(tmp_path: Path) -> None:
    text = '"The council met today,\nand decided on {0} bridges.\n\nWork begins soon.",Town {0} builds,NEWS\n'
    rows = [text.format(number) for number in range(60)]
    rows[20] = "The council met today and decided.,Town 20 builds,NEWS\n".replace("The", '"The')
    rows[40] = rows[40].replace('soon."', "soon.")
    outcome = run(tmp_path, "short_description,headline,category\n" + "".join(rows), "rows.csv")
    assert outcome.headlines == {f"Town {number} builds" for number in range(60) if number not in (20, 40)}
    assert outcome.reasons == {82: "stray_quote", 159: "stray_quote"}


def test_a_text_too_long_is_one_row(tmp_path: Path) -> None:
    long = '"' + "A line of a text, and more of it.\n" * 200_000 + '",Too long,NEWS\n'
    lines = "\n".join(table(5)) + "\n"
    outcome = run(tmp_path, lines + long + "\n".join(table(9)[6:]), "rows.csv")
    assert outcome.reasons == {7: "too_large"}
    assert outcome.counts["read"] == 10


def test_values_that_look_like_rows_are_pointed_out(tmp_path: Path) -> None:
    lines = with_line(table(50), 10, opened).splitlines()
    outcome = run(tmp_path, with_line(lines, 12, lambda line: line.replace(",Town", '",Town')), "rows.csv")
    assert "line 10" in " ".join(outcome.manifest["notes"])
    assert outcome.counts["read"] == 48


@pytest.mark.parametrize("ending", ["\r", "\r\n", "\n"])
def test_every_line_end_is_read(tmp_path: Path, ending: str) -> None:
    last = '"A text of\rtwo lines or more, quoted.",Town 30 builds,NEWS'
    outcome = run(tmp_path, ending.join([*table(30), last, ""]), "rows.csv")
    assert outcome.reasons == {}
    assert outcome.counts["read"] == 31


def test_json_lines_that_end_in_carriage_returns(tmp_path: Path) -> None:
    row = '{{"headline": "town {0} builds", "short_description": "one two three four {0}"}}'
    assert run(tmp_path, "\r".join(row.format(number) for number in range(20))).counts["read"] == 20


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    text = "short_description,headline,headline\nThe council of the town met today.,Right one,Wrong one\n"
    sentence = refusal(tmp_path, text, "rows.csv")
    assert "2 columns named headline (the columns 2 and 3)" in sentence
    # One that nobody asks for does no harm.
    assert run(tmp_path, text.replace("headline,headline", "headline,x,x").replace("one\n", "one,\n"), "rows.csv").rows


def test_a_header_of_many_columns(tmp_path: Path) -> None:
    more = [f"column number {number}" for number in range(20_000)]
    text = ",".join(["short_description", "headline", *more]) + "\nThe council of the town met today.,Council meets"
    assert run(tmp_path, text + "," * len(more) + "\n", "rows.csv").headlines == {"Council meets"}
    assert "header of more than 4 MiB" in refusal(tmp_path, "short_description," + "x" * 5 * 2**20, "large.csv")
