"""HTML in texts: the text alone is taken, and what only looks like HTML stays."""

import html
import json
from pathlib import Path

import pytest

from scripts.dataset.markup import text_of
from tests.support.data_files import run

FEED = (
    '<p>The minister resigned.<br/>She <a href="https://example.org/?a=1&amp;b=2">said</a> so &amp; left.</p>'
    '<img src="x.gif" width="1"/><script>track("<p>0</p>")</script><style>p {color: red}</style><!-- end -->'
)
TEXT = "The minister resigned. She said so & left."


@pytest.mark.parametrize("summary", [FEED, html.escape(FEED)])
def test_of_html_the_text_is_taken_and_counted(tmp_path: Path, summary: str) -> None:
    rows = [{"headline": f"Minister <b>resigns</b> {n}", "short_description": f"{summary} {n}"} for n in range(5)]
    rows.append({"headline": "No markup here", "short_description": "one two three four five"})
    outcome = run(tmp_path, "\n".join(map(json.dumps, rows)))
    assert {row["summary"] for row in outcome.rows} == {f"{TEXT} {n}" for n in range(5)} | {"one two three four five"}
    assert outcome.headlines == {f"Minister resigns {n}" for n in range(5)} | {"No markup here"}
    assert outcome.counts["markup"] == 5
    assert "HTML was taken out of 5 rows" in outcome.manifest["notes"][0]


def test_html_stays_where_the_study_keeps_it(tmp_path: Path) -> None:
    row = {"headline": "How to use <b> tags", "short_description": "one <i>two</i> three &amp; four five"}
    outcome = run(tmp_path, json.dumps(row) + "\n", markup="keep")
    assert outcome.headlines == {"How to use <b> tags"}
    assert outcome.rows[0]["summary"] == "one <i>two</i> three & four five"
    assert outcome.counts["markup"] == 0


@pytest.mark.parametrize(
    "text", ["5 < 6 and 7 > 3", "Profit <expected> to rise", "I <3 you", "a <", "<", "<>", "AT&T <- up", "x<y>z"]
)
def test_what_is_no_html_stays(text: str) -> None:
    assert text_of(text) is None


def test_words_are_parted_where_a_reader_sees_them_apart() -> None:
    assert text_of("<b>S</b>torm").split() == ["Storm"]
    assert text_of("<li>one</li><li>two</li>three<br>four").split() == ["one", "two", "three", "four"]
    assert text_of("<p>not closed <i>at all").split() == ["not", "closed", "at", "all"]
    assert text_of("<p>x</p>" * 3).split() == ["x"] * 3


def test_entities_are_unescaped_once(tmp_path: Path) -> None:
    row = {"headline": "<b>Use</b> &amp;lt; here", "short_description": "one &amp;amp; three four five"}
    outcome = run(tmp_path, json.dumps(row) + "\n")
    assert outcome.rows[0]["headline"] == "Use &lt; here"
    assert outcome.rows[0]["summary"] == "one &amp; three four five"
