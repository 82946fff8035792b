"""Turns the view into one HTML file that needs nothing beside it: styles, scripts and all numbers stand in it."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from markupsafe import Markup

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.report.text import shortened

# In the order in which they stand in the page; a script may use those before it.
STYLES = (
    "base", "sections", "decision", "speedups", "load", "scenarios", "tradeoff", "table", "changes", "studies",
    "techniques", "sweeps", "headlines", "references", "trust", "print",
)  # fmt: skip
SCRIPTS = (
    "dom", "data", "numbers", "factors", "state", "sections", "price", "ranking", "fronts", "limits", "decision",
    "scenarios", "traffic", "table", "axes", "labels", "bounds", "tradeoff", "techniques", "diff", "headlines",
    "downloads", "room", "start",
)  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What a page is made of beside the view.

    Attributes:
        drawings: SVG markup that is known to be inert, by name.
        curves: the same of each sweep, in their order; empty where a sweep has none.
        numbers: the comparison, every text in it inert, to be embedded whole.
        table: the same as CSV.
    """

    drawings: Mapping[str, str] = field(default_factory=dict)
    curves: Sequence[str] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    table: str = ""


def page(view: dict[str, Any], template: str | Path, contents: Contents) -> str:
    """Render the report.

    Args:
        view: what the template shows; text in it is escaped.
        template: the Jinja template; its partials, styles and scripts lie beside it.
        contents: drawings, and the numbers that scripts read and readers download.

    Raises:
        StudyError: the template, one of its partials, styles or scripts is missing, or the template has a fault.
    """
    template = Path(template)
    if not template.is_file():
        raise StudyError(f"{template} does not exist; restore the report's template.")
    script = _script(template.parent / "scripts")
    # What is marked as safe is the project's own, JSON whose characters are escaped, or drawings checked to be inert.
    return render(
        template,
        {
            "report": view,
            "style": style(template.parent / "styles"),
            "script": Markup(script),  # noqa: S704
            "script_digest": _digest(script),
            "numbers": Markup(embedded(contents.numbers)),  # noqa: S704
            "table": Markup(embedded(contents.table)),  # noqa: S704
            "drawings": {name: Markup(svg) for name, svg in contents.drawings.items()},  # noqa: S704
            "curves": [Markup(svg) for svg in contents.curves],  # noqa: S704
        },
        autoescape=True,
    )


def render(template: Path, context: Mapping[str, Any], **options: Any) -> str:
    """Render a template of the report; its partials lie beside it, or in the ``report/`` of a plugin.

    Args:
        template: the Jinja template.
        context: the names that it can use.
        options: more of the Jinja environment's, e.g. how text is escaped.

    Raises:
        StudyError: the template or one of its partials is missing, or has a fault.
    """
    folders = [template.parent, *plugins.files("report")[1:]]
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(folders), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options
    )
    environment.filters["shortened"] = shortened
    try:
        return environment.get_template(template.name).render(context)
    except TemplateNotFound as error:
        missing = template.parent / str(error.name)
        raise StudyError(f"{missing} does not exist; restore the report's template.") from None
    except TemplateError as error:
        place = getattr(error, "filename", None) or template
        raise StudyError(f"{place}: {error}; correct the report's template.") from error


def embedded(value: Any) -> str:
    """Return a value as JSON that may stand inside a script element: no character in it can end the element.

    Raises:
        ValueError: a number in it is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def style(folder: Path, names: Sequence[str] = STYLES) -> Markup:
    """Return style sheets of a folder as one, to stand in a style element.

    Raises:
        StudyError: one of them is missing, or could end the element.
    """
    return Markup("\n".join(_part(folder / f"{name}.css", "style sheet") for name in names))  # noqa: S704


def _script(folder: Path) -> str:
    """Put the scripts into one function, so that a page's names are theirs alone."""
    parts = "\n".join(_part(folder / f"{name}.js", "script") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


def _digest(script: str) -> str:
    """Return the digest by which the page's policy knows its one script; no other script may run in it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _part(path: Path, kind: str) -> str:
    """Read a part that is put into the page as it is, so it must not be able to end its element."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist; restore the report's {kind}.") from None
    if "</" in text or "<!--" in text:
        raise StudyError(f"{path} holds '</' or '<!--', which could end it within the page; remove that from it.")
    return text
