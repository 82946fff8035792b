"""Judge which of one technique's headlines its summaries entail, with a local NLI classifier."""

import argparse
import logging
from pathlib import Path
from typing import Any

from scripts.foundation import entry
from scripts.metrics import dataset as dataset_file
from scripts.metrics import entailment, failed, judging_model, texts
from scripts.metrics import runs as run_files
from scripts.metrics.answers import option as answer_option

logger = logging.getLogger(__name__)


def main() -> None:
    """Read a run and write which of its headlines are entailed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--technique", required=True, help="name of the technique, as in run.json")
    parser.add_argument("--dataset", required=True, help="evaluation set (eval.jsonl) that the run was timed on")
    parser.add_argument("--run", required=True, help="folder with samples.jsonl and run.json of the first run")
    parser.add_argument(
        "--model", required=True, type=Path, help="folder of the classifier, or the manifest.json of one"
    )
    parser.add_argument("--output", required=True, help="file of scores to write")
    answer_option.add_argument(parser)
    failed.add_arguments(parser)
    arguments = parser.parse_args()
    dataset = dataset_file.read_dataset(arguments.dataset)
    directory, description = judging_model.read(arguments.model)

    def content() -> dict[str, Any]:
        return _scores(arguments, dataset, directory) | {"model": description}

    failed.write(arguments, content, failed.scores(arguments.technique))


def _scores(arguments: argparse.Namespace, dataset: list[dict[str, Any]], directory: Path) -> dict[str, Any]:
    run = run_files.read_run(
        arguments.run, arguments.technique, [row["id"] for row in dataset], fixed=False, answer=arguments.answer
    )
    scores = None
    if texts.is_scorable(run):
        headlines, summaries = [sample.headline for sample in run.samples], [row["summary"] for row in dataset]
        found = entailment.judged(summaries, headlines, directory, label=arguments.technique)
        scores = {"entailed_share": found}
    logger.info("judged the entailment of %s: %s", arguments.technique, "done" if scores else "nothing to judge")
    return texts.document(run, scores)


if __name__ == "__main__":
    entry.run(main)
