"""Judge which of one technique's headlines its summaries entail, with a local NLI classifier."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from scripts.foundation import entry
from scripts.metrics import entailment, judging


def main() -> None:
    """Read a run and write which of its headlines are entailed."""
    judging.run(str(__doc__), "classifier", "entailed_share", _judge)


def _judge(rows: list[dict[str, Any]], headlines: list[str], model: Path, arguments: Namespace) -> list[float | None]:
    return entailment.judged([row["summary"] for row in rows], headlines, model, label=arguments.technique)


if __name__ == "__main__":
    entry.run(main)
