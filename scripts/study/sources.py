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
        _collect(module, found)
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
        # Importing a.b.c also runs a/__init__.py and a/b/__init__.py.
        parts = imported.split(".")
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            if _locate(name) is not None:
                _collect(name, found)
            elif length == len(parts) and not _is_attribute(parts):
                _collect(name, found)  # raises


def _is_attribute(parts: list[str]) -> bool:
    """Whether the last part may be a name inside the module before it."""
    return len(parts) > 1 and _locate(".".join(parts[:-1])) is not None


@functools.cache
def _locate(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """Dotted names below ``scripts`` that a file imports, anywhere in it; names inside a module as module.name."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
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
