"""Reads tables of published reference studies, which the report compares with this study's figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from scripts.foundation import paths
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown
from scripts.study import strict_yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "config" / "reference.schema.yaml"
OPTIONAL = ("model", "dataset", "environment", "prompt", "note", "baseline")
LISTS = ("faults", "top_three", "choices")


def read(paths: list[str]) -> list[dict[str, Any]]:
    """Read the files and check them; keys that a file leaves out are null or empty.

    Args:
        paths: the configuration's ``references``, relative to the project's root.

    Raises:
        StudyError: a file is missing or malformed; one sentence that names the file and the key.
    """
    if not paths:
        return []
    if not SCHEMA.is_file():
        raise StudyError(f"{SCHEMA.name} is missing from config/; restore it from the project's repository.")
    validator = Draft202012Validator(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        content = _read(path, validator)
        if content["id"] in found:
            raise StudyError(f"references: {path} has the id '{content['id']}', as another file has; give it its own.")
        found[content["id"]] = content
    return list(found.values())


def _read(path: str, validator: Draft202012Validator) -> dict[str, Any]:
    source = ROOT / path
    problem = paths.file_problem(source)
    if problem:
        raise StudyError(f"references: the file {shown(path)[1:-1]} {problem}; correct the path in the configuration.")
    content = strict_yaml.read_file(source, f"references: {path}").value
    error = best_match(validator.iter_errors(content))
    if error is not None:
        raise StudyError(f"references: {path}: {_said(error)}; config/{SCHEMA.name} describes what is allowed.")
    said = _fault(content)
    if said:
        raise StudyError(f"references: {path}: {said}")
    return dict.fromkeys(OPTIONAL) | {key: [] for key in LISTS} | content


def _said(error: ValidationError) -> str:
    """Describe a schema error in one line."""
    where = ".".join(map(str, error.absolute_path)) or "the file"
    if error.validator == "type":
        wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        return f"{where} is {' '.join(str(error.instance).split())[:60]}, which is not {' or '.join(wanted)}"
    return f"{where}: {' '.join(error.message.split())}"


def _fault(content: dict[str, Any]) -> str | None:
    """Describe an error that the schema can't express, or None."""
    keys = [column["key"] for column in content["columns"]]
    names = [row["name"] for row in content["rows"]]
    for what, known in (("columns", keys), ("rows", names)):
        twice = [name for name in known if known.count(name) > 1]
        if twice:
            return f"{what}: '{twice[0]}' stands there twice; remove one."
    absolute = any(column["form"] == "absolute" for column in content["columns"])
    if absolute and content.get("baseline") not in names:
        return f"baseline is {content.get('baseline')!r}, and absolute columns need a row's name there; name the row."
    for number, row in enumerate(content["rows"]):
        said = _row_fault(row, keys) or (_pair_fault(row, names) if absolute else None)
        if said:
            return f"rows.{number} ({row['name']}): {said}"
    if not all(math.isfinite(entry["overall_percent"]) for entry in content.get("top_three") or []):
        return "top_three: overall_percent is not finite; give a number."
    return None


def _row_fault(row: dict[str, Any], keys: list[str]) -> str | None:
    for part in ("reported", "ratios", "why_no_ratio"):
        unknown = [key for key in row.get(part) or {} if key not in keys]
        if unknown:
            return f"{part} has '{unknown[0]}', which is no column; the columns are {', '.join(keys)}."
        values = (row.get(part) or {}).values()
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            return f"{part} has a number that is not finite; give null where there is none."
    if row["technique"] is None and not row.get("why_none"):
        return "technique is null and 'why_none' is missing; say why there is none."
    if row["technique"] is not None and row.get("why_none"):
        return "both 'technique' and 'why_none' are given; remove one."
    return None


def _pair_fault(row: dict[str, Any], names: list[str]) -> str | None:
    """Check that a row with absolute figures is compared with an existing row; None if so."""
    other = (row.get("against") or {}).get("name")
    if other is not None and (other == row["name"] or other not in names):
        return f"against names '{other}', and absolute columns need another row's name there; name the row."
    return None
