"""Imports, bound names and code digest of the project's files; cached by content, since parsing is slow."""

from __future__ import annotations

import ast
import atexit
import contextlib
import functools
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.foundation import files
from scripts.foundation.errors import StudyError

CACHE_FILE = Path(".snakemake") / "udaciheadline-imports.json"  # in the working directory
MAX_FILES = 3000  # files


@dataclass(frozen=True)
class Facts:
    """Facts about one file.

    Attributes:
        imports: dotted names below ``scripts`` that it imports, anywhere in it; names inside a module as module.name.
        names: names that it binds, anywhere in it.
        code: digest of its syntax tree: independent of comments, docstrings and formatting.
    """

    imports: tuple[str, ...]
    names: frozenset[str]
    code: str


def of(path: Path) -> Facts:
    """Return the facts of a file.

    Raises:
        StudyError: it is no Python, or has a relative import, which this can't follow.
    """
    cache, content = _cache(), path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    if digest not in cache.facts:
        cache.facts[digest] = _read(path, content)
        cache.changed = True
    cache.used.add(digest)
    return cache.facts[digest]


class _Cache:
    """Facts by content: those of the cache file, and new ones."""

    def __init__(self) -> None:
        self.facts, self.used, self.changed = _read_cache(), set(), False
        atexit.register(self.write)

    def write(self) -> None:
        """Write the cache file if possible; when it grows too large, only the facts in use."""
        if self.changed and CACHE_FILE.parent.is_dir():
            keys = self.facts if len(self.facts) <= MAX_FILES else self.used
            facts = {key: self.facts[key] for key in sorted(keys)}
            content = {
                key: {"imports": each.imports, "names": sorted(each.names), "code": each.code}
                for key, each in facts.items()
            }
            with contextlib.suppress(OSError):
                files.write_json(CACHE_FILE, {"made_by": _made_by(), "files": content})


@functools.cache
def _cache() -> _Cache:
    return _Cache()


def _made_by() -> str:
    """What facts depend on besides a file's content: this module and the Python version."""
    return f"{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]} {sys.version_info[0]}.{sys.version_info[1]}"


def _read_cache() -> dict[str, Facts]:
    try:
        content = json.loads(CACHE_FILE.read_text(encoding="utf-8"))
        if content["made_by"] != _made_by():
            return {}
        return {key: _checked(each["imports"], each["names"], each["code"]) for key, each in content["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _checked(imports: list[str], names: list[str], code: str) -> Facts:
    for texts in (imports, names, [code]):
        if type(texts) is not list or any(type(text) is not str for text in texts):
            raise ValueError("damaged")
    return Facts(tuple(imports), frozenset(names), code)


def _read(path: Path, content: bytes) -> Facts:
    imports: list[str] = []
    names: set[str] = set()
    try:
        tree = ast.parse(content, filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise StudyError(f"{path} is no Python that can be read ({error}); correct it.") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.level:
                raise StudyError(f"{path} has a relative import; write it in full.")
            inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            imports += [f"{inside}{alias.name}" for alias in node.names]
    below = (name for name in imports if name == "scripts" or name.startswith("scripts."))
    return Facts(tuple(below), frozenset(names), _digest(tree))


def _digest(tree: ast.Module) -> str:
    """Beginning of the SHA-256 of a syntax tree without docstrings and positions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
                del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
