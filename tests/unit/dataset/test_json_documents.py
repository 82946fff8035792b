"""Rows inside JSON documents, nested columns and pandas' tables; a refusal says what was found."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.data_files import Outcome, refusal, run

ROWS = [{"title": f"Headline {n} of the day", "lead": f"A lead of {n} that has quite enough words"} for n in range(12)]
COLUMNS = {"summary": "lead", "headline": "title"}
HEADLINES = {row["title"] for row in ROWS}
NESTED = [{"article": {"title": row["title"], "text": {"lead": row["lead"]}}, "id": 1} for row in ROWS]
DOTTED = {"summary": "article.text.lead", "headline": "article.title"}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ({"status": "ok", "articles": ROWS}, "articles"),
        ({"version": 2, "data": {"articles": ROWS, "tags": ["a"]}}, "data.articles"),
        ({"data.articles": ROWS}, "data.articles"),
        ({"result": {"columns": ["lead", "title"], "data": [[r["lead"], r["title"]] for r in ROWS]}}, "result"),
    ],
)
def test_rows_are_found_where_the_study_says(tmp_path: Path, document: Any, rows: str, indent: int | None) -> None:
    text = json.dumps(document, indent=indent)
    for name in ("rows.json", "no_ending"):
        outcome = run(tmp_path, text, name, columns=COLUMNS, rows=rows)
        assert outcome.headlines == HEADLINES
        assert outcome.manifest["origin"]["format"] == "json_document"


def test_one_answer_a_line(tmp_path: Path) -> None:
    text = "".join(json.dumps({"page": page, "articles": ROWS[page::3]}) + "\n" for page in range(3))
    assert run(tmp_path, text, columns=COLUMNS, rows="articles").headlines == HEADLINES


@pytest.mark.parametrize("indent", [None, 2])
def test_the_refusal_says_where_rows_may_be(tmp_path: Path, indent: int | None) -> None:
    document = json.dumps({"status": "ok", "data": {"articles": ROWS, "related": ROWS[:1]}}, indent=indent)
    for options in ({}, {"rows": "data"}, {"rows": "items"}):
        sentence = refusal(tmp_path, document, "rows.json", columns=COLUMNS, **options)
        assert "data.articles (12 objects), data.related (1 object)" in sentence
        assert "dataset.file.rows" in sentence


@pytest.mark.parametrize("orient", ["columns", "index", "split", "records", "table"])
@pytest.mark.parametrize("labels", [None, [f"2024-01-{day:02}" for day in range(1, 13)]])
def test_tables_as_pandas_writes_them(tmp_path: Path, orient: str, labels: list[str] | None) -> None:
    frame = pd.DataFrame(ROWS, index=labels)
    outcome = run(tmp_path, frame.to_json(orient=orient), "rows.json", columns=COLUMNS)
    assert outcome.headlines == HEADLINES
    assert outcome.reasons == {}


def test_lists_of_cells(tmp_path: Path) -> None:
    lists = {name: [row[name] for row in ROWS] for name in ("title", "lead")}
    assert run(tmp_path, json.dumps(lists), "rows.json", columns=COLUMNS).headlines == HEADLINES
    rows = [["title", "lead"], *([row["title"], row["lead"]] for row in ROWS)]
    assert run(tmp_path, json.dumps(rows), "rows.json", columns=COLUMNS).headlines == HEADLINES
    lists["lead"].pop()
    assert "title 12, lead 11" in refusal(tmp_path, json.dumps(lists), "uneven.json", columns=COLUMNS)
    assert "orient='records'" in refusal(tmp_path, json.dumps(rows[1:]), "bare.json", columns=COLUMNS)


def test_a_column_that_a_table_has_twice_is_named(tmp_path: Path) -> None:
    table = {"columns": ["lead", "title", "title"], "data": [["a b c d e", "a b", "c d"]]}
    assert "2 columns named title" in refusal(tmp_path, json.dumps(table), "rows.json", columns=COLUMNS)


def test_indented_objects_one_after_another(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(row, indent=4) for row in ROWS)
    assert run(tmp_path, text, "rows.json", columns=COLUMNS).headlines == HEADLINES


def test_a_document_of_one_row(tmp_path: Path) -> None:
    assert run(tmp_path, json.dumps(ROWS[0]), "rows.json", columns=COLUMNS).headlines == {ROWS[0]["title"]}


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.jsonl", "\n".join(map(json.dumps, NESTED))),
        ("rows.json", json.dumps(NESTED)),
        ("rows.parquet", as_parquet(NESTED)),
    ],
)
def test_a_dotted_name_leads_into_nested_objects(tmp_path: Path, name: str, data: bytes | str) -> None:
    (tmp_path / "other").mkdir()
    assert run(tmp_path, data, name, columns=DOTTED).headlines == HEADLINES
    sentence = refusal(tmp_path / "other", data, name)
    assert "article" in sentence
    if name != "rows.parquet":
        assert "it has article.title, article.text.lead, id" in sentence


def test_a_column_of_the_very_name_goes_first(tmp_path: Path) -> None:
    row = {"a.b": "the right one", "a": {"b": "the wrong one"}, "s": "one two three four five"}
    assert run(tmp_path, json.dumps(row) + "\n", columns={"headline": "a.b", "summary": "s"}).headlines == {
        "the right one"
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n "title": "x",\n "lead": oops\n}', "line 3, column 10"),
        ('{\n"a": ' * 100_000, "can't be read as JSON"),
        ('{"a": {"b": 1}}', "it has a.b"),
        ("[[1, 2]]", "list of lists"),
    ],
)
def test_a_useless_document_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text, "rows.json", columns=COLUMNS)


def test_a_place_of_rows_is_for_documents(tmp_path: Path) -> None:
    assert "dataset.file.rows" in refusal(tmp_path, "a,b\n1,2\n", "rows.csv", rows="articles")
    assert "dataset.file.rows" in refusal(tmp_path, as_parquet(ROWS), "rows.parquet", rows="articles")


def test_broken_rows_of_a_document_are_rejected_one_by_one(tmp_path: Path) -> None:
    document = {"items": [ROWS[0], 5, None, ROWS[1], {"title": "no lead here"}, ["x"]]}
    outcome: Outcome = run(tmp_path, json.dumps(document), "rows.json", columns=COLUMNS, rows="items")
    assert outcome.reasons == {2: "malformed", 3: "malformed", 5: "missing_column", 6: "malformed"}
