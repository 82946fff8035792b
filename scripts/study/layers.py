"""Merges a study's files and command-line options over the built-in configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import one_line, shown
from scripts.study import selection, strict_yaml, typed, unused_models

BUILT_IN = Path(__file__).resolve().parents[2] / "config" / "config.yaml"
_OPTION = "--config"


@dataclass(frozen=True)
class Layer:
    """One file, or one option of the command line."""

    name: str
    value: dict[str, Any]
    node: yaml.Node
    is_file: bool = True
    is_own: bool = True

    def find(self, path: Sequence[Any]) -> tuple[int, int]:
        """How many parts of a key's path this layer sets, and the line of the last of them."""
        node, line = self.node, 1
        for depth, part in enumerate(path):
            found = _part(node, part)
            if found is None:
                return depth, line
            node, line = found
        return len(path), line


@dataclass(frozen=True)
class Study:
    """A study's merged configuration, its layers, and sentences on techniques that were left out with their models."""

    config: dict[str, Any]
    layers: list[Layer]
    left_out: list[str] = field(default_factory=list)

    def explain(self, error: StudyError) -> str:
        """The error's sentence, prefixed with file and line if known."""
        sentence = one_line(str(error))
        path = getattr(error, "path", None)
        path = re.match(r"[\w.]*", sentence)[0].strip(".").split(".") if path is None else path
        own = [layer for layer in self.layers if layer.is_own] or self.layers
        depth, line, layer = max(
            ((*layer.find(path), layer) for layer in reversed(own)), key=lambda found: found[0], default=(0, 0, None)
        )
        known = len(path) > 0 and path[0] in self.config
        if layer is None or (depth < len(path) and (not layer.is_own or not (depth or known))):
            return sentence
        exact = layer.is_file and depth == len(path) > 0
        return f"{layer.name}{f', line {line}' if exact else ''}: {sentence}"


def read(
    files: Sequence[Path | str], options: Sequence[str], replace: bool = False, given: dict[str, Any] | None = None
) -> Study:
    """Read the built-in configuration and merge the others over it, as Snakemake does.

    Where none of the others has ``select``, the techniques that they set are added to the built-in selection. What
    needs a model that is null, or would train a built-in one that nobody asked for, is left out (``unused_models``).

    Args:
        files: of ``--configfile``, in their order.
        options: of ``--config``, each ``key=value``; the values are YAML, read by the schema's types.
        replace: whether the built-in configuration is left out (``--replace-workflow-config``).
        given: keys of a workflow that uses this one as a module, merged last.

    Raises:
        StudyError: a file or an option that can't be read; one sentence that names it and the line.
    """
    layers = [] if replace else [_file(BUILT_IN, is_own=False)]
    layers += [_file(Path(path)) for path in files]
    layers += [_option(option) for option in options]
    given = typed.values(given or {}, "the workflow's config")
    config: dict[str, Any] = {}
    for layer in layers:
        _merge(config, layer.value)
    _merge(config, given)
    own = [*(layer.value for layer in layers if layer.is_own), given]
    if not replace:
        selection.complete(config, own)
    try:
        left_out = unused_models.leave_out(config, own, {} if replace else layers[0].value)
    except StudyError as error:
        raise StudyError(Study(config, layers).explain(error)) from None
    return Study(config, layers, left_out)


def _file(path: Path, is_own: bool = True) -> Layer:
    name = _name(path)
    document = strict_yaml.read_file(path, name)
    if document.node is None or document.value is None:
        raise StudyError(f"{name} is empty; write the keys that differ from config/config.yaml, or leave the file out.")
    if not isinstance(document.value, dict):
        raise StudyError(f"{name} holds {_kind(document.value)}; write keys and values, as in config/config.yaml.")
    if "__use_yte__" in document.value:
        raise StudyError(f"{name} is a template (__use_yte__), and a study runs no code; write the values themselves.")
    return Layer(name, document.value, document.node, is_own=is_own)


def _name(path: Path) -> str:
    path = Path(os.path.abspath(path))
    for base in (Path.cwd(), BUILT_IN.parents[1]):
        if path.is_relative_to(base):
            path = path.relative_to(base)
            break
    return one_line(str(path))


def _option(option: str) -> Layer:
    key, equals, text = option.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*", key):
        raise StudyError(
            f"{_OPTION} {shown(option)} is no key=value of the study; nested keys are written as "
            f"{_OPTION} 'measurement={{repeats: 2}}'."
        )
    try:
        document = typed.parse(key, text, f"{_OPTION} {key}")
        if isinstance(document.value, date):
            document = strict_yaml.Document(text, document.node)
    except StudyError:
        # As in Snakemake, invalid YAML is text, unless brackets or quotes show that YAML was meant.
        if text.lstrip()[:1] in tuple("{[\"'&*!"):
            raise
        document = strict_yaml.Document(text, yaml.ScalarNode("tag:yaml.org,2002:str", text))
    mark = yaml.Mark(_OPTION, 0, 0, 0, None, None)
    name = yaml.ScalarNode("tag:yaml.org,2002:str", key, mark, mark)
    value = document.node or yaml.ScalarNode("tag:yaml.org,2002:null", "", mark, mark)
    node = yaml.MappingNode("tag:yaml.org,2002:map", [(name, value)], mark, mark)
    return Layer(_OPTION, {key: document.value}, node, is_file=False)


def _merge(config: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict):
            if not isinstance(config.get(key), dict):
                config[key] = {}
            _merge(config[key], value)
        else:
            config[key] = deepcopy(value)


def _part(node: yaml.Node, part: Any) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            is_bool = isinstance(part, bool) and key.tag.endswith(":bool")
            if is_bool or getattr(key, "value", None) == str(part):
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and str(part).isdigit() and int(part) < len(node.value):
        found = node.value[int(part)]
        return found, found.start_mark.line + 1
    return None


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"only {shown(value)}"
