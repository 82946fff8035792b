"""Files of scores per headline: what they hold, and the check that they are of the headlines that were timed.

The stages that score text are apart from the one that reads every run, since their libraries take seconds to import and
only the first run's headlines matter to them.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.metrics import figures
from scripts.metrics.entry import Entry, missing
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run, unscored_reason


class NotScoredError(StudyError):
    """An earlier stage could not score the text; its reason is the message."""


def headlines_digest(run: Run) -> str:
    """Return a digest of the ids and headlines of a run, in order, those of further draws among them."""
    pairs = [[sample.id, sample.headline, *(draw.headline for draw in sample.draws)] for sample in run.samples]
    return "sha256:" + hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def headlines(run: Run) -> list[str]:
    """Return every headline of a run: those of the first draw, in evaluation order, then those of the next one."""
    return [sample.headline for samples in run.passes() for sample in samples]


def document(run: Run, scores: dict[str, list[Any]] | None) -> dict[str, Any]:
    """Return the content of a file of scores.

    Args:
        run: whose headlines they are of.
        scores: a value for each of :func:`headlines`; None where nothing was scored. A prompt's score is the mean over
            its draws, and a list is that of its first draw: the prompt, not the answer, is what statistics count.
    """
    return _heading(run) | _by_prompt(run, scores) | {"quality_measured": scores is not None}


def _by_prompt(run: Run, scores: dict[str, list[Any]] | None) -> dict[str, Any]:
    if scores is None or run.draws == 1:
        return {"scores": scores}
    prompts = len(run.samples)
    found, spread, first = {}, {}, {}
    for key, values in scores.items():
        if any(isinstance(value, list) for value in values):
            found[key] = values[:prompts]
            continue
        table = np.array([np.nan if value is None else value for value in values], dtype=float).reshape(-1, prompts)
        means = figures.averaged(table)
        found[key] = [None if np.isnan(mean) else float(mean) for mean in means]
        first[key] = values[:prompts]
        if not np.isnan(table).all(axis=1).any():
            spread[key] = float(np.nanmean(table, axis=1).std(ddof=1))
    return {"scores": found, "first_draw": first, "draws": run.draws, "between_draws": spread}


def _heading(run: Run) -> dict[str, Any]:
    return {
        "technique": run.info["technique"],
        "status": run.info["status"],
        "reason": run.info.get("reason"),
        "run": run.info.get("run"),
        "ids": [sample.id for sample in run.samples],
        "headlines_digest": headlines_digest(run),
    }


def is_scorable(run: Run) -> bool:
    """Say whether a run's headlines mean anything: it ran to the end, on a model and on prompts that ask for some."""
    return run.ok and unscored_reason(run) is None


def read_scores(
    path: str, run: Run, of: Sequence[Entry], stage: str, columns: Sequence[str] = (), lists: Sequence[str] = ()
) -> dict[str, Any]:
    """Read a file of scores and check that it is of the headlines of ``run``.

    Args:
        path: the file.
        run: the first run of the technique.
        of: the figures whose scores it must have.
        stage: the stage that makes it, for the message.
        columns: other numbers, one a headline, that it must have.
        lists: what it must have as a list of texts for each headline.

    Raises:
        StudyError: it is missing, damaged, of other headlines, or scores what can't be scored.
        NotScoredError: it says why it has no scores.
    """
    content = files.read_json(path)
    again = f"run {stage} again"
    if isinstance(content, dict) and content.get("status") == "failed" and "scores" not in content:
        raise NotScoredError(content["reason"])
    if not isinstance(content, dict) or not isinstance(content.get("scores", ""), dict | None):
        raise StudyError(f"{path} has no 'scores' that can be read; {again}.")
    if content.get("technique") != run.info["technique"]:
        raise StudyError(f"{path} is of {content.get('technique')!r}, not of {run.info['technique']!r}; {again}.")
    if content.get("headlines_digest") != headlines_digest(run):
        raise StudyError(f"{path} scores other headlines than those of {run.path}; {again}.")
    scores = content["scores"]
    if (scores is not None) != is_scorable(run):
        raise StudyError(f"{path} and {run.path} disagree on whether there is anything to score; {again}.")
    keys = [*(entry.key for entry in of), *columns] if scores is not None else []
    for key in keys:
        if not _are_scores(scores.get(key), len(run.samples)):
            raise StudyError(f"{path}: '{key}' is not one number a headline; {again}.")
    for key in lists if scores is not None else ():
        if not _are_texts(scores.get(key), len(run.samples)):
            raise StudyError(f"{path}: '{key}' is not a list of texts a headline; {again}.")
    return content


def score_figures(of: Sequence[Entry], content: dict[str, Any] | None, reason: str) -> dict[str, Figure]:
    """Return the mean of each score of a file with its interval over prompts; ``reason`` says why there are none."""
    scores = (content or {}).get("scores")
    if scores is None:
        return missing(of, reason)
    return figures.mean_figures({entry.key: (np.array(scores[entry.key], dtype=float), entry.unit) for entry in of})


def _are_texts(values: Any, n: int) -> bool:
    lists = isinstance(values, list) and len(values) == n and all(isinstance(each, list) for each in values)
    return lists and all(isinstance(text, str) for each in values for text in each)


def _are_scores(values: Any, n: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == n
        and all(value is None or (type(value) in (int, float) and math.isfinite(value)) for value in values)
    )
