"""Stage: bring one model of the study into place, as a checkpoint directory or a pinned reference to one."""

import argparse
import importlib
import json
import logging
from pathlib import Path
from typing import Any

from scripts.foundation import entry, files, request_file
from scripts.foundation.errors import StudyError
from scripts.models import directory, settings
from scripts.models.source import ENCODER, WRITER, Job

log = logging.getLogger(__name__)

JUDGES = ("entailment", "bertscore")
"""Names of models that are asked for under ``quality`` by these."""


def prepare(
    name: str, given: dict[str, Any], output: Path, train: Path | None = None, prompt: str = "", threads: int = 1,
    kind: str = WRITER, device: str = "cpu",
) -> dict[str, Any]:  # fmt: skip
    """Make the model's directory with its ``manifest.json`` and return the manifest.

    Raises:
        StudyError: wrong settings, missing data, or a checkpoint that cannot be used.
    """
    key = f"models.{name}" if kind != ENCODER else f"quality.{name if name in JUDGES else 'semantic'}"
    read = settings.read(key, given)
    if read.options.training_rows and train is None:
        raise StudyError(f"{key} has the source {read.source}, which needs training rows; give --train.")
    read.options.check(key, kind)
    # By name, since the keys of models follow imports: how a free GPU is found changes no weight.
    leased = importlib.import_module("scripts.inference.training_device").leased
    with directory.building(output) as partial:
        job = Job(key, read.dtype, read.seed, partial, train, prompt, threads, kind, lambda: leased(device))
        manifest = {"source": read.source, "random_weights": read.options.random_weights, **read.options.prepare(job)}
        files.write_json(partial / directory.MANIFEST, manifest)
    log.info("model %s: %s, %d parameters", name, manifest["source"], manifest["parameters"])
    return manifest


def main() -> None:
    """Read the arguments and prepare the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the model's name in the study, for messages")
    parser.add_argument("--settings", required=True, type=json.loads, help="the model's settings as JSON")
    parser.add_argument("--train", type=Path, help="training rows, one JSON object a line, for sources that need them")
    parser.add_argument("--prompt", default="", help="the prompt template, with {summary} in it")
    parser.add_argument(
        "--kind", choices=(WRITER, ENCODER), default=WRITER, help="writes headlines, or encodes texts for a score"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads where their number changes no weight")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to train")
    parser.add_argument("--output", required=True, type=Path, help="the model's directory")
    arguments = request_file.parse(parser)
    prepare(
        arguments.name, arguments.settings, arguments.output, arguments.train, arguments.prompt, arguments.threads,
        arguments.kind, arguments.device,
    )  # fmt: skip


if __name__ == "__main__":
    entry.run(main)
