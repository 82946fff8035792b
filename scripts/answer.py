"""Print a study's answer and where its report is, for a terminal."""

import argparse
import sys
from pathlib import Path

from scripts.foundation import entry, files
from scripts.report import answer, text
from scripts.terminal import opening

LINES = 5


def main() -> None:
    """Read the comparison and print the answer's lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparison", required=True, help="comparison.json")
    parser.add_argument("--report", required=True, help="the report to name")
    arguments = parser.parse_args()
    comparison = text.inert_values(files.read_json(arguments.comparison))
    # A terminal that lacks a character shows another in its place; the answer is not lost to it.
    sys.stdout.reconfigure(errors="replace")
    for sentence in answer.sentences(comparison)[:LINES]:
        print(" ".join(sentence.split()))
    print(text.inert(opening.sentence(Path(arguments.report))))


if __name__ == "__main__":
    entry.run(main)
