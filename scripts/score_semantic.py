"""Score how close in meaning one technique's headlines are to the references, with a local text model."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from scripts.foundation import entry
from scripts.metrics import judging, semantic


def main() -> None:
    """Read a run and write the similarity of each of its headlines to its reference."""
    judging.run(str(__doc__), "text model", "semantic_similarity", _judge)


def _judge(rows: list[dict[str, Any]], headlines: list[str], model: Path, arguments: Namespace) -> list[float | None]:
    return semantic.similarities(headlines, [row["headline"] for row in rows], model, label=arguments.technique)


if __name__ == "__main__":
    entry.run(main)
