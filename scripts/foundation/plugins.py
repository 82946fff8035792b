"""Plugins: folders laid out like the project, whose modules are added to the project's packages.

A plugin may hold ``scripts/techniques/<facet>/``, ``scripts/models/sources/<source>.py`` and so on, ``report/`` and
``config/config.schema.yaml``. A package of the project that plugins can add to says so in its ``__init__.py``:
``__path__ = plugins.extend(__name__, __path__)``. A plugin adds files and replaces none.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from scripts.foundation.errors import StudyError

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
VARIABLE = "UDACIHEADLINE_PLUGINS"  # jobs inherit it from the workflow
_own_paths: dict[str, list[str]] = {}  # of each package that plugins can add to, the project's own folders


def roots() -> tuple[Path, ...]:
    """Folders of the plugins in use, in their order."""
    return tuple(Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder)


def use(folders: Iterable[str]) -> None:
    """Use exactly the plugins in these folders, in this process and in its child processes.

    Raises:
        StudyError: a folder is missing, its path contains the path separator, or it has a file with the name of the
            project's or another plugin's. Nothing changes then.
    """
    if isinstance(folders, str) or not all(isinstance(folder, str) and folder for folder in folders):
        raise StudyError("plugins is no list of folders; write it as [folder, folder].")
    found = list(dict.fromkeys(map(_folder, folders)))
    taken: dict[Path, Path] = {}
    for path in found:
        _take_names(path, taken)
    os.environ[VARIABLE] = os.pathsep.join(map(str, found))
    for package in _own_paths:
        sys.modules[package].__path__ = _folders(package)
    importlib.invalidate_caches()


def _folder(given: str) -> Path:
    if "\0" in given or not Path(given).is_dir():
        where = "" if Path(given).is_absolute() else f", looked for in {Path.cwd()},"
        raise StudyError(f"plugins: {given!r}{where} is no folder that can be read; correct the path.")
    path = Path(given).resolve()
    if os.pathsep in str(path):
        raise StudyError(f"plugins: {str(path)!r} has a '{os.pathsep}' in it, which parts paths; rename the folder.")
    return path


def _take_names(root: Path, taken: dict[Path, Path]) -> None:
    """Refuse a file in the place of another one; an ``__init__.py`` beside another one is never run."""
    for path in sorted([*root.glob("scripts/**/*"), *root.glob("report/**/*")]):
        name = path.relative_to(root)
        if path.is_dir() or path.name == "__init__.py" or path.name.startswith(".") or "__pycache__" in path.parts:
            continue
        package = name.with_suffix("") / "__init__.py"
        places = (taken.get(name), ROOT / name, *([ROOT / package] if path.suffix == ".py" else []))
        other = next((place for place in places if place and place.is_file()), None)
        if other:
            raise StudyError(f"plugins: {path} has the name of {other}; a plugin replaces no file, so rename it.")
        taken[name] = path


def extend(package: str, path: Iterable[str]) -> list[str]:
    """Search path of a package: the project's own folders, then those of the plugins."""
    _own_paths[package] = list(path)
    return _folders(package)


def _folders(package: str) -> list[str]:
    folders = [root.joinpath(*package.split(".")) for root in roots()]
    return [*_own_paths[package], *(str(folder) for folder in folders if folder.is_dir())]


def _names_in(folders: list[str]) -> list[str]:
    return sorted(found.name for found in pkgutil.iter_modules(folders))


def modules(package: ModuleType) -> list[str]:
    """Sorted names of a package's public modules, including those of plugins."""
    return sorted(name for name in _names_in(list(package.__path__)) if not name.startswith("_"))


def member(module: str, name: str, kind: type[T]) -> T:
    """What a module holds under a name: an instance of ``kind``.

    Raises:
        StudyError: it holds none.
    """
    return _member(module, name, f"{name}, an instance of {name.capitalize()}", lambda found: isinstance(found, kind))


def settings(package: str, name: str, base: type[T]) -> type[T]:
    """The class ``Settings`` of a module in a package, derived from ``base``.

    Raises:
        StudyError: the module has none.
    """
    said = f"class Settings({base.__name__})"
    return _member(
        f"{package}.{name}", "Settings", said, lambda found: isinstance(found, type) and issubclass(found, base)
    )


def _member(module: str, name: str, said: str, fits: Callable[[Any], bool]) -> Any:
    try:
        loaded = importlib.import_module(module)
    except SyntaxError as error:
        if error.filename:
            raise
        raise StudyError(f"the module {module} is no Python that can be read ({error}); correct it.") from None
    if not fits(getattr(loaded, name, None)):
        raise StudyError(f"{loaded.__file__} has no {said}; add it.")
    return getattr(loaded, name)


def fault(error: BaseException) -> str | None:
    """A sentence on an error that a plugin's code raised, with the file and the line; None where none is in it."""
    if isinstance(error, SyntaxError):
        places = [(error.filename, error.lineno)]
    else:
        places = [(frame.filename, frame.lineno) for frame in reversed(traceback.extract_tb(error.__traceback__))]
    for name, line in places:
        if name and any(Path(name).is_relative_to(root) for root in roots()):
            said = error.msg if isinstance(error, SyntaxError) else f"{type(error).__name__}: {error}"
            return f"{name}, line {line}: {said}; correct the plugin."
    return None


def files(path: str) -> list[Path]:
    """The existing files or folders of that relative path in the project and in each plugin."""
    return [root / path for root in (ROOT, *roots()) if (root / path).exists()]
