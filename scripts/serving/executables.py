"""Programs of servers: where they are, and what tells one version from another at little cost."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from scripts.foundation import files

SAMPLED_BYTES = 1_000_000


def find(name: str) -> Path | None:
    """The file of a program: a path, or a name on the PATH; this Python's own programs come first."""
    if os.sep in name:
        path = Path(name).expanduser()
        return path if os.access(path, os.X_OK) and path.is_file() else None
    beside = Path(sys.executable).parent / name
    if os.access(beside, os.X_OK) and beside.is_file():
        return beside
    found = shutil.which(name)
    return Path(found) if found else None


def identity(name: str, package: str | None) -> dict[str, Any]:
    """What a program's results are kept by: its package's version, or else the beginning of its file's digest.

    The path is not among it, so that moving an environment makes nothing stale.
    """
    path = find(name)
    if path is None:
        return {"program": Path(name).name, "missing": True}
    if package and (version := package_version(path, package)):
        return {"program": path.name, "version": f"{package} {version}"}
    stat = path.stat()
    return {"program": path.name, "digest": _digest(path.resolve(), stat.st_size, stat.st_mtime_ns)}


def large_file(path: Path) -> dict[str, Any]:
    """What a large file's results are kept by: its size, and the digest of its beginning and its end."""
    if not path.is_file():
        return {"file": path.name, "missing": True}
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        digest.update(handle.read(SAMPLED_BYTES))
        handle.seek(max(0, size - SAMPLED_BYTES))
        digest.update(handle.read(SAMPLED_BYTES))
    return {"file": path.name, "bytes": size, "digest": digest.hexdigest()[:16]}


def package_version(program: Path, package: str) -> str | None:
    """Version of the Python package that is installed beside a program, by the name of its ``dist-info`` folder."""
    wanted = re.sub(r"[-_.]+", "_", package).lower()
    # An environment's programs are links or scripts in its own bin folder.
    for folder in program.absolute().parent.parent.glob("lib/python3*/site-packages/*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        if re.sub(r"[-_.]+", "_", name).lower() == wanted:
            return version
    return None


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    return files.sha256(path)[:16]
