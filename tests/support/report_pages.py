"""Pages of the report made in this process, and what a reader sees of them."""

import html
import re
from pathlib import Path
from typing import Any

import lxml.html

from scripts.report import markdown, page, view

REPORT = Path(__file__).parents[2] / "report"
TEMPLATE = REPORT / "report.html.j2"


def rendered(comparison: dict[str, Any], **contents: Any) -> str:
    """Return the source of a comparison's page; ``contents`` are those of :class:`scripts.report.page.Contents`."""
    return page.page(view.report_view(comparison), TEMPLATE, page.Contents(**contents))


def short(comparison: dict[str, Any]) -> str:
    """Return the short report in Markdown."""
    return markdown.document(comparison, REPORT / "report.md.j2")


def visible(source: str) -> str:
    """Return the text of a page, or of a part of it, on one line."""
    text = re.sub(r"<style>.*?</style>|<script.*?</script>|<[^>]*>", " ", source, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def part(source: str, name: str) -> str:
    """Return the markup of the element of a page that has this id."""
    return lxml.html.tostring(lxml.html.fromstring(source).get_element_by_id(name), encoding="unicode")


def named(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the row of a technique."""
    return next(row for row in rows if row["name"] == name)


def technique(comparison: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the entry of a technique."""
    return named(comparison["techniques"], name)
