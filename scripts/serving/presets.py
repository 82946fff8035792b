"""Presets: what there is to know of a server, as data in ``config/serving/``, here or in a plugin's folder."""

from __future__ import annotations

import functools
import json
import shlex
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import dotted, shown, suggestion
from scripts.serving import placeholders, secret_values

FOLDER = "config/serving"
SCHEMA = "preset.schema.yaml"
READY_S = 600.0
# What an engine of a study may say beside its preset, or in place of one; each key replaces the preset's.
KEYS = ("label", "executable", "package", "install", "command", "environment", "model_files", "version", "served_model",
        "ready", "api", "natural", "fixed", "sampling", "no_top_k", "stop_counted", "metrics", "proves",
        "out_of_memory")  # fmt: skip
MERGED = ("environment", "api")  # whose entries are laid over the preset's


def names() -> list[str]:
    """Names of all presets, those of plugins among them."""
    return sorted(_files())


def read(name: str) -> dict[str, Any]:
    """The content of a preset, checked.

    Raises:
        StudyError: there is none of that name, or it is wrong; one sentence with the file, the key and what to do.
    """
    found = _files()
    if name not in found:
        raise StudyError(f"the preset {shown(name)} does not exist{suggestion(str(name), found)}.")
    path = found[name]
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise StudyError(f"{path} is no YAML that can be read ({said}); correct it.") from None
    return check(content, str(path))


def resolve(given: dict[str, Any], where: str) -> dict[str, Any]:
    """The preset that an engine of a study names, with what the engine says itself laid over it.

    Args:
        given: the engine's options; ``preset`` may name one, and each of ``KEYS`` that is not None replaces its key.
        where: what the engine is called in a sentence.

    Raises:
        StudyError: what comes out is no preset.
    """
    content: dict[str, Any] = read(given["preset"]) if given.get("preset") is not None else {}
    own = {key: given[key] for key in KEYS if given.get(key) is not None}
    if isinstance(own.get("command"), str):
        own["command"] = _split(own["command"], where)
    for key in MERGED:
        if isinstance(own.get(key), dict):
            own[key] = content.get(key, {}) | own[key]
    if not content and own:
        own.setdefault("label", "server")
        if "command" not in own:
            own["command"] = []
    return check(content | own, where)


def _split(command: str, where: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise StudyError(f"{where}.command can't be split into words ({error}); close its quotes.") from None


def check(content: Any, where: str) -> dict[str, Any]:
    """A preset's content, as it is, if it is right.

    Raises:
        StudyError: it is not; the first fault in one sentence.
    """
    error = best_match(_validator().iter_errors(content))
    if error is not None:
        key = dotted(tuple(error.absolute_path)) if error.absolute_path else "the preset"
        raise StudyError(f"{where}: {key} {_fault(error)}; {FOLDER}/{SCHEMA} describes a preset.")
    try:
        json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StudyError(
            f"{where}: the preset holds a value that JSON does not have ({error}); put it in quotes."
        ) from None
    for key, value in content.items():
        known = placeholders.OF_A_SERVER
        if key in ("natural", "fixed", "sampling"):
            known += placeholders.OF_A_REQUEST
        unknown = next((name for name in placeholders.named(value) if name not in known), None)
        if unknown is not None:
            raise StudyError(f"{where}: {key} has the placeholder {{{unknown}}}{suggestion(unknown, known)}.")
    secret_values.check(content, where)
    return content


def _fault(error: Any) -> str:
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))[0]
        return f"has no key {shown(unknown)}{suggestion(unknown, error.schema['properties'])}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"lacks the key '{missing}'"
    if error.validator == "type":
        kind = error.validator_value
        return f"is {shown(error.instance)}, not of type {kind if isinstance(kind, str) else ' or '.join(kind)}"
    if error.validator == "enum":
        return f"is {shown(error.instance)}, none of {', '.join(map(str, error.validator_value))}"
    if error.validator == "pattern":
        return f"is {shown(error.instance)}, which does not begin with a slash"
    return f"is {shown(error.instance)}, which is not allowed ({error.validator}: {shown(error.validator_value)})"


def _files() -> dict[str, Path]:
    """Files by the preset's name; the project's own before those of plugins."""
    found: dict[str, Path] = {}
    for folder in plugins.files(FOLDER):
        for path in sorted(folder.glob("*.yaml")):
            if path.name != SCHEMA:
                found.setdefault(path.stem, path)
    return found


@functools.cache
def _validator() -> Draft202012Validator:
    path = plugins.ROOT / FOLDER / SCHEMA
    if not path.is_file():
        raise StudyError(f"{FOLDER}/{SCHEMA} is missing; restore it from the project's repository.")
    return Draft202012Validator(yaml.safe_load(path.read_text(encoding="utf-8")))
