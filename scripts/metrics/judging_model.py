"""The model that a stage of scores was told to judge with."""

from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError


def read(path: Path) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the model that was named by its folder or its manifest, and what a report says of it."""
    if not path.is_file():
        return path, {"name": path.name}
    manifest = files.read_json(path)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("path"), str):
        raise StudyError(f"{path} has no 'path' to the model; prepare the model again.")
    directory = path.parent / manifest["path"]
    name = manifest.get("repository") or directory.resolve().name
    known = {key: manifest[key] for key in ("source", "revision", "weights_digest") if manifest.get(key)}
    return directory, {"name": name} | known
