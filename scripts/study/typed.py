"""Reads values of the command line by the schema's types, since a shell's words carry none.

A number where only text is allowed is the text as it was typed (a revision 0123456); a text where no text is allowed
is read as YAML.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import dotted, shown
from scripts.study import strict_yaml

SCHEMA = Path(__file__).resolve().parents[2] / "config" / "config.schema.yaml"
_TAG = "tag:yaml.org,2002:"
_KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "null": "null", "map": "object",
          "seq": "array", "timestamp": "date"}  # fmt: skip
_OF_PYTHON = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
Branches = tuple[dict[str, Any], ...]


@functools.cache
def _schema() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), loader)  # noqa: S506


def parse(key: str, text: str, name: str) -> strict_yaml.Document:
    """Read the value of one key of the study.

    Args:
        key: the key.
        text: its value as it was typed.
        name: how sentences name it.

    Raises:
        StudyError: the text is not YAML where the key takes more than text.
    """
    branches = _child((_schema(),), key)
    is_text = text.lstrip()[:1] not in ("'", '"') and strict_yaml.plain_tag(text.strip()) != f"{_TAG}null"
    if is_text and _kinds(branches) == {"string"}:
        return strict_yaml.Document(text, yaml.ScalarNode(f"{_TAG}str", text))
    return strict_yaml.parse(text, name, lambda node: _typed(node, branches, (key,), name))


def values(given: dict[str, Any], name: str) -> dict[str, Any]:
    """Keys that arrive as Python's values, whose nested ones Snakemake reads as text, by the schema's types.

    Args:
        given: keys of the study and their values.
        name: how sentences name them.

    Raises:
        StudyError: a text where a mapping or a list belongs is not YAML.
    """
    return {key: _value(value, _child((_schema(),), key), (key,), name) for key, value in given.items()}


def _value(value: Any, branches: Branches, path: tuple[Any, ...], name: str) -> Any:
    if isinstance(value, dict):
        return {key: _value(part, _child(branches, key), (*path, key), name) for key, part in value.items()}
    if isinstance(value, list):
        return [_value(part, _child(branches, at), (*path, at), name) for at, part in enumerate(value)]
    kinds = _kinds(branches)
    if not isinstance(value, str) or not kinds:
        return value
    node = _read_again(yaml.ScalarNode(f"{_TAG}str", value), branches, kinds, path, name)
    return strict_yaml.construct(node, f"{name} {dotted(path)}")


def _typed(node: yaml.Node, branches: Branches, path: tuple[Any, ...], name: str) -> yaml.Node:
    """The node with the types that the schema has at its place."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if ":" in key.value and getattr(value, "tag", "") == f"{_TAG}null" and not value.value:
                first, _, rest = key.value.partition(":")
                if _child(branches, first):
                    raise StudyError(
                        f"{name}: {shown(key.value)} has no space after its colon, so that YAML takes all of it for a "
                        f"key; write {first}: {rest}."
                    )
        node.value[:] = [
            (key, _typed(value, _child(branches, key.value), (*path, key.value), name)) for key, value in node.value
        ]
        return node
    if isinstance(node, yaml.SequenceNode):
        node.value[:] = [_typed(part, _child(branches, at), (*path, at), name) for at, part in enumerate(node.value)]
        return node
    kinds = _kinds(branches)
    kind = _KINDS.get(node.tag.removeprefix(_TAG))
    if not kinds or kind in kinds - {"string"} or (kind == "integer" and "number" in kinds):
        return node
    if kind != "string":
        if "string" in kinds and kind != "null":
            node.tag = f"{_TAG}str"  # as it was typed
        return node
    return _read_again(node, branches, kinds, path, name)


def _read_again(
    node: yaml.ScalarNode, branches: Branches, kinds: set[str], path: tuple[Any, ...], name: str
) -> yaml.Node:
    """A text, read as what the schema takes at its place; the text itself where it takes text, or nothing fits."""
    text = node.value
    begins = {"{": "object", "[": "array"}.get(text.lstrip()[:1])
    if begins in kinds:
        inner = strict_yaml.parse(text, f"{name} {dotted(path)}", lambda found: _typed(found, branches, path, name))
        return inner.node or node
    found = strict_yaml.plain_tag(text)
    kind = _KINDS.get(found.removeprefix(_TAG))
    is_number = kind in ("integer", "number") and kinds & {"integer", "number"}
    # Where a choice of words stands beside a number (auto), only a number is read as one.
    if is_number or ("string" not in kinds and kind in kinds):
        return yaml.ScalarNode(found, text, node.start_mark, node.end_mark)
    return node


def _branches(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and the alternatives in it, references followed."""
    if "$ref" in schema:
        target: Any = _schema()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from _branches(target)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _branches(each)
    yield schema


def _child(branches: Branches, key: Any) -> Branches:
    """The schemas of a key of a mapping, or of a place in a list; none where the schema knows no such key."""
    found: list[dict[str, Any]] = []
    for branch in branches:
        inner = branch.get("items") if isinstance(key, int) else (branch.get("properties") or {}).get(key)
        if inner is None and not isinstance(key, int):
            inner = branch.get("additionalProperties")
        if isinstance(inner, dict):
            found += _branches(inner)
    return tuple(found)


def _kinds(branches: Branches) -> set[str]:
    kinds: set[str] = set()
    for branch in branches:
        given = branch.get("type", [])
        kinds |= set([given] if isinstance(given, str) else given)
        kinds |= {_OF_PYTHON.get(type(value), "null") for value in branch.get("enum", ())}
    return kinds
