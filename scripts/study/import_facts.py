"""What the project's files import, bind and do, read from their source; kept by content, since parsing them is slow."""

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

KEPT = Path(".snakemake") / "udaciheadline-imports.json"  # in the folder that Snakemake works in, beside its records
MAX_FILES = 3000  # files


@dataclass(frozen=True)
class Facts:
    """Of one file.

    Attributes:
        imports: dotted names below ``scripts`` that it imports, anywhere in it; names inside a module as module.name.
        names: names that it binds, anywhere in it.
        code: digest of its syntax tree: the same whatever its comments, docstrings and format.
    """

    imports: tuple[str, ...]
    names: frozenset[str]
    code: str


def of(path: Path) -> Facts:
    """Return the facts of a file.

    Raises:
        StudyError: it is no Python, or has a relative import, which this can't follow.
    """
    known, content = _known(), path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    if digest not in known.facts:
        known.facts[digest] = _read(path, content)
        known.grown = True
    known.used.add(digest)
    return known.facts[digest]


class _Known:
    """Facts by content: those that an earlier call left, and those found since."""

    def __init__(self) -> None:
        self.facts, self.used, self.grown = _kept(), set(), False
        atexit.register(self.keep)

    def keep(self) -> None:
        """Leave them for the next call; one that can't loses a second. Too many are those of code that is gone."""
        if self.grown and KEPT.parent.is_dir():
            keys = self.facts if len(self.facts) <= MAX_FILES else self.used
            facts = {key: self.facts[key] for key in sorted(keys)}
            content = {
                key: {"imports": each.imports, "names": sorted(each.names), "code": each.code}
                for key, each in facts.items()
            }
            with contextlib.suppress(OSError):
                files.write_json(KEPT, {"made_by": _made_by(), "files": content})


@functools.cache
def _known() -> _Known:
    return _Known()


def _made_by() -> str:
    """What facts depend on beside a file's content: this code, and the Python that parses."""
    return f"{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]} {sys.version_info[0]}.{sys.version_info[1]}"


def _kept() -> dict[str, Facts]:
    try:
        content = json.loads(KEPT.read_text(encoding="utf-8"))
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
        raise StudyError(f"{path} is no Python that can be read ({error}); restore it.") from None
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
    """Beginning of the SHA-256 of a syntax tree without docstrings and places."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
                del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
