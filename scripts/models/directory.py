"""Writing a model directory so that it is either complete, with its manifest, or recognisably not."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from scripts.foundation import locks

MANIFEST = "manifest.json"
_PARTIAL = ".partial"


@contextlib.contextmanager
def building(output: Path) -> Iterator[Path]:
    """Give a temporary directory inside ``output``; on success its files replace those of ``output``.

    What an earlier, killed run left behind is removed. The manifest goes first and comes last: as long as files are
    being replaced there is none, and a directory without one is not a model.
    """
    with locks.exclusive(output), _building(output) as partial:
        yield partial


@contextlib.contextmanager
def _building(output: Path) -> Iterator[Path]:
    partial = output / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if not (partial / MANIFEST).is_file():
            raise FileNotFoundError(f"{partial / MANIFEST} was not written")
        _replace(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace(partial: Path, output: Path) -> None:
    (output / MANIFEST).unlink(missing_ok=True)
    fresh = sorted(entry.name for entry in partial.iterdir() if entry.name != MANIFEST)
    for entry in output.iterdir():
        if entry.name not in fresh and entry.name != _PARTIAL and entry.is_file():
            entry.unlink()
    umask = os.umask(0)
    os.umask(umask)
    for name in fresh:
        # Some libraries write private files; a model is meant to be read like any other result.
        os.chmod(partial / name, 0o666 & ~umask)
        with open(partial / name, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial / name, output / name)
    os.replace(partial / MANIFEST, output / MANIFEST)
