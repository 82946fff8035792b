"""Prepare the data set: read a source, clean and check its rows, and split them into training rows and evaluation pool.

    python -m scripts.prepare_dataset --settings '{"source": "newswire"}' --output results/dataset

Writes pool.jsonl (in evaluation order), train.jsonl, rejects.jsonl and manifest.json.
"""

import argparse
import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.dataset.collect import LEAKAGE, Rejects, collect, mostly_rejected
from scripts.dataset.rows import Row
from scripts.dataset.settings import Settings, parse
from scripts.dataset.split import leaking, split
from scripts.foundation import entry, request_file
from scripts.foundation.files import atomic_writer, write_json

log = logging.getLogger(__name__)


def prepare(settings: Settings, output: Path) -> dict[str, Any]:
    """Write the data set to the directory ``output`` and return its manifest.

    Raises:
        StudyError: the source can't be read or has no usable row.
    """
    settings.options.check()
    source = settings.options.open(settings.seed)
    with atomic_writer(output / "rejects.jsonl") as handle:
        rejects = Rejects(handle)
        rows = collect(source, settings.filters, rejects, settings.markup == "keep")
        marked = sum(row.had_markup for row in rows)
        pool, train = split(rows, settings.evaluation_share, settings.seed)
        del rows
        leaked = leaking(pool, train)
        for row in sorted((row for row in train if row.id in leaked), key=lambda each: each.position):
            rejects.add(row.position, LEAKAGE, row.headline)
    train = [row for row in train if row.id not in leaked]
    rejected = sum(rejects.counts.values())
    manifest = {
        "source": settings.source,
        "settings": settings.as_dict(),
        "origin": dict(source.origin),
        "position_unit": source.unit,
        "seed": settings.seed,
        "filters": settings.filters.as_dict(),
        "counts": {
            "read": len(pool) + len(train) + rejected,
            "rejected": rejected,
            "rejected_by_reason": dict(sorted(rejects.counts.items())),
            "leakage": len(leaked),
            "markup": marked,
            "pool": len(pool),
            "train": len(train),
        },
        "sha256": {
            "pool.jsonl": _write(output / "pool.jsonl", pool),
            "train.jsonl": _write(output / "train.jsonl", train),
        },
    }
    if source.notes:
        manifest["notes"] = source.notes
    warning = mostly_rejected(manifest["counts"]["read"], rejects)
    if warning:
        manifest["warning"] = warning
    # The manifest is written last: where it is, the rest is complete.
    write_json(output / "manifest.json", manifest)
    for note in source.notes:
        log.warning("%s: %s.", source.name, note)
    if warning:
        log.warning("%s.", warning)
    read, rejected, pooled, trained = (manifest["counts"][name] for name in ("read", "rejected", "pool", "train"))
    why = f": {rejects.summary(source.unit)}" if rejected else ""
    log.info(
        "%s: %d rows read, %d in the pool, %d to train on, %d rejected%s",
        source.name,
        read,
        pooled,
        trained,
        rejected,
        why,
    )
    return manifest


def _write(path: Path, rows: Iterable[Row]) -> str:
    """Write the rows, one a line, and return the file's SHA-256."""
    digest = hashlib.sha256()
    with atomic_writer(path) as handle:
        for row in rows:
            line = json.dumps(row.as_dict(), ensure_ascii=False) + "\n"
            digest.update(line.encode("utf-8"))
            handle.write(line)
    return digest.hexdigest()


def main() -> None:
    """Read the arguments and prepare the data set."""
    parser = argparse.ArgumentParser(description="Prepare the data set of a study from its source.")
    parser.add_argument("--settings", required=True, help="the study's dataset settings, as one JSON object")
    parser.add_argument("--output", required=True, type=Path, help="directory for the data set's files")
    arguments = request_file.parse(parser)
    given = arguments.settings
    prepare(parse(given if isinstance(given, str) else json.dumps(given)), arguments.output)


if __name__ == "__main__":
    entry.run(main)
