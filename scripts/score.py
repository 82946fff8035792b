"""Score one technique: figures with intervals from the runs that were timed. Loads no model and needs no network."""

import argparse
import logging
from typing import Any

from scripts.foundation import entry
from scripts.metrics import dataset as dataset_file
from scripts.metrics import distributions, failed, loads, noise, texts
from scripts.metrics import runs as run_files
from scripts.metrics import technique as technique_file
from scripts.metrics.answers import option as answer_option
from scripts.metrics.families import bertscore as bertscore_family
from scripts.metrics.families import entailment as entailment_family
from scripts.metrics.families import faithfulness
from scripts.metrics.families import semantic as semantic_family
from scripts.metrics.families import text as text_family

logger = logging.getLogger(__name__)


def main() -> None:
    """Read the runs of a technique and the scores of its text, and write its metrics file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--technique", required=True, help="name of the technique, as in run.json")
    parser.add_argument("--dataset", required=True, help="evaluation set (eval.jsonl) that the runs were timed on")
    parser.add_argument("--runs", required=True, nargs="+", help="folders of the runs, run 1 first")
    parser.add_argument("--text", required=True, help="run 1's file from score_text")
    parser.add_argument("--semantic", help="run 1's file from score_semantic")
    parser.add_argument("--entailment", help="run 1's file from score_entailment")
    parser.add_argument("--bertscore", help="run 1's file from score_bertscore")
    parser.add_argument("--distributions", help="run 1's distributions.npz; without it none are compared")
    parser.add_argument("--parent", help="name of the technique that this one extends, where the study runs it")
    parser.add_argument("--parent-distributions", help="the parent's distributions.npz of its run 1")
    parser.add_argument("--loads", nargs="+", default=[], help="load.json of each load run, run 1 first")
    parser.add_argument(
        "--spread-bound", type=float, default=noise.SPREAD_BOUND,
        help="relative standard deviation between runs above which latency is flagged (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("--output", required=True, help="metrics file to write")
    answer_option.add_argument(parser)
    failed.add_arguments(parser)
    arguments = parser.parse_args()
    dataset = dataset_file.read_dataset(arguments.dataset)

    def without_figures(reason: str) -> dict[str, Any]:
        return technique_file.failed_metrics(arguments.technique, len(dataset), len(arguments.runs), reason)

    failed.write(arguments, lambda: metrics(arguments, dataset), without_figures)


def metrics(arguments: argparse.Namespace, dataset: list[dict[str, Any]]) -> dict[str, Any]:
    """The metrics file."""
    ids = [row["id"] for row in dataset]
    runs = [run_files.read_run(path, arguments.technique, ids, answer=arguments.answer) for path in arguments.runs]
    counts = [key for pair in faithfulness.COLUMNS.values() for key in pair]
    text = texts.read_scores(
        arguments.text, runs[0], text_family.FIGURES, "score_text", counts, (faithfulness.UNSUPPORTED,)
    )
    semantic, entailment, bertscore = (
        texts.read_scores(path, runs[0], family.FIGURES, stage) if path else None
        for path, family, stage in (
            (arguments.semantic, semantic_family, "score_semantic"),
            (arguments.entailment, entailment_family, "score_entailment"),
            (arguments.bertscore, bertscore_family, "score_bertscore"),
        )
    )
    compared = None
    if arguments.distributions and runs[0].ok:
        compared = distributions.compare(
            arguments.distributions, arguments.parent_distributions, arguments.parent, len(dataset)
        )
    scored = technique_file.technique_metrics(
        arguments.technique, dataset, runs, text, semantic, arguments.spread_bound,
        loads.read_loads(arguments.loads, arguments.technique, runs[0].samples, arguments.answer), compared, entailment,
        bertscore,
    )  # fmt: skip
    logger.info("scored %s: %s, %d samples, %d runs", arguments.technique, scored["status"], len(dataset), len(runs))
    return scored


if __name__ == "__main__":
    entry.run(main)
