"""The stage of a score that a model gives: arguments, the run that is judged, and the file that is written."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scripts.metrics import dataset as dataset_file
from scripts.metrics import failed, judging_model, texts
from scripts.metrics import runs as run_files
from scripts.metrics.answers import option as answer_option

logger = logging.getLogger(__name__)

Judge = Callable[[list[dict[str, Any]], list[str], Path, argparse.Namespace], Sequence[float | None]]
Described = Callable[[Path, argparse.Namespace], dict[str, Any]]


def run(
    about: str, model: str, score: str, judge: Judge,
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None, described: Described | None = None,
) -> None:  # fmt: skip
    """Read a run and write what a model says of each of its headlines.

    Args:
        about: what the stage does, for its help.
        model: what the model is called in it.
        score: name of the score.
        judge: takes the evaluation rows, the headlines, the model's folder and the stage's arguments; returns a value
            for each headline.
        add_arguments: adds the stage's own arguments to the parser.
        described: what a report says of the model beside its name, by its folder and the stage's arguments.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--technique", required=True, help="name of the technique, as in run.json")
    parser.add_argument("--dataset", required=True, help="evaluation set (eval.jsonl) that the run was timed on")
    parser.add_argument("--run", required=True, help="folder with samples.jsonl and run.json of the first run")
    parser.add_argument("--model", required=True, type=Path, help=f"folder of the {model}, or the manifest.json of one")
    parser.add_argument("--output", required=True, help="file of scores to write")
    answer_option.add_argument(parser)
    if add_arguments:
        add_arguments(parser)
    failed.add_arguments(parser)
    arguments = parser.parse_args()
    dataset = dataset_file.read_dataset(arguments.dataset)
    directory, description = judging_model.read(arguments.model)

    def content() -> dict[str, Any]:
        timed = run_files.read_run(
            arguments.run, arguments.technique, [row["id"] for row in dataset], fixed=False, answer=arguments.answer
        )
        scores, more = None, {}
        if texts.is_scorable(timed):
            rows = dataset * timed.draws
            scores = {score: list(judge(rows, texts.headlines(timed), directory, arguments))}
            more = described(directory, arguments) if described else {}
        logger.info("%s of %s: %s", score, arguments.technique, "done" if scores else "nothing to judge")
        return texts.document(timed, scores) | {"model": description | more}

    failed.write(arguments, content, failed.scores(arguments.technique))
