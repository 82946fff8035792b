"""Which of the project's files a stage's code consists of, and their digests."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

from scripts.foundation.errors import StudyError

ROOT = Path(__file__).resolve().parents[2]


def digests(*modules: str, files: tuple[str, ...] = ()) -> dict[str, str]:
    """Digest of every project file that the modules import, directly or not, and of other files or folders.

    Args:
        modules: dotted names, such as ``scripts.generate``.
        files: paths below the project's root; of a folder, every file in it.

    Raises:
        StudyError: one of them does not exist.
    """
    found: set[Path] = set()
    for module in modules:
        _collect_import(module, found)
    for name in files:
        found |= _files(ROOT / name)
    return {str(path.relative_to(ROOT)): file_digest(path) for path in sorted(found)}


def _files(path: Path) -> set[Path]:
    if path.is_dir():
        return {file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    if not path.is_file():
        raise StudyError(f"{path.relative_to(ROOT)} is missing; restore it from the project's repository.")
    return {path}


def _collect(module: str, found: set[Path]) -> None:
    path = _locate(module)
    if path is None:
        raise StudyError(f"the module {module.replace('.', '/')}.py is missing; restore it from the repository.")
    if path in found:
        return
    found.add(path)
    for imported in _imports(path):
        _collect_import(imported, found)


def _collect_import(imported: str, found: set[Path]) -> None:
    """Collect what ``import a.b.c`` runs: a/__init__.py, a/b/__init__.py and a/b/c.py, if c is no name inside a.b."""
    parts = imported.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if length < len(parts) or _locate(name) is not None or not _is_attribute(parts):
            _collect(name, found)


def _is_attribute(parts: list[str]) -> bool:
    """Whether the last part is a name that the module before it binds."""
    module = _locate(".".join(parts[:-1])) if len(parts) > 1 else None
    return module is not None and parts[-1] in _names(module)


@functools.cache
def _locate(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _names(path: Path) -> frozenset[str]:
    """Names that a file binds, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return frozenset(names)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """Dotted names below ``scripts`` that a file imports, anywhere in it; names inside a module as module.name."""
    names: list[str] = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise StudyError(f"{path.relative_to(ROOT)} has a relative import; write it in full.")
    return tuple(name for name in names if name == "scripts" or name.startswith("scripts."))


@functools.cache
def file_digest(path: Path) -> str:
    """Beginning of the SHA-256 of a file's content: the same wherever and whenever the file was written."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]
