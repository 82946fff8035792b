"""Conda environments of engines: ``envs/<preset>.yaml``, here or in a plugin's folder."""

from __future__ import annotations

from pathlib import Path

from scripts.foundation import plugins


def of_engine(preset: str) -> Path | None:
    """The file of a preset's environment; None where it has none, as one that runs in the study's own."""
    found = plugins.files(f"envs/{preset}.yaml")
    return found[0] if found else None
