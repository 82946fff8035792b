"""Request files: a stage's arguments as JSON, so that a run can be inspected and repeated by hand."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown


def parse(parser: argparse.ArgumentParser, given: list[str] | None = None) -> argparse.Namespace:
    """Parse a stage's command line, to which ``--request FILE`` is added.

    The file is a JSON object of the stage's arguments by name (``time_limit`` is ``--time-limit``); null leaves one
    out. Arguments on the command line override those of the file.

    Raises:
        StudyError: the file can't be read, is no JSON object, or names an argument that the stage does not have.
    """
    given = sys.argv[1:] if given is None else given
    parser.add_argument("--request", type=Path, metavar="FILE", help="a JSON object of these arguments by name")
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--request", type=Path)
    path = first.parse_known_args(given)[0].request
    if path is not None:
        _apply(parser, path)
    return parser.parse_args(given)


def _apply(parser: argparse.ArgumentParser, path: Path) -> None:
    actions = {action.dest: action for action in parser._actions if action.dest not in ("help", "request")}
    for name, value in _read(path).items():
        if name not in actions:
            raise StudyError(f"{path} names {name!r}, which this stage does not have; it has {', '.join(actions)}.")
        if value is None:
            continue
        if wanted := _wanted(actions[name], value):
            raise StudyError(f"{path}: {name!r} is {shown(value)}, and takes {wanted}; correct it.")
        actions[name].required = False
        # argparse converts defaults that are text as it converts what the command line gives.
        parser.set_defaults(**{name: value})


def _wanted(action: argparse.Action, value: Any) -> str | None:
    """What an argument takes in place of this value, since argparse looks at text alone; None where the value fits."""
    if action.choices is not None:
        return None if value in action.choices else " or ".join(map(str, action.choices))
    if action.nargs in ("*", "+"):
        return None if isinstance(value, list) and all(isinstance(each, str) for each in value) else "a list of texts"
    if action.nargs is None and action.type in (None, str, Path):
        fits = str if action.type else str | dict  # a stage reads what is JSON on the command line by itself
        return None if isinstance(value, fits) else "text"
    if action.type is json.loads:
        return None if isinstance(value, str | dict) else "a JSON object"
    if action.nargs is None and action.type in (int, float):
        return None if isinstance(value, str) or type(value) in (int, action.type) else "a number"
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"the request {path} can't be read ({error.strerror}); correct the path.") from None
    except ValueError as error:
        raise StudyError(f"the request {path} is no JSON ({error}); correct it.") from None
    if not isinstance(content, dict):
        raise StudyError(f"the request {path} is no JSON object; write the stage's arguments by name.")
    return content
