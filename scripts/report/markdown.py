"""The short version of the report in Markdown, for a pull request or a wiki."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.report import answer, text
from scripts.report.page import render
from scripts.report.sections import sections

# What can start something in Markdown. A minus within a word, and a point without a letter after it, start nothing and
# stay readable in the source; so does a number but at the start of a line.
SPECIAL = re.compile(r"[\\`*_{}\[\]<>#+!|~&$^]|(?<!\w)-|-(?!\w)|\.(?=[^\W\d])|:(?=//)|^=")
NUMBERED = re.compile(r"^(\d+)([.)])")
# What sites make links of in the finished text, where a backslash stands no longer: names that are then notified, mail
# addresses, numbers of issues. As code they are left alone.
LIVE = re.compile(r"([\w.+-]*@[\w-][\w.-]*|[#!]\d+|\bGH-\d+)", re.IGNORECASE)


def document(comparison: dict[str, Any], template: str | Path) -> str:
    """Return the Markdown document.

    Args:
        comparison: the content of comparison.json, as it is.
        template: the Jinja template; every text in it that is not :class:`scripts.report.text.Safe` is escaped.

    Raises:
        StudyError: the template is missing or has a fault.
    """
    comparison = text.inert_values(comparison)
    views = {each.id: (each, each.short(comparison)) for each in sections() if each.short}
    report = {
        "title": comparison["title"],
        "sentences": answer.sentences(comparison),
        "sections": [each for each, view in views.values() if view is not None],
        "views": {name: view for name, (_, view) in views.items()},
    }
    return rendered(Path(template), {"report": report})


def rendered(template: Path, context: Mapping[str, Any]) -> str:
    """Render a template of a Markdown document, with the context and errors of :func:`scripts.report.page.render`.

    Every text in it that is not :class:`scripts.report.text.Safe` is escaped.
    """
    return render(
        template,
        context,
        finalize=lambda value: value if isinstance(value, text.Safe) else escaped(str(value)),
        keep_trailing_newline=True,
    )


def escaped(value: str) -> str:
    """Return a text as one line that stays what it is in Markdown: no markup, no HTML, no link, nobody notified."""
    parts = LIVE.split(" ".join(value.split()))
    shown = [f"`{part}`" if number % 2 else _plain(part) for number, part in enumerate(parts)]
    return NUMBERED.sub(r"\1\\\2", "".join(shown))


def _plain(part: str) -> str:
    return SPECIAL.sub(lambda match: f"\\{match.group()}", part)
