"""Reads a comparison.json that another study, or somebody else, may have written: nothing in it is taken on trust."""

import functools
import json
import math
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from scripts.comparison.document import FORMAT
from scripts.foundation import paths
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import one_line, shown

Study = dict[str, Any]
DEEPEST = 60
LARGEST = 1e300
TOO_DEEP = "is nested deeper than any comparison of a study; give the comparison.json of a study."
SCHEMA = Path(__file__).with_name("comparison.schema.yaml")


def read(path: str | Path) -> Study:
    """Read a comparison and check what the comparison of two studies looks at.

    Raises:
        StudyError: it can't be read, or is no comparison of the form that is known; one sentence with what to do.
    """
    named = shown(str(path))[1:-1]
    problem = paths.file_problem(path)
    if problem:
        raise StudyError(f"the comparison {named} {problem}; give the comparison.json of a study.")
    try:
        content = json.loads(Path(path).read_bytes().decode("utf-8"), parse_constant=_not_finite)
    except ValueError as error:
        raise StudyError(f"{named} is no JSON ({one_line(str(error))}); give the comparison.json of a study.") from None
    except RecursionError:
        raise StudyError(f"{named} {TOO_DEEP}") from None
    return checked(content, named)


def checked(content: Any, named: str) -> Study:
    """Check the content of a comparison; ``named`` is what errors call it. Arguments and errors as of :func:`read`."""
    if not isinstance(content, dict) or not {"techniques", "baseline", "prompts"} <= content.keys():
        raise StudyError(
            f"{named} is JSON, but no comparison of a study; give results/comparison.json, or a copy of it."
        )
    if _depth_exceeds(content, DEEPEST):
        raise StudyError(f"{named} {TOO_DEEP}")
    # Files had no number before there was a second reader of them; their form is that of 1.
    given = content.get("format", FORMAT)
    if given != FORMAT or isinstance(given, bool):
        raise StudyError(
            f"{named} has the format {shown(given)}, and this version reads {FORMAT}; make it again from its results "
            "with this version (only comparison and report run), or use the version that wrote it."
        )
    error = best_match(_validator().iter_errors(content))
    if error is not None:
        where = ".".join(map(str, error.absolute_path)) or "the file"
        raise StudyError(
            f"{named}: {one_line(where)} is {shown(error.instance)}, which no comparison of a study has there; make "
            "the file again from its results."
        )
    names = [technique["name"] for technique in content["techniques"]]
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise StudyError(f"{named} has the technique {shown(twice)} twice; make the file again from its results.")
    _check_prompts(content["prompts"], named)
    return content


def _check_prompts(prompts: dict[str, Any], named: str) -> None:
    """See that what each technique wrote for the prompts is there: one entry a row, and one that exists."""
    rows = prompts["rows"]
    if not all(map(_is_row, rows)):
        raise StudyError(f"{named}: prompts.rows has what is no prompt; make the file again from its results.")
    counts = [len(row["texts"]) for row in rows]
    for key in ("wrote", "latency_s", "new_tokens"):
        for name, values in prompts[key].items():
            fits = len(values) == len(rows) and all(map(_is_number, values))
            if fits and key == "wrote":
                fits = all(type(at) is int and 0 <= at < count for at, count in zip(values, counts, strict=True))
            if not fits:
                raise StudyError(
                    f"{named}: prompts.{key}.{one_line(name)} does not go with the prompts; make the file again from "
                    "its results."
                )


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("texts"), list):
        return False
    written = all(
        isinstance(each, dict) and isinstance(each.get("text"), str) and _is_number(each.get("rougeL"))
        for each in row["texts"]
    )
    return written and isinstance(row.get("summary"), str) and isinstance(row.get("reference"), str)


def _is_number(value: Any) -> bool:
    """Whether a value is a number of ordinary size, or None."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST)


def _depth_exceeds(content: Any, most: int) -> bool:
    level = [content]
    for _ in range(most):
        parts = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [part for each in parts for part in each]
        if not level:
            return False
    return True


@functools.cache
def _validator() -> Any:
    return Draft202012Validator(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))


def _not_finite(value: str) -> NoReturn:
    raise ValueError(f"it has {value}, and JSON has only finite numbers")


def number(value: Any) -> float | None:
    """Return a value as a finite number above 0, or None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value > 0 and math.isfinite(value) else None
