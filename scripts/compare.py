"""Put the scored techniques side by side: comparison.json and comparison.csv. Reads metrics files, no generations."""

import argparse
import logging

from scripts.comparison import document, loading, table
from scripts.comparison.studies import reading, since
from scripts.foundation import entry, files, request_file
from scripts.metrics import dataset as dataset_file

logger = logging.getLogger(__name__)


def main() -> None:
    """Read the metrics files of a study and write its comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="the study as JSON: title, baseline, techniques …")
    parser.add_argument("--dataset", required=True, help="evaluation set (eval.jsonl)")
    parser.add_argument("--dataset-manifest", required=True, help="manifest.json of the dataset")
    parser.add_argument("--metrics", required=True, nargs="+", help="metrics files, one a technique of the study")
    parser.add_argument("--output", required=True, help="comparison as JSON to write")
    parser.add_argument("--table", required=True, help="comparison as CSV to write")
    parser.add_argument("--previous", help="comparison.json of an earlier study, to say what changed since")
    arguments = request_file.parse(parser)
    study = loading.read_study(arguments.study)
    rows = dataset_file.read_dataset(arguments.dataset)
    manifest = files.read_json(arguments.dataset_manifest)
    metrics = loading.read_metrics(arguments.metrics, study, rows)
    result = document.comparison(study, rows, manifest, metrics)
    if arguments.previous:
        since.add(result, reading.read(arguments.previous))
    files.write_json(arguments.output, result)
    files.write_text(arguments.table, table.table(result))
    logger.info("compared %d techniques, %d with figures", len(result["techniques"]), result["answer"]["ran"])


if __name__ == "__main__":
    entry.run(main)
