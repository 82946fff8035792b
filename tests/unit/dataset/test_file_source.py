"""The user's own file: every format in every packing, hostile rows, and what is said when a file is no use."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.foundation.errors import StudyError
from tests.support.data_files import Outcome, Rows, refusal, run


def good(number: int) -> dict[str, Any]:
    return {
        "headline": f"Town “Nº {number}” opens, a new bridge",
        "short_description": f'The bridge number {number} is open,\nand "everyone" likes it\u2028very much.',
        "category": "NEWS",
        "date": 2020,
    }


def as_json_lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_json_array(rows: Rows) -> bytes:
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()


def as_csv(rows: Rows, delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def as_zip(data: bytes, name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._x", b"junk")
        archive.writestr(f"folder/{name}", data)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Rows], bytes]] = {
    "rows.jsonl": as_json_lines,
    "rows.json": as_json_array,
    "rows.csv": as_csv,
    "rows.tsv": lambda rows: as_csv(rows, "\t"),
    "rows.parquet": as_parquet,
}
PACKINGS: dict[str, Callable[[bytes, str], bytes]] = {
    "": lambda data, name: data,
    ".gz": lambda data, name: gzip.compress(data),
    ".zip": as_zip,
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_in_every_packing_gives_the_same_data_set(tmp_path: Path, name: str, packing: str) -> None:
    rows = [good(number) for number in range(30)]
    plain = run(tmp_path, as_json_lines(rows), "reference.jsonl")
    packed = run(tmp_path, PACKINGS[packing](FORMATS[name](rows), name), name + packing)
    assert packed.manifest["sha256"] == plain.manifest["sha256"]
    assert packed.manifest["counts"] == plain.manifest["counts"]
    assert packed.manifest["origin"]["bytes"] == (tmp_path / (name + packing)).stat().st_size
    assert packed.manifest["origin"]["compression"] == {"": "none", ".gz": "gzip", ".zip": "zip"}[packing]


def test_content_counts_more_than_the_name(tmp_path: Path) -> None:
    rows = [good(number) for number in range(3)]
    assert run(tmp_path, as_json_lines(rows), "no_ending").manifest["origin"]["format"] == "json_lines"
    assert run(tmp_path, gzip.compress(as_parquet(rows)), "odd.json").manifest["origin"]["format"] == "parquet"
    assert run(tmp_path, as_zip(as_json_lines(rows), "x.json"), "zipped.json").manifest["counts"]["read"] == 3


def test_hostile_lines_are_rejected_one_by_one(tmp_path: Path) -> None:
    fine = [json.dumps(good(number)).encode() for number in range(4)]
    lines = [
        b"\xef\xbb\xbf" + fine[0] + b"\r",  # 1: byte-order mark, CRLF
        b'{"headline": "a b c", "short_description": ',  # 2
        b'{"headline": "bad \xff byte here", "short_description": "one two three four five"}',  # 3
        b'{"headline": "half \\ud83d pair here", "short_description": "one two three four five"}',  # 4
        b'{"headline": {"a": [1]}, "short_description": "one two three four five"}',  # 5
        b'{"headline": 5, "short_description": "one two three four five"}',  # 6
        b'{"headline": "no summary here"}',  # 7
        b'{"headline": null, "short_description": "one two three four five"}',  # 8
        b'{"headline": "\xe2\x80\x8b &nbsp; \\t", "short_description": "one two three four five"}',  # 9
        b'["headline", "short_description"]',  # 10
        b"\x00\x00\x00",  # 11
        b"",  # 12: a blank line is no row
        fine[0],  # 13
        b'{"headline": "only", "short_description": "one two three four five"}',  # 14
        b'{"headline": "a b c", "short_description": "one two three four"}',  # 15
        b'{"headline": "a b c", "short_description": "' + b"w " * 101 + b'"}',  # 16
        b'{"headline": "' + b"w " * 31 + b'", "short_description": "one two three four five"}',  # 17
        b'{"headline": "a b c", "short_description": "' + b"w" * (5 * 2**20) + b'"}',  # 18
        b"[" * 100_000,  # 19
        b'{"headline": "a b c", "short_description": ' + b"9" * 5000 + b"}",  # 20
        fine[1],  # 21
        b'{"headline": "first one", "headline": "last one", "short_description": "a b c d e f", "category": 7}',  # 22
        fine[2],  # 23: no line feed at the end
    ]
    outcome = run(tmp_path, b"\n".join(lines))
    assert outcome.reasons == {
        2: "malformed", 3: "not_utf8", 4: "not_utf8", 5: "not_text", 6: "not_text", 7: "missing_column", 8: "empty",
        9: "empty", 10: "malformed", 11: "malformed", 13: "duplicate", 14: "headline_too_short",
        15: "summary_too_short", 16: "summary_too_long", 17: "headline_too_long", 18: "too_large", 19: "malformed",
        20: "malformed",
    }  # fmt: skip
    counts = outcome.manifest["counts"]
    assert counts["read"] == 22
    assert counts["pool"] + counts["train"] == 4
    assert counts["rejected"] == sum(counts["rejected_by_reason"].values()) == len(outcome.rejects) == 18
    # Of a key given twice the last value counts, as JSON readers have it; a strange category is no reason to reject.
    assert "last one" in outcome.headlines
    # What is kept of a rejected row is short and has no control characters.
    assert all(len(each["content"]) <= 301 and each["content"].isprintable() for each in outcome.rejects)
    assert "bad \\xff byte" in next(each["content"] for each in outcome.rejects if each["position"] == 3)


def test_text_is_cleaned(tmp_path: Path) -> None:
    row = {
        "headline": "Cafe\u0301 &amp; bar\u00a0 opens\u2028at\tnoon",
        "short_description": "\ufeffFive\u200b words\u0000 &#39;right&#39; \x07here\u200d now.\r\n",
        "category": " A &amp; B ",
    }
    outcome = run(tmp_path, as_json_lines([row]))
    (result,) = outcome.pool + outcome.train
    assert result["headline"] == "Café & bar opens at noon"
    assert result["summary"] == "Five words 'right' here now."
    assert result["category"] == "A & B"


def test_broken_elements_of_an_array(tmp_path: Path) -> None:
    fine = [json.dumps(good(number), ensure_ascii=False) for number in range(5)]
    elements = [
        fine[0],
        '{"headline": "x", "short_description": oops}',
        fine[1],
        "12345",
        '{"headline": "y" "z"} ',
        fine[2],
        '{"headline": "not closed, "short_description": "a"}',
        fine[3],
        fine[4],
    ]
    text = "[" + ",\n".join(elements) + "]"
    outcome = run(tmp_path, text.encode(), "rows.json")
    assert outcome.reasons == {2: "malformed", 4: "malformed", 5: "malformed", 7: "malformed"}
    assert outcome.manifest["counts"]["read"] == 9


def test_array_with_bad_bytes_and_long_elements(tmp_path: Path) -> None:
    # Elements are longer than what is read at once, so that each is cut at least once.
    rows = [good(number) | {"body": "é" * 300_000} for number in range(4)]
    data = as_json_array(rows).replace(b"Town", b"T\xffwn", 1)
    outcome = run(tmp_path, data, "rows.json")
    assert outcome.reasons == {1: "not_utf8"}
    assert outcome.manifest["counts"]["read"] == 4


def test_array_that_is_cut_off(tmp_path: Path) -> None:
    data = as_json_array([good(number) for number in range(3)])
    outcome = run(tmp_path, data[:-60], "rows.json")
    assert outcome.manifest["counts"]["pool"] + outcome.manifest["counts"]["train"] == 2
    assert outcome.reasons[3] == "malformed"


def test_hostile_csv(tmp_path: Path) -> None:
    data = (
        b"\xef\xbb\xbfheadline,short_description,category\r\n"
        b'first good one,"one two, three\r\nfour ""five"" six",NEWS\r\n'  # lines 2 and 3
        b"too,few\r\n"  # 4
        b"a b c,one two three four five,NEWS,surplus\r\n"  # 5
        b"bad \xff byte,one two three four five,NEWS\r\n"  # 6
        b"nul \x00byte,one two three four five six,NEWS\r\n"  # 7: a control character is cleaned away
        b"a b c," + b"w" * (5 * 2**20) + b",NEWS\r\n"  # 8
        b"\r\n"
        b"last good one,one two three four five seven,\r\n"  # 10
    )
    outcome = run(tmp_path, data, "rows.csv")
    assert outcome.reasons == {4: "malformed", 5: "malformed", 6: "not_utf8", 8: "too_large"}
    assert outcome.headlines == {"first good one", "nul byte", "last good one"}


def test_parquet_with_nulls_numbers_and_bad_text(tmp_path: Path) -> None:
    text = pa.array([b"one two three four five", b"bad \xff text", None, b"six seven eight nine ten"]).cast(pa.binary())
    table = pa.table(
        {
            "headline": pa.array(["a b", "c d", "e f", "g h"]).dictionary_encode(),
            "short_description": pa.Array.from_buffers(pa.string(), 4, text.buffers()),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    outcome = Outcome(tmp_path / "rows.parquet", tmp_path / "out")
    assert outcome.reasons == {2: "not_utf8", 3: "empty"}
    assert {each["category"] for each in outcome.pool + outcome.train} == {""}


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    row = {"text": "one two three four five", "title": "a b c", "section": "X"}
    columns = {"summary": "text", "headline": "title", "category": "section"}
    for name, write in FORMATS.items():
        outcome = run(tmp_path, write([row]), name, columns=columns)
        assert [each["category"] for each in outcome.pool + outcome.train] == ["X"]


def test_missing_columns_are_named_with_those_that_there_are(tmp_path: Path) -> None:
    row = {"text": "one two three four five", "title": "a b c"}
    for name, write in FORMATS.items():
        sentence = refusal(tmp_path, write([row]), name)
        assert "short_description" in sentence
        assert "text, title" in sentence


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.csv", b"headline,short_description\n", "has no rows"),
        ("a.json", b"[]", "has no rows"),
        ("a.jsonl", b'{"headline": "", "short_description": ""}\nxx\n', "1 malformed (first at line 2)"),
        ("a.gz", gzip.compress(b'{"a": 1}\n' * 5000)[:-20], "is damaged"),
        ("a.zip", b"PK\x03\x04" + b"x" * 100, "is damaged"),
        ("a.parquet", b"PAR1" + b"x" * 100, "is damaged"),
        ("a.parquet", b"hello", "not a Parquet file"),
        ("a.txt", b"hello", "no known format"),
        ("a.jsonl", "{}".encode("utf-16"), "UTF-16"),
    ],
)
def test_useless_file_is_one_sentence(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    sentence = refusal(tmp_path, data, name)
    assert words in sentence
    assert name in sentence


def test_zip_with_several_files_lists_them(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.json", b"{}")
        archive.writestr("b.json", b"{}")
    assert "holds 2 (a.json, b.json)" in refusal(tmp_path, buffer.getvalue(), "rows.zip")


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "nowhere.json", "does not exist"), (tmp_path, "is a directory")):
        with pytest.raises(StudyError, match=words):
            Outcome(path, tmp_path / "out")
