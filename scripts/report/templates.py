"""Prose as data: YAML files of Jinja templates, rendered to plain text.

The files are the project's or a plugin's own and trusted; the values put into them are not. What comes out is plain
text, which the page and the Markdown document escape as any other.

Filters: ``share`` (of one, as a percentage), ``fixed(decimals)``, ``thousands``, ``times`` (a ratio with its sign),
``amount(kind)`` (in the unit that suits it: ``bytes``, ``seconds``, ``operations``, or another one), ``interval`` (of a
figure that is a ratio, in brackets), ``joined(separator)`` (parts that are not empty), ``listed`` (``a, b and c``) and
``named(names)`` (keys by what they are called). A name that is not there is an error.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, TemplateError
from jinja2.runtime import Undefined

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.report import numbers, words

AMOUNTS = {"bytes": numbers.BYTES, "seconds": numbers.TIME, "operations": numbers.OPERATIONS}


def _joined(parts: Iterable[str | None], separator: str) -> str:
    return separator.join(text for part in parts if part and (text := _one_line(part)))


def _one_line(text: str) -> str:
    """Return a text without the line breaks and the room that a template leaves between its parts."""
    return re.sub(r"[ \n]+", " ", text).strip()


_environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701
_environment.filters |= {
    "share": numbers.share,
    "fixed": numbers.fixed,
    "thousands": lambda value: f"{value:,}",
    "times": words.times,
    "amount": lambda value, kind: words.amount(value, AMOUNTS.get(kind, [(1.0, kind)])),
    "interval": lambda figure: words.between(figure, words.times),
    "named": lambda keys, names: [names[key] for key in keys],
    "joined": _joined,
    "listed": lambda parts: words.listed(list(parts)),
}
_template = functools.cache(_environment.from_string)
_expression = functools.cache(functools.partial(_environment.compile_expression, undefined_to_none=False))


def read(path: Path) -> dict[str, Any]:
    """Return the content of a file of templates.

    Raises:
        StudyError: it can't be read, or is no mapping.
    """
    return dict(_read(path, path.stat().st_mtime_ns))


@functools.cache
def _read(path: Path, changed: int) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StudyError(f"{path} can't be read: {' '.join(str(error).split())}; correct the file.") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path} is no mapping of names to templates; correct the file.")
    return content


def check(place: str, template: str) -> None:
    """See that a template can be parsed, with arguments and errors as of :func:`say`."""
    try:
        _template(template)
    except TemplateError as error:
        raise StudyError(f"{place}: {str(error).rstrip('.')}; correct the template.") from None


def say(place: str, template: str, context: Mapping[str, Any]) -> str:
    """Render a template to one line of text.

    Args:
        place: file and key, for an error.
        template: the Jinja template.
        context: the names that it can use.

    Raises:
        StudyError: the template has a fault, or uses what is not there.
    """
    try:
        return _one_line(_template(str(template)).render(context))
    except (TemplateError, TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise StudyError(f"{place}: {error}; correct the template.") from error


def value(place: str, expression: str, context: Mapping[str, Any]) -> Any:
    """Evaluate a Jinja expression, with arguments and errors as of :func:`say`."""
    try:
        found = _expression(str(expression))(context)
        if isinstance(found, Undefined):
            str(found)  # raises: undefined names are errors
        return found
    except (TemplateError, TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise StudyError(f"{place}: {error}; correct the expression.") from error


def sentences(name: str, key: str, **context: Any) -> list[str]:
    """Render a list of templates of ``report/words/NAME.yaml``, as :func:`told`, those that are empty left out."""
    place, templates = _general(name, key)
    return [words.sentence(text) for template in templates if (text := say(place, template, context))]


def told(name: str, key: str, **context: Any) -> str:
    """Render a template of ``report/words/NAME.yaml``, whose prose belongs to no facet.

    Raises:
        StudyError: the file or the key is missing, or as :func:`say`.
    """
    return say(*_general(name, key), context)


def general(name: str) -> dict[str, Any]:
    """Return the content of ``report/words/NAME.yaml``.

    Raises:
        StudyError: as :func:`read`, or it is missing.
    """
    found = plugins.files(f"report/words/{name}.yaml")
    if not found:
        raise StudyError(f"report/words/{name}.yaml does not exist; restore the report's words.")
    return read(found[0])


def _general(name: str, key: str) -> tuple[str, Any]:
    content = general(name)
    if key not in content:
        raise StudyError(f"report/words/{name}.yaml has no '{key}'; restore the report's words.")
    return f"report/words/{name}.yaml, {key}", content[key]
