"""ROUGE of the headlines, through the ``evaluate`` library and a metric module of the project's own.

``evaluate`` is imported late, by the one stage that scores text (the names alone don't wait for
it), cut off from the network, with its caches in a temporary folder, so that jobs side by side and homes that can't be
written to are no trouble.
"""

import atexit
import contextlib
import functools
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.foundation import leftovers

KEYS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
PREFIX = "headline-rouge-"
MODULE = Path(__file__).parent / "evaluate_modules" / "headline_rouge" / "headline_rouge.py"

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Metrics of plain text need no tensor library.
    "USE_TORCH": "0",
    "USE_TF": "0",
    "USE_JAX": "0",
}


def rouge_scores(
    predictions: list[str], references: list[str], tokenize: Callable[[str], list[str]] | None = None
) -> dict[str, list[float]]:
    """Return the F1 score of each text for each ROUGE variant, in the order of the texts.

    Args:
        predictions: the texts to score.
        references: as many texts.
        tokenize: from a text to its tokens; None for the library's own tokenizer with its English stemmer.
    """
    return _metric().compute(
        predictions=predictions, references=references, use_stemmer=tokenize is None, tokenizer=tokenize
    )


@functools.cache
def _metric() -> Any:
    """Load the metric module once a process."""
    leftovers.sweep(PREFIX)
    folder = tempfile.TemporaryDirectory(prefix=PREFIX)
    leftovers.hold(Path(folder.name))
    atexit.register(folder.cleanup)
    caches = {name: f"{folder.name}/{name.lower()}" for name in ("HF_MODULES_CACHE", "HF_EVALUATE_CACHE", "HF_HOME")}
    with _environment(OFFLINE | caches), _without_transformers():
        # At INFO they report every tensor library that they were told to leave alone.
        for name in ("datasets", "evaluate", "absl"):
            logging.getLogger(name).setLevel(logging.WARNING)
        import evaluate

        return evaluate.load(str(MODULE), cache_dir=folder.name, keep_in_memory=True)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the time of the import, when the libraries read them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_transformers() -> Iterator[None]:
    """Hide transformers from ``evaluate``, which then leaves out its pipelines and saves 4 s of importing torch.

    The library treats it as optional; None in ``sys.modules`` is how Python marks a module as not importable.
    """
    if "transformers" in sys.modules:
        yield
        return
    sys.modules["transformers"] = None
    try:
        yield
    finally:
        del sys.modules["transformers"]
