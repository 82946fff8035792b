# ruff: noqa: RUF001 - other scripts are what is tested
"""Shapes in which news texts come: without a header, as texts in a folder, packed, in languages without spaces."""

import bz2
import gzip
import json
import lzma
import os
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from scripts.foundation.errors import StudyError
from scripts.terminal import outcome as terminal_outcome
from tests.support.data_files import Outcome, refusal, run

NAMED = {"summary": "text", "headline": "title"}


def rows(count: int = 12) -> list[tuple[str, str, str]]:
    return [(f"Town {n} builds", f"The council, of town {n}, decided on {n} bridges today.", "A") for n in range(count)]


def joined(delimiter: str, table: list[tuple[str, ...]]) -> str:
    quoted = ([f'"{cell}"' if delimiter in cell else cell for cell in row] for row in table)
    return "\n".join(delimiter.join(row) for row in quoted) + "\n"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_a_table_without_a_header_is_read_by_position(tmp_path: Path, delimiter: str) -> None:
    columns = {"headline": 1, "summary": 2, "category": 3}
    outcome = run(tmp_path, joined(delimiter, rows()), "rows.csv", columns=columns)
    assert outcome.headlines == {headline for headline, _, _ in rows()}
    assert {row["category"] for row in outcome.rows} == {"A"}
    assert outcome.counts["rejected"] == 0


def test_the_first_value_over_several_lines_is_one_value(tmp_path: Path) -> None:
    table = [("Town zero builds", "The council, of town 0,\ndecided on bridges.", "A"), *rows()]
    outcome = run(tmp_path, joined(",", table), "rows.csv", columns={"headline": 1, "summary": 2})
    assert len(outcome.rows) == 13
    assert "Town zero builds" in outcome.headlines


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"headline": 1, "summary": 7}, "has 3 columns, so dataset.file.columns can't be 7"),
        ({"headline": 2, "summary": 2}, "dataset.file.columns: summary and headline are both 2; name the column of"),
        ({"headline": "text", "summary": "text"}, "summary and headline are both text; name the column of each"),
        ({"headline": 0, "summary": 1}, "0 is no column; the first is 1"),
        ({"headline": "title", "summary": 1}, "mixes both"),
        ({"headline": "title", "summary": "text"}, "give them by position, such as {headline: 1, summary: 2}"),
    ],
)
def test_wrong_positions_are_told(tmp_path: Path, columns: dict[str, int | str], words: str) -> None:
    assert words in refusal(tmp_path, joined(",", rows()), "rows.csv", columns=columns)


def test_rows_that_are_lists_are_read_by_position(tmp_path: Path) -> None:
    columns = {"headline": 1, "summary": 2, "category": 3}
    lines = "\n".join(json.dumps(row) for row in rows())
    for name, text in (("rows.jsonl", lines), ("rows.json", json.dumps(rows()))):
        assert len(run(tmp_path, text, name, columns=columns).rows) == 12


def test_parquet_columns_by_position(tmp_path: Path) -> None:
    pd.DataFrame(rows(), columns=["title", "text", "kind"]).to_parquet(tmp_path / "rows.parquet")
    outcome = Outcome(tmp_path / "rows.parquet", tmp_path / "out", columns={"headline": 1, "summary": 2, "category": 3})
    assert outcome.headlines == {headline for headline, _, _ in rows()}
    assert {row["category"] for row in outcome.rows} == {"A"}


@pytest.mark.parametrize("index", ["numbers", "names"])
@pytest.mark.parametrize("orient", ["columns", "index", "split", "records", "values", "table"])
def test_every_orient_of_pandas_is_read(tmp_path: Path, orient: str, index: str) -> None:
    frame = pd.DataFrame(rows(), columns=["title", "text", "kind"])
    if index == "names":
        frame.index = [f"row {n}" for n in range(len(frame))]
    frame.to_json(tmp_path / "rows.json", orient=orient)
    columns = {"headline": 1, "summary": 2} if orient == "values" else NAMED
    outcome = Outcome(tmp_path / "rows.json", tmp_path / "out", columns=columns)
    assert outcome.headlines == {headline for headline, _, _ in rows()}


