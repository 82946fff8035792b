"""Take the first rows of the evaluation pool as the study's samples.

python -m scripts.select_samples --pool results/dataset/pool.jsonl --samples 200 --output results/dataset/eval.jsonl
"""

import argparse
from itertools import islice
from pathlib import Path

from scripts.foundation import entry
from scripts.foundation.errors import StudyError
from scripts.foundation.files import atomic_writer, read_json


def select(pool: Path, samples: int, output: Path) -> None:
    """Copy the first ``samples`` lines of ``pool``, byte by byte; the pool is in a stable random order already.

    Raises:
        StudyError: the pool is missing or has too few rows.
    """
    if samples < 1:
        raise StudyError(f"dataset.samples: {samples} must be at least 1.")
    try:
        with pool.open(encoding="utf-8", newline="\n") as handle:
            lines = list(islice(handle, samples))
    except FileNotFoundError:
        raise StudyError(f"{pool} does not exist; run scripts.prepare_dataset first.") from None
    if len(lines) < samples:
        raise StudyError(
            f"{pool} has {len(lines)} rows and dataset.samples asks for {samples}{_lost(pool)}; ask for fewer, or "
            "enlarge the pool (a larger source or dataset.evaluation_share; for newswire, evaluation_rows)."
        )
    with atomic_writer(output) as handle:
        handle.writelines(lines)


def _lost(pool: Path) -> str:
    """Return how many of the source's rows were rejected and why, by the manifest beside the pool."""
    try:
        counts = read_json(pool.with_name("manifest.json"))["counts"]
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts["rejected_by_reason"].items())
    except (StudyError, KeyError, TypeError, AttributeError):
        return ""
    rejected = f", {counts['rejected']} of them rejected: {reasons}" if counts["rejected"] else ""
    return f" (the source has {counts['read']} rows{rejected})"


def main() -> None:
    """Read the arguments and select the samples."""
    parser = argparse.ArgumentParser(description="Take the first rows of the evaluation pool as samples.")
    parser.add_argument("--pool", required=True, type=Path, help="the evaluation pool, a JSON-lines file")
    parser.add_argument("--samples", required=True, type=int, help="how many rows to take")
    parser.add_argument("--output", required=True, type=Path, help="the JSON-lines file to write")
    arguments = parser.parse_args()
    select(arguments.pool, arguments.samples, arguments.output)


if __name__ == "__main__":
    entry.run(main)
