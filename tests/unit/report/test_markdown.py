import json
import re
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from scripts import answer
from scripts.foundation.errors import StudyError
from scripts.report import markdown
from scripts.report.text import DANGEROUS, inert
from tests.support.report_pages import short
from tests.support.text_everywhere import study_of

HOSTILE = [
    "# heading", "1. list", "12) list", "- item", "+ item", "--- ", "===", "* x *", "_x_ __y__", "~~x~~", "> quote",
    "`code` ``c``", "[a](javascript:alert(1))", "![a](https://x.invalid/i.png)", "[ref]: https://x.invalid", "<b>x</b>",
    "<https://x.invalid>", "a | b \\| c", "&lt;b&gt; &#64;x", "\\*x\\*", "$x^2$", "| --- | --- |", "end\\",
    "two\nlines\n\n# heading", "tab\there", "```sh", "{{ 7 * 7 }}", "<!-- gone -->", "line  \nbreak", "[^1]: note",
]  # fmt: skip
RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": False})


def blocks(source):
    """Return the kinds of elements that a text becomes, and what it shows."""
    tokens = RENDERER.parse(source)
    inner = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in [*tokens, *inner]}
    return kinds, "".join(child.content for child in inner)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_escaped_text_is_one_paragraph_that_shows_the_text(hostile):
    kinds, shown = blocks(markdown.escaped(hostile))
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "code_inline"}
    assert shown == " ".join(hostile.split())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_escaped_text_stays_in_its_cell(hostile):
    source = f"| a | b |\n|---|---|\n| {markdown.escaped(hostile)} | last |"
    tokens = RENDERER.parse(source)
    cells = [tokens[number + 1] for number, token in enumerate(tokens) if token.type == "td_open"]
    assert ["".join(child.content for child in cell.children) for cell in cells] == [" ".join(hostile.split()), "last"]


@pytest.mark.parametrize("live", ["@someone", "a.b@x.invalid", "#12", "org/repo#12", "GH-7", "!5", "x@"])
def test_names_mail_and_numbers_of_issues_are_not_live(live):
    """Sites look for these in the finished text, so that escapes do not help; within code they do not look."""
    kinds, shown = blocks(markdown.escaped(f"see {live} there"))
    assert shown == f"see {live} there"
    assert "code_inline" in kinds or live == "x@"


@pytest.mark.parametrize("address", ["https://x.invalid/a", "http://x.invalid", "www.x.invalid", "ftp://x.invalid"])
def test_no_address_becomes_a_link(address):
    written = markdown.escaped(f"see {address}")
    assert not re.search(r"[a-z]://|www\.", written)


def test_the_short_report_has_what_a_pull_request_needs(whole):
    source = short(whole)
    tables = source.split("\n## ")
    titles = [part.splitlines()[0] for part in tables[1:]]
    wanted = ["Overall score", "Which for what", "Results", "Doubts", "What ran on what", "Reproduce"]
    assert titles == wanted
    rendered = RENDERER.render(source)
    assert rendered.count("<table>") == 3
    assert rendered.count("<tr>") == 3 + 3 + len(whole["scenarios"]) + whole["answer"]["ran"]
    for expected in ("tensor parallelism over 4 GPUs needs 4 GPUs", "out of memory", "(faster)", "| not kept |",
                     "other programs used 23% of the CPU", "25,120", "make setup", "28 M parameters"):  # fmt: skip
        assert expected in source, expected


def test_hostile_texts_leave_the_document_as_it_is(tmp_path):
    def document(folder, labels):
        return short(study_of(tmp_path / folder, " ".join(labels), labels))

    plain = document("plain", [f"l{number}" for number in range(len(HOSTILE))])
    source = document("hostile", [*HOSTILE[:-1], "bell\x07 \u202e\u2066 @someone"])
    assert not DANGEROUS.search(source)
    expected = [token.type for token in RENDERER.parse(plain)]
    assert [token.type for token in RENDERER.parse(source)] == expected
    assert not {"link_open", "image", "html_inline", "html_block"} & blocks(source)[0]


def print_answer(monkeypatch, folder, comparison):
    (folder / "comparison.json").write_text(json.dumps(comparison), encoding="utf-8")
    arguments = ["--comparison", str(folder / "comparison.json"), "--report", "results/report.html"]
    monkeypatch.setattr(sys, "argv", ["answer", *arguments])
    answer.main()


def test_the_answer_is_printed_with_the_place_of_the_report(tmp_path, monkeypatch, capsys, whole):
    print_answer(monkeypatch, tmp_path, whole)
    lines = capsys.readouterr().out.splitlines()
    assert 2 <= len(lines) <= 6
    assert "Compiled" in lines[0]
    assert lines[-1].startswith(f"The report is {Path('results/report.html').resolve()}; ")


def test_control_characters_do_not_reach_the_terminal(tmp_path, monkeypatch, capsys, whole):
    label = "a\x1b[31m\x07\r\nb\u202e\x9b"
    techniques = [technique | {"label": label} for technique in whole["techniques"]]
    print_answer(monkeypatch, tmp_path, whole | {"techniques": techniques})
    printed = capsys.readouterr().out
    assert not DANGEROUS.search(printed)
    assert "\r" not in printed
    assert " ".join(inert(label).split()) in printed
    assert len(printed.splitlines()) <= 6


def test_a_study_without_a_comparison_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["answer", "--comparison", str(tmp_path / "none.json"), "--report", "r"])
    with pytest.raises(StudyError, match="does not exist"):
        answer.main()
