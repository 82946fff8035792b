"""Plugins: folders laid out like the project, whose modules are added to the project's packages.

A plugin may hold ``scripts/techniques/<facet>/``, ``scripts/models/sources/<source>.py`` and so on, ``report/`` and
``config/config.schema.yaml``. A package of the project that plugins can add to says so in its ``__init__.py``:
``__path__ = plugins.extend(__name__, __path__)``. A plugin can add modules, not replace them.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

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
        StudyError: a folder is missing, its path contains the path separator, or it replaces a module.
    """
    if isinstance(folders, str) or not all(isinstance(folder, str) and folder for folder in folders):
        raise StudyError("plugins is no list of folders; write it as [folder, folder].")
    found = []
    for folder in folders:
        path = Path(folder).resolve()
        if os.pathsep in str(path) or not path.is_dir():
            raise StudyError(f"plugins: {folder!r} is no folder that can be read; correct the path.")
        found.append(str(path))
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(found))
    for package in _own_paths:
        sys.modules[package].__path__ = _folders(package)
    importlib.invalidate_caches()


def extend(package: str, path: Iterable[str]) -> list[str]:
    """Search path of a package: the project's own folders, then those of the plugins.

    Raises:
        StudyError: a plugin has a module with the name of an existing one.
    """
    _own_paths[package] = list(path)
    return _folders(package)


def _folders(package: str) -> list[str]:
    own = _own_paths[package]
    owners = {name: Path(own[0]) for name in _names_in(own)}
    folders = list(own)
    for root in roots():
        folder = root.joinpath(*package.split("."))
        if not folder.is_dir():
            continue
        for name in _names_in([str(folder)]):
            if name in owners:
                raise StudyError(
                    f"plugins: {folder / name} has the name of {owners[name] / name}; a plugin adds modules and "
                    "replaces none, so rename it."
                )
            owners[name] = folder
        folders.append(str(folder))
    return folders


def _names_in(folders: list[str]) -> list[str]:
    return sorted(found.name for found in pkgutil.iter_modules(folders))


def modules(package: ModuleType) -> list[str]:
    """Sorted names of a package's public modules, including those of plugins."""
    return sorted(name for name in _names_in(list(package.__path__)) if not name.startswith("_"))


def settings(package: str, name: str, base: type[T]) -> type[T]:
    """The class ``Settings`` of a module in a package, derived from ``base``.

    Raises:
        StudyError: the module has none.
    """
    found = getattr(importlib.import_module(f"{package}.{name}"), "Settings", None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise StudyError(f"the module {package}.{name} has no class Settings({base.__name__}); add it.")
    return found


def files(path: str) -> list[Path]:
    """The existing files or folders of that relative path in the project and in each plugin."""
    return [root / path for root in (ROOT, *roots()) if (root / path).exists()]
