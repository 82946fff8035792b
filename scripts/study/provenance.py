"""Provenance of a result: git revision and digests of data and code."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from scripts.study import sources
from scripts.techniques.registry import code_modules

ROOT = Path(__file__).resolve().parents[2]


def describe(dataset: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The git revision (None outside a repository), and digests of the evaluation set and of the code that ran."""
    revision = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    stage = ("scripts.generate", "scripts.inference.worker", "scripts.inference.reference_worker")
    code = sources.digests(*stage, *code_modules(settings))
    return {
        "git_revision": revision,
        "git_modified": None if revision is None or changes is None else bool(changes),
        "dataset_digest": sources.file_digest(dataset),
        "code_digest": hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()[:16],
    }


def _git(*arguments: str) -> str | None:
    """Output of a git command; None without git or outside a repository of the project's own."""
    if not (ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],  # noqa: S607
            capture_output=True,
            timeout=10,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
