"""Writes the comparison of two studies: a page that needs nothing beside it, Markdown, and lines for a terminal."""

from pathlib import Path

from scripts.report import markdown, page
from scripts.report.studies import sentences
from scripts.report.studies.sentences import Comparison
from scripts.report.studies.view import view
from scripts.report.text import inert_values

TEMPLATES = Path(__file__).resolve().parents[2] / "report"
STYLES = ("base", "changes", "studies", "print")
SHOWN = 10
"""So many things that are worse are printed; the documents have them all."""


def page_of(found: Comparison) -> str:
    """Return the page.

    Raises:
        StudyError: a template or style sheet is missing or has a fault.
    """
    context = {"view": view(found), "style": page.style(TEMPLATES / "styles", STYLES)}
    return page.render(TEMPLATES / "studies.html.j2", context, autoescape=True)


def short(found: Comparison) -> str:
    """Return the summary in Markdown; errors as of :func:`page_of`."""
    return markdown.rendered(TEMPLATES / "studies.md.j2", {"view": view(found)})


def lines(found: Comparison) -> list[str]:
    """Return the summary in a few lines."""
    found = inert_values(found)
    worse = sentences.worse(found)
    more = [f"And {len(worse) - SHOWN} more."] if len(worse) > SHOWN else []
    return [*sentences.answer(found), *worse[:SHOWN], *more, found["why"]]
