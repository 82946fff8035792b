"""Score how well the tokens of one technique's headlines match those of the references, with a local text model."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from scripts.foundation import entry
from scripts.metrics import bertscore, judging


def main() -> None:
    """Read a run and write the BERTScore of each of its headlines."""
    judging.run(str(__doc__), "text model", "bertscore_f1", _judge, _arguments, _described)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--layer", type=int, help="whose output embeds the tokens, from 1 (default: three quarters up)")
    parser.add_argument("--idf", action="store_true", help="weight tokens by how few of the references have them")


def _judge(rows: list[dict[str, Any]], headlines: list[str], model: Path, arguments: Namespace) -> list[float]:
    references = [row["headline"] for row in rows]
    return bertscore.f1(headlines, references, model, arguments.layer, arguments.idf, label=arguments.technique)


def _described(model: Path, arguments: Namespace) -> dict[str, Any]:
    return bertscore.described(model, arguments.layer, arguments.idf)


if __name__ == "__main__":
    entry.run(main)
