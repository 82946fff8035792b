"""Checks a configuration's form against the schema; each fault is one sentence that names the key."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import KeyFault, dotted, shown
from scripts.study import strict_yaml, values

MAX_NAME_LENGTH = 64
_TYPES = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number", "number": "a number",
          "boolean": "true or false", "null": "null"}  # fmt: skip
_HINTS = {
    "generation.prompt": "has no {summary} in it; put it where the summary belongs",
    "facet": "is {given}; give a facet, and after a dot its option, such as pruning.amount",
    "url": "is {given}; give an address that begins with http:// or https://, without spaces",
    "text": "is {given}; give text that is not blank, on one line",
}


def check(config: dict[str, Any], schema: Path) -> None:
    """Check values, keys and types.

    Raises:
        StudyError: the first fault.
    """
    if not schema.is_file():
        raise StudyError(f"{schema.name} is missing from config/; restore it from the project's repository.")
    values.check(config)
    error = best_match(_validator((schema, *plugins.files("config/config.schema.yaml")[1:])).iter_errors(config))
    if error is not None:
        raise _fault(error)


@functools.cache
def _validator(schemas: tuple[Path, ...]) -> Any:
    # JSON Schema accepts 2.0 as an integer; Python's range does not.
    strict = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    kind = validators.extend(Draft202012Validator, type_checker=strict)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster
    schema = yaml.load(schemas[0].read_text(encoding="utf-8"), loader)  # noqa: S506
    for path in schemas[1:]:
        schema = _with_plugin(schema, path)
    return kind(schema)


def _with_plugin(schema: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        more = strict_yaml.read_file(path, str(path)).value
        if not isinstance(more, dict):
            raise ValueError("it is no mapping; write what it adds as config/config.schema.yaml is written.")
        joined = _joined(schema, more, ())
        Draft202012Validator.check_schema(joined)
        resolver = Registry().with_resource("", DRAFT202012.create_resource(joined)).resolver()
        for reference in _references(joined):
            resolver.lookup(reference)
    except ValueError as error:
        raise StudyError(f"{path}: {error}") from None
    except SchemaError as error:
        raise StudyError(f"{path}: {dotted(tuple(error.path))}: {error.message}; correct this JSON Schema.") from None
    except Unresolvable as error:
        raise StudyError(f"{path}: $ref {error.ref!r} names nothing that the schema has; correct it.") from None
    return joined


def _joined(schema: Any, more: Any, at: tuple[Any, ...]) -> Any:
    """A schema with what a plugin's adds: keys of mappings, entries of lists (``enum``, ``oneOf``)."""
    if isinstance(schema, dict) and isinstance(more, dict):
        return schema | {
            key: _joined(schema[key], value, (*at, key)) if key in schema else value for key, value in more.items()
        }
    if isinstance(schema, list) and isinstance(more, list):
        return [*schema, *(entry for entry in more if entry not in schema)]
    if schema != more:
        raise ValueError(
            f"{dotted(at)} is {shown(more)}, and the project's schema has {shown(schema)}; a plugin adds to the schema "
            "and changes nothing in it, so leave this out."
        )
    return schema


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from ([schema["$ref"]] if isinstance(schema.get("$ref"), str) else [])
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for each in inner:
        yield from _references(each)


def _fault(error: ValidationError) -> KeyFault:
    path = tuple(error.absolute_path)
    where, given, kind = dotted(path), shown(error.instance), error.validator
    if kind == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known))[0]
        close = get_close_matches(unknown, known, n=1)
        hint = f"; perhaps '{close[0]}' is meant" if close else ""
        said = f"{where} has no key '{shown(unknown)[1:-1]}'; it has {', '.join(known)}{hint}."
        return KeyFault(said, (*path, unknown))
    if kind == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        said = f"{where} lacks the key '{missing[0]}'; add it (config/config.schema.yaml describes it)."
    elif kind == "type":
        wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        is_scalar = isinstance(error.instance, bool | int | float)
        advice = "put it in quotes" if "string" in wanted and is_scalar else "correct it"
        said = f"{where} is {given}, which is not {' or '.join(_TYPES[kind] for kind in wanted)}; {advice}."
    elif kind in ("enum", "anyOf"):
        said = f"{where} is {given}; use {' or '.join(_choices(error.schema))}."
    elif kind == "pattern" and "propertyNames" in error.absolute_schema_path:
        many = f"at most {MAX_NAME_LENGTH} " if len(error.instance) > MAX_NAME_LENGTH else ""
        said = f"{where} has the name {given}; use {many}letters, digits and underscores."
        path = (*path, error.instance)
    elif kind == "pattern":
        hint = _HINTS.get(where) or _HINTS.get(path[-1] if path else "") or _HINTS["text"]
        said = f"{where} {hint.replace('{given}', given)}."
    elif kind == "uniqueItems":
        items = error.instance
        at = next(each for each, item in enumerate(items) if item in items[:each])
        said, path = f"{where} has {shown(items[at])} twice; remove one.", (*path, at)
    elif kind in ("maxLength", "maxItems", "maxProperties"):
        what = "characters" if kind == "maxLength" else "entries"
        said = f"{where} has {len(error.instance):,} {what}, and {error.validator_value:,} are the most; shorten it."
    else:
        said = f"{where}: {error.message}; config/config.schema.yaml describes what is allowed."
    return KeyFault(said, path)


def _choices(schema: dict[str, Any]) -> list[str]:
    """Allowed values in words: enum entries, the keys of a mapping, or a kind of value."""
    if "anyOf" in schema:
        return [choice for branch in schema["anyOf"] for choice in _choices(branch)]
    if "enum" in schema:
        return list(map(str, schema["enum"]))
    if "properties" in schema:
        return [f"a mapping of {', '.join(schema['properties'])}"]
    return [_TYPES.get(schema.get("type", ""), "what config/config.schema.yaml describes")]
