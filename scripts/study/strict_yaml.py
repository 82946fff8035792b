"""Reads YAML and JSON as Snakemake does, and refuses what would be misread.

Duplicate keys, sexagesimal and octal numbers, tags, recursive or exponentially growing anchors, and several documents
are errors, each with its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.foundation.errors import StudyError
from scripts.foundation.paths import file_problem
from scripts.foundation.wording import shown

MAX_BYTES = 200_000
MAX_DEPTH = 30
MAX_VALUES = 100_000  # with those that anchors repeat
MAX_DIGITS = 300

_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")

# What JSON has otherwise than YAML: tabs stand between its tokens alone, line separators inside its strings alone.
_JSON_ONLY = {0x09: " ", 0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@dataclass(frozen=True)
class Document:
    """A file's value and its YAML node (with line numbers); the node is None for an empty file."""

    value: Any
    node: yaml.Node | None


def read_file(path: str | Path, name: str) -> Document:
    """Read a file.

    Args:
        path: the file.
        name: how sentences name it.

    Raises:
        StudyError: it can't be read or is not strict YAML; one sentence that names the file and the line.
    """
    problem = file_problem(path)
    if problem:
        raise StudyError(f"{name} {problem}; name a YAML file.")
    if Path(path).stat().st_size > MAX_BYTES:
        raise StudyError(f"{name} is larger than {MAX_BYTES:,} bytes; name a YAML file with the keys that differ.")
    raw = Path(path).read_bytes()
    try:
        return parse(raw.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{name}, line {line} is not UTF-8 text; save the file as UTF-8.") from None


def parse(text: str, name: str, adjust: Callable[[yaml.Node], yaml.Node] | None = None) -> Document:
    """Parse text; see ``read_file``. ``adjust`` may change the nodes before they become values."""
    if any(chr(each) in text for each in _JSON_ONLY) and _is_json(text):
        text = text.translate(_JSON_ONLY)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None and adjust is not None:
            node = adjust(node)
        return Document(None if node is None else loader.construct_document(node), node)
    except _Fault as fault:
        raise StudyError(f"{name}, line {fault.line}: {fault.said}.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StudyError(
            f"{name}, line {line} is not YAML (it holds the character U+{error.character:04X}); remove the character."
        ) from None
    except yaml.MarkedYAMLError as error:
        raise StudyError(f"{name}{_said(error, text)}") from None


def construct(node: yaml.Node, name: str) -> Any:
    """The value of a node that was made by hand; see ``read_file``."""
    try:
        return _Loader("").construct_document(node)
    except _Fault as fault:
        raise StudyError(f"{name}: {fault.said}.") from None


def plain_tag(text: str) -> str:
    """The tag that a text has where it stands without quotes."""
    return _Loader("").resolve(yaml.ScalarNode, text, (True, False))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _said(error: yaml.MarkedYAMLError, text: str) -> str:
    mark, problem = error.problem_mark or error.context_mark, error.problem or "it can't be read"
    if "<stream end>" in problem and error.context_mark:
        return f", line {error.context_mark.line + 1} is not YAML (what begins there is never closed); close it."
    if "another document" in problem:
        return f", line {mark.line + 1}: a second document begins there; a file holds one, so remove the rest."
    place = f", line {mark.line + 1}" if mark else ""
    lines = text.split("\n")
    if mark and mark.line < len(lines) and re.match(r"\s*\t", lines[mark.line]):
        return f"{place} is not YAML (it is indented with a tab); use spaces."
    return f"{place} is not YAML ({problem}); correct it."


class _Fault(yaml.YAMLError):
    def __init__(self, mark: yaml.Mark | None, said: str) -> None:
        super().__init__(said)
        self.line, self.said = mark.line + 1 if mark else 1, said


class _Loader(yaml.SafeLoader):
    """YAML's safe loader with the checks."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes = [0]  # values so far, of each collection that is open
        self._finished: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._finished:
                raise _Fault(
                    event.start_mark, f"the anchor {shown(event.anchor)} holds itself; write out what is meant"
                )
            self._count(self._finished[id(node)], event.start_mark)
            return node
        if len(self._sizes) > MAX_DEPTH:
            raise _Fault(
                event.start_mark, f"lists and mappings are nested more than {MAX_DEPTH} deep; no key needs that"
            )
        self._sizes.append(1)
        node = super().compose_node(parent, index)
        self._finished[id(node)] = self._sizes.pop()
        self._count(self._finished[id(node)], event.start_mark)
        return node

    def _count(self, more: int, mark: yaml.Mark) -> None:
        self._sizes[-1] += more
        if self._sizes[-1] > MAX_VALUES:
            raise _Fault(mark, f"there are more than {MAX_VALUES:,} values, anchors repeated; write fewer")

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Fault(key.start_mark, "a list or a mapping stands where a key belongs; write the key as text")
            if (key.tag, key.value) in lines:
                first = lines[key.tag, key.value]
                raise _Fault(key.start_mark, f"the key {shown(key.value)} stands in line {first} already; remove one")
            lines[key.tag, key.value] = key.start_mark.line + 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, IndexError, OverflowError):
            raise _Fault(node.start_mark, f"{_text(node)} can't be read as {node.tag}; correct it") from None

    def construct_text(self, node: yaml.ScalarNode) -> str:
        """Text; two escapes that are one character in JSON are one here."""
        return self.construct_scalar(node).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """A number in decimal digits."""
        text = self.construct_scalar(node)
        whole = node.tag == f"{_TAG}int"
        if len(text) > MAX_DIGITS:
            raise _Fault(node.start_mark, f"a number of {len(text)} digits stands there; no key takes one so long")
        if ":" in text or (whole and not _DECIMAL.fullmatch(text)):
            raise _Fault(
                node.start_mark,
                f"{text} would not be read as it is written; write it in decimal digits, or in quotes as text",
            )
        return self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)


def _text(node: yaml.Node) -> str:
    return shown(node.value) if isinstance(node, yaml.ScalarNode) else f"what is marked {node.tag}"


_Loader.add_constructor(f"{_TAG}str", _Loader.construct_text)
_Loader.add_constructor(f"{_TAG}int", _Loader.construct_number)
_Loader.add_constructor(f"{_TAG}float", _Loader.construct_number)
# YAML 1.1 takes 1e-3 for text, which nobody means by it.
_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