def test_quotes_in_a_table_parted_by_tabs_are_part_of_the_text(tmp_path: Path) -> None:
    table = [("title", "text"), ('"Crown" returns for a season', 'The series "Crown" is back, as "planned" today.')]
    table += [(f'"A" is {n} of the letters', f'"Letter {n} stands for much in the world of today') for n in range(9)]
    table += [(f'"Quoted as a whole {n}"', f"The council of town {n} decided on bridges today.") for n in range(9)]
    outcome = run(tmp_path, "\n".join("\t".join(row) for row in table), "rows.tsv", columns=NAMED)
    assert outcome.counts["rejected"] == 0
    assert '"Crown" returns for a season' in outcome.headlines
    assert "Quoted as a whole 3" in outcome.headlines


TEXT = "Town {n} builds\n\nThe council of town {n} decided\non {n} bridges today.\n"


def folder(place: Path, encoding: str = "utf-8") -> Path:
    for n in range(12):
        path = place / ("business" if n % 2 else "sport") / f"{n:03d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TEXT.format(n=n).replace("bridges", "brücken").encode(encoding))
    (place / "README.txt").write_text("What this is\nA set of texts that nobody should take for news.")
    return place


@pytest.mark.parametrize("packed", [False, True])
def test_texts_with_the_headline_on_the_first_line(tmp_path: Path, packed: bool) -> None:
    place = folder(tmp_path / "news")
    if packed:
        with zipfile.ZipFile(tmp_path / "news.zip", "w") as archive:
            for path in sorted(place.rglob("*.txt")):
                archive.write(path, path.relative_to(tmp_path))
        place = tmp_path / "news.zip"
    outcome = Outcome(place, tmp_path / "out")
    assert outcome.headlines == {f"Town {n} builds" for n in range(12)}
    assert {row["category"] for row in outcome.rows} == {"business", "sport"}
    assert "The council of town 3 decided on 3 brücken today." in {row["summary"] for row in outcome.rows}
    assert outcome.manifest["position_unit"] == "file"


def test_a_text_that_changes_makes_another_data_set(tmp_path: Path) -> None:
    place = folder(tmp_path / "news")
    first = Outcome(place, tmp_path / "out").manifest["origin"]["sha256"]
    (place / "sport" / "000.txt").write_text("Another headline\nand another summary of more than five words")
    assert Outcome(place, tmp_path / "out").manifest["origin"]["sha256"] != first


def test_texts_of_another_encoding(tmp_path: Path) -> None:
    place = folder(tmp_path / "news", "cp1252")
    with pytest.raises(StudyError, match=r"most likely cp1252 .* set dataset\.file\.encoding to cp1252"):
        Outcome(place, tmp_path / "out")
    assert len(Outcome(place, tmp_path / "out", encoding="cp1252").rows) == 12


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_packed_files(tmp_path: Path, ending: str, pack) -> None:
    data = pack(joined("\t", [("title", "text", "kind"), *rows()]).encode())
    outcome = run(tmp_path, data, f"rows.tsv.{ending}", columns=NAMED)
    assert len(outcome.rows) == 12
    assert "is damaged" in refusal(tmp_path, data[:-20], f"cut.tsv.{ending}", columns=NAMED)


