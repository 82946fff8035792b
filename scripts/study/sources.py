"""The project files that a stage's code consists of, and their digests."""

from __future__ import annotations

import functools
from pathlib import Path

from scripts.foundation import files as content
from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.study import import_facts

ROOT = Path(__file__).resolve().parents[2]


def digests(*modules: str, files: tuple[str, ...] = ()) -> dict[str, str]:
    """Digest of every project file that the modules import, directly or not, and of other files or folders.

    A Python file's is of its syntax tree: comments, docstrings and formatting do not change it.

    Args:
        modules: dotted names, such as ``scripts.generate``.
        files: paths below the project's root; of a folder, every file in it. A pattern with ``*``
            may match no file.

    Raises:
        StudyError: one of them does not exist.
    """
    found = set().union(*(_imported((ROOT, *plugins.roots()), module) for module in modules))
    for name in files:
        places = [path for root in (ROOT, *plugins.roots()) for path in root.glob(name)]
        found = found.union(*map(_files, places or ([] if "*" in name else [ROOT / name])))
    return {_name(path): _digest(path) for path in sorted(found)}


def _name(path: Path) -> str:
    """A file's path below the project, or below its plugin: wherever the plugin lies, it is the same."""
    for place, root in [("", ROOT), *(("plugin:", root) for root in plugins.roots())]:
        if path.is_relative_to(root):
            return place + str(path.relative_to(root))
    raise ValueError(f"{path} belongs to no plugin in use")


def _digest(path: Path) -> str:
    """Digest of a Python file's syntax tree, or of another file's content."""
    return _facts(path).code if path.suffix == ".py" else file_digest(path)


def _files(path: Path) -> set[Path]:
    if path.is_dir():
        return {file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    if not path.is_file():
        raise StudyError(f"{path.relative_to(ROOT)} is missing; restore it from the project's repository.")
    return {path}


@functools.cache
def _imported(roots: tuple[Path, ...], module: str) -> frozenset[Path]:
    """The files that importing a module runs."""
    found: set[Path] = set()
    _collect_import(roots, module, found)
    return frozenset(found)


def _collect(roots: tuple[Path, ...], module: str, found: set[Path]) -> None:
    path = _locate(roots, module)
    if path is None:
        name = module.replace(".", "/")
        is_folder = any((root / name).is_dir() for root in roots)
        missing = f"{name}/__init__.py is missing; add it, be it empty" if is_folder else f"{name}.py is missing"
        raise StudyError(f"{missing}{'' if is_folder else '; restore it from the repository'}.")
    if path in found:
        return
    found.add(path)
    for imported in _facts(path).imports:
        _collect_import(roots, imported, found)


def _collect_import(roots: tuple[Path, ...], imported: str, found: set[Path]) -> None:
    """Collect what ``import a.b.c`` runs: a/__init__.py, a/b/__init__.py and a/b/c.py, if c is no name inside a.b."""
    parts = imported.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if length < len(parts) or _locate(roots, name) is not None or not _is_attribute(roots, parts):
            _collect(roots, name, found)


def _is_attribute(roots: tuple[Path, ...], parts: list[str]) -> bool:
    """Whether the last part is a name that the module before it binds."""
    module = _locate(roots, ".".join(parts[:-1])) if len(parts) > 1 else None
    return module is not None and parts[-1] in _facts(module).names


@functools.cache
def _locate(roots: tuple[Path, ...], module: str) -> Path | None:
    for root in roots:
        base = root.joinpath(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


@functools.cache
def _facts(path: Path) -> import_facts.Facts:
    return import_facts.of(path)


@functools.cache
def file_digest(path: Path) -> str:
    """Beginning of the SHA-256 of a file's content: the same wherever and whenever the file was written."""
    return content.sha256(path)[:16]
