"""Says in one line why a finished job is stale, from its recorded and current params."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from typing import Any

from scripts.foundation import text

MAX_NAMED = 4  # changes, or files
MAX_SHOWN = 60  # characters of a value
_DIGEST = 16


def sentence(before: Iterable[str], now: Iterable[str]) -> str:
    """The differences between a job's recorded and current params.

    Args:
        before: params that only the finished job had, each as Snakemake keeps it (``repr`` of its value).
        now: params that only the current job has.
    """
    before, now = [_value(each) for each in before], [_value(each) for each in now]
    changes: list[str] = []
    files: list[str] = []
    for value in now:
        other = max(before, key=lambda each: _alike(value, each), default=None)
        if other is not None and _alike(value, other) > 0:
            before.remove(other)
            _compare("", other, value, changes, files)
        else:
            changes.append(_shown(value))
    changes += [f"no more {_shown(value)}" for value in before]
    if files:
        changes.insert(0, f"code or data of {_listed(sorted(files))}")
    return _listed(changes, "; ") if changes else "settings that Snakemake kept in another form"


def _value(kept: str) -> Any:
    """The value of a param: of JSON text its content."""
    try:
        value = ast.literal_eval(kept)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return kept
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    except (ValueError, RecursionError):
        return value


def _alike(one: Any, other: Any) -> float:
    """Similarity: share of common keys of two objects; a small value for plain values of one type."""
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one.keys() & other.keys()) / max(len(one.keys() | other.keys()), 1)
    return 0.01 if type(one) is type(other) and not isinstance(one, dict) else 0.0


def _compare(where: str, before: Any, now: Any, changes: list[str], files: list[str]) -> None:
    """Collect the leaves that differ; of digests of files, the files."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in before if key not in now)]:
            if before.get(key) != now.get(key):
                inner = key if "/" in key else f"{where}.{key}" if where else key
                _compare(inner, before.get(key), now.get(key), changes, files)
    elif _is_digest(before) and _is_digest(now):
        files.append(where or "a file")
    else:
        changes.append(f"{where + ': ' if where else ''}{_shown(before)} -> {_shown(now)}")


def _is_digest(value: Any) -> bool:
    is_hex = isinstance(value, str) and len(value) == _DIGEST and not set(value) - set("0123456789abcdef")
    return value is None or is_hex


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    shown = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    shown = text.one_line(shown)
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"


def _listed(parts: list[str], between: str = ", ") -> str:
    more = len(parts) - MAX_NAMED
    return between.join(parts[:MAX_NAMED]) + (f"{between}and {more} more" if more > 0 else "")