OTHERS = {
    "rows.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "Excel workbook (.xls); save its table as CSV"),
    "rows.db": (b"SQLite format 3\0" + b"\0" * 600, "an SQLite database"),
    "rows.zst": (b"\x28\xb5\x2f\xfd" + b"\0" * 600, "packed with Zstandard"),
    "rows.html": (b"<!doctype html><table><tr><td>Town</td></tr></table>", "is HTML or XML"),
    "rows.tar.gz": (gzip.compress(b"rows.csv".ljust(257, b"\0") + b"ustar".ljust(255, b"\0")), "is a tar archive"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_read_says_what_to_do(tmp_path: Path, name: str) -> None:
    data, words = OTHERS[name]
    assert words in refusal(tmp_path, data, name)


@pytest.mark.parametrize("member", ["[Content_Types].xml", "content.xml"])
def test_a_workbook_is_refused(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "rows.xlsx", "w") as archive:
        archive.writestr(member, "<x/>")
    with pytest.raises(StudyError, match="Excel workbook; save its table as CSV in UTF-8"):
        Outcome(tmp_path / "rows.xlsx", tmp_path / "out")


UNSPACED = {
    "chinese": ("市长宣布新桥通车{n}", "北京市政府今天上午宣布经过七年的建设跨江大桥正式通车，" * 5 + "全长{n}公里。"),
    "japanese": (
        "市長が新しい橋の開通を発表{n}",
        "東京都は今日の午前、七年の建設を経て新しい橋が開通したと発表した。" * 5 + "全長{n}。",
    ),
    "thai": ("นายกเทศมนตรีเปิดสะพานใหม่{n}", "เทศบาลนครประกาศเมื่อเช้านี้ว่าสะพานใหม่ข้ามแม่น้ำเปิดใช้งานแล้ว" * 5 + "{n}"),
}


@pytest.mark.parametrize("language", UNSPACED)
def test_the_bounds_suit_languages_without_spaces(tmp_path: Path, language: str) -> None:
    headline, summary = UNSPACED[language]
    table = [(headline.format(n=n), summary.format(n=n)) for n in range(12)]
    table += [("市", summary), (headline, "桥开了")]
    lines = "\n".join(json.dumps({"headline": h, "short_description": s}) for h, s in table)
    assert run(tmp_path, lines).counts["rejected_by_reason"] == {"headline_too_short": 1, "summary_too_short": 1}


def test_a_category_that_is_named_must_be_there(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"title": h, "text": s, "kind": c}) for h, s, c in rows())
    table = joined("\t", [("title", "text", "kind"), *rows()])
    pd.DataFrame(rows(), columns=["title", "text", "kind"]).to_parquet(tmp_path / "table.parquet")
    parquet = (tmp_path / "table.parquet").read_bytes()
    for name, data in (("rows.jsonl", lines), ("rows.tsv", table), ("rows.parquet", parquet)):
        sentence = refusal(tmp_path, data, name, columns=NAMED | {"category": "section"})
        assert "has no column section; it has title, text, kind" in sentence
        assert len(run(tmp_path, data, name, columns=NAMED).rows) == 12


@pytest.mark.parametrize(("short", "warns"), [(6, False), (7, True)])
def test_a_source_most_of_whose_rows_are_rejected_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, short: int, warns: bool
) -> None:
    table = [(h, "Too short" if n < short else s) for n, (h, s, _) in enumerate(rows())]
    lines = "\n".join(json.dumps({"title": h, "text": s}) for h, s in table)
    outcome = run(tmp_path, lines, columns=NAMED)
    words = "7 of the 12 rows of the data are rejected (58%), 7 of them as summary_too_short"
    assert (words in outcome.manifest.get("warning", "")) is warns
    assert (words in caplog.text) is warns
    said = terminal_outcome.of([str(tmp_path / "out" / "manifest.json")])
    assert (said or "").startswith(f"warning: {words}") is warns


def test_a_folder_may_hold_pipes_and_links_to_nothing(tmp_path: Path) -> None:
    place = folder(tmp_path / "news")
    (place / "gone.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(place / "pipe.txt")
    assert len(Outcome(place, tmp_path / "out").rows) == 12


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rows.csv", "headline,short_description\nTown builds,the council said, at last\n", "“Town builds,the council"),
        ("rows.jsonl", "{'headline': 'Town builds'}\n{'headline': 'Town \x1b[31m sells'}\n", "JSON object of its own"),
        ("few.jsonl", '{"headline": "Town builds", "short_description": "it does"}\n', "check the columns and dataset"),
    ],
)
def test_where_no_row_can_be_used_the_first_is_shown_with_what_it_should_be(tmp_path, name, text, words):
    sentence = refusal(tmp_path, text, name)
    assert "the first begins “" in sentence
    assert words in sentence
    assert "\x1b" not in sentence
