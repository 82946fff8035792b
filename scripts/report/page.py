"""Turns the view into one HTML file that needs nothing beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from markupsafe import Markup

from scripts.foundation.errors import StudyError


def page(view: dict[str, Any], template: str | Path, drawings: list[str], curves: Sequence[str] = ()) -> str:
    """Render the report.

    Args:
        view: what the template shows; text in it is escaped.
        template: the Jinja template; its partials and report.css lie beside it.
        drawings: SVG markup that is known to be inert.
        curves: the same of each sweep, in their order; empty where a sweep has none.

    Raises:
        StudyError: the template, one of its partials or the style sheet is missing, or it has a fault.
    """
    template = Path(template)
    if not template.is_file():
        raise StudyError(f"{template} does not exist; restore the report's template.")
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        style = _style(template.with_name("report.css"))
        shown, small = ([Markup(svg) for svg in group] for group in (drawings, curves))
        found = environment.get_template(template.name)
        return found.render(report=view, style=style, drawings=shown, curves=small)
    except TemplateNotFound as error:
        raise StudyError(
            f"{template.parent / str(error.name)} does not exist; restore the report's template."
        ) from None
    except TemplateError as error:
        raise StudyError(f"{template}: {error}; correct the report's template.") from error


def _style(path: Path) -> Markup:
    """Read the style sheet; it is put into the page as it is, so it must not be able to end its element."""
    try:
        style = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist; restore the report's style sheet.") from None
    if "</" in style:
        raise StudyError(f"{path} holds '</', which would end it within the page; remove that from it.")
    return Markup(style)
