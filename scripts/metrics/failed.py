"""Records a technique that can't be scored: a reason instead of figures, and a failed attempt to retry."""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.foundation import failures, files
from scripts.metrics import texts

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of a stage whose errors become a row of the report."""
    parser.add_argument("--failures", type=Path, help="folder in which failed attempts are noted; without it they end")
    parser.add_argument("--log", type=Path, help="file that holds what is logged, for the message")


def write(arguments: Namespace, make: Callable[[], dict[str, Any]], failed: Callable[[str], dict[str, Any]]) -> None:
    """Write what ``make`` returns to ``arguments.output``, or what ``failed`` makes of the reason why it can't be made.

    Raises:
        Exception: the error of ``make``, where no folder for failures was named or the disk is full.
    """
    try:
        content = make()
    except Exception as error:
        if arguments.failures is None:
            raise
        reason = str(error) if isinstance(error, texts.NotScoredError) else _reason(error, arguments.log)
        logger.error("%s can't be scored: %s", arguments.technique, error)
        content = failed(reason)
        failures.note(arguments.failures, reason)
    files.write_json(arguments.output, content)


def _reason(error: Exception, log: Path | None) -> str:
    said = failures.report(error)["reason"]
    return failures.with_log({"status": failures.FAILED, "reason": f"scoring failed: {said}"}, log)


def scores(technique: str) -> Callable[[str], dict[str, Any]]:
    """Return what makes the file of scores of a technique that has none."""
    return lambda reason: {"technique": technique, "status": failures.FAILED, "reason": reason}
