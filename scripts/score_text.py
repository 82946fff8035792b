"""Score the headlines of one technique's first run: ROUGE, length, and how much was copied from the summary."""

import argparse
import logging
from typing import Any

from scripts.foundation import entry, words
from scripts.metrics import copied, entities, failed, rouge, texts, tokenizer
from scripts.metrics import dataset as dataset_file
from scripts.metrics import runs as run_files
from scripts.metrics.answers import option as answer_option

logger = logging.getLogger(__name__)


def main() -> None:
    """Read a run and write the scores of its headlines, one value a sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--technique", required=True, help="name of the technique, as in run.json")
    parser.add_argument("--dataset", required=True, help="evaluation set (eval.jsonl) that the run was timed on")
    parser.add_argument("--run", required=True, help="folder with samples.jsonl and run.json of the first run")
    parser.add_argument(
        "--tokenizer", choices=tokenizer.CHOICES, default="auto",
        help="what parts a text into words for ROUGE; auto goes by the references (default)",
    )  # fmt: skip
    parser.add_argument("--output", required=True, help="file of scores to write")
    answer_option.add_argument(parser)
    failed.add_arguments(parser)
    arguments = parser.parse_args()
    dataset = dataset_file.read_dataset(arguments.dataset)
    failed.write(arguments, lambda: content(arguments, dataset), failed.scores(arguments.technique))


def content(arguments: argparse.Namespace, dataset: list[dict[str, Any]]) -> dict[str, Any]:
    """The file of scores."""
    run = run_files.read_run(
        arguments.run, arguments.technique, [row["id"] for row in dataset], fixed=False, answer=arguments.answer
    )
    chosen = tokenizer.choose(arguments.tokenizer, [row["headline"] for row in dataset])
    scores, beside = None, {}
    if texts.is_scorable(run):
        scores = text_scores(texts.headlines(run), dataset * run.draws, chosen)
        beside = about_references(dataset)
    logger.info("scored the text of %s: %s", arguments.technique, "done" if scores else "nothing to score")
    return texts.document(run, scores) | {"tokenizer": chosen.as_dict()} | beside


def text_scores(
    headlines: list[str], dataset: list[dict[str, Any]], chosen: tokenizer.Tokenizer
) -> dict[str, list[Any]]:
    """Return every score of each headline, in order, ROUGE by the tokenizer that was chosen; a row for each."""
    return rouge.rouge_scores(headlines, [row["headline"] for row in dataset], chosen.function) | {
        "copied_share": [
            copied.copied_share(headline, row["summary"]) for headline, row in zip(headlines, dataset, strict=True)
        ],
        "headline_words": [len(words.split(headline)) for headline in headlines],
        **entities.columns(headlines, [row["summary"] for row in dataset]),
    }


def about_references(dataset: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the references' own entities are, and whether names can be told in these summaries."""
    summaries = [row["summary"] for row in dataset]
    found = entities.columns([row["headline"] for row in dataset], summaries)
    del found["unsupported"]
    return {"reference_entities": found, "names_known": entities.lexicon(summaries).telling}


if __name__ == "__main__":
    entry.run(main)
