"""The option of stages that read headlines from answers."""

import argparse
import json

from scripts.metrics.answers import reader


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--answer``, as JSON or as one of its words."""
    parser.add_argument(
        "--answer", type=_read, default=reader.AUTO,
        help="how a headline is read from an answer, as generation.answer of a study (default %(default)s)",
    )  # fmt: skip


def _read(text: str) -> reader.How:
    return json.loads(text) if text.lstrip()[:1] in ("{", '"') else text
