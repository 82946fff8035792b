"""Find an engine's program in the environment that this runs in, which has nothing of the study's libraries."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Write where the program is and which version it has, or why it is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="its name")
    parser.add_argument("--package", default="", help="the Python package whose version it has")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write")
    arguments = parser.parse_args()
    beside = Path(sys.executable).parent / arguments.program
    path = str(beside) if os.access(beside, os.X_OK) else shutil.which(arguments.program)
    version = None
    if arguments.package:
        try:
            version = importlib.metadata.version(arguments.package)
        except importlib.metadata.PackageNotFoundError:
            version = None
    reason = None if path else f"The environment of the engine has no program {arguments.program}; correct its file."
    content = {"executable": path, "version": version, "reason": reason}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=arguments.output.parent, prefix=f".{arguments.output.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        json.dump(content, written, indent=2)
    os.replace(name, arguments.output)


if __name__ == "__main__":
    main()
