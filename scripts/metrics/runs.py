"""Reading of the runs of a technique, with every check that keeps a damaged file from becoming a figure."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError

STATUSES = ("ok", "unsupported", "out_of_memory", "invalid")
STOP_REASONS = ("end", "line_break", "length")


@dataclass(frozen=True)
class Sample:
    """What one request left behind. Times are in seconds since the request began."""

    id: str
    headline: str
    token_ids: list[int]
    latency_s: float
    ttft_s: float | None
    token_times_s: list[float]
    stop_reason: str
    drafted_tokens: int | None = None
    accepted_tokens: int | None = None
    rejected_tokens: int | None = None
    rounds: int | None = None

    @property
    def new_tokens(self) -> int:
        """Number of generated tokens."""
        return len(self.token_ids)


@dataclass(frozen=True)
class Run:
    """One fresh process: what it says of itself (``info``) and its samples, in evaluation order."""

    path: Path
    info: dict[str, Any]
    samples: list[Sample]

    @property
    def ok(self) -> bool:
        """Whether the run has figures at all."""
        return self.info["status"] == "ok"


def read_run(directory: str | Path, technique: str, ids: list[str]) -> Run:
    """Read ``run.json`` and ``samples.jsonl`` of one run.

    Args:
        directory: the folder of the run.
        technique: the name that the run must carry.
        ids: the ids of the evaluation set, in order; the samples must have exactly these.

    Raises:
        StudyError: a file is missing, damaged, of another technique or does not match the evaluation set.
    """
    directory = Path(directory)
    path = directory / "run.json"
    info = files.read_json(path)
    if not isinstance(info, dict) or info.get("status") not in STATUSES:
        raise StudyError(f"{path}: 'status' is none of {', '.join(STATUSES)}; delete the file and run again.")
    if info.get("technique") != technique:
        raise StudyError(f"{path} is a run of {info.get('technique')!r}, not of {technique!r}; pass the right folder.")
    if info["status"] != "ok":
        return Run(directory, info, [])
    if not isinstance(info.get("memory"), dict) or not isinstance(info.get("models"), dict):
        raise StudyError(f"{path}: 'memory' or 'models' is missing from a run that is ok; delete it and run again.")
    source = directory / "samples.jsonl"
    samples = [_sample(row, f"{source}, line {n}") for n, row in enumerate(files.read_json_lines(source), start=1)]
    _check_ids(source, [sample.id for sample in samples], ids)
    return Run(directory, info, samples)


def _check_ids(source: Path, found: list[str], expected: list[str]) -> None:
    """Refuse samples that are not those of the evaluation set, one by one and in its order."""
    if len(found) != len(expected):
        raise StudyError(
            f"{source} has {len(found)} lines and the evaluation set {len(expected)}; run the technique again."
        )
    for line, (ours, theirs) in enumerate(zip(found, expected, strict=True), start=1):
        if ours != theirs:
            raise StudyError(
                f"{source}, line {line}: id {ours!r} where the evaluation set has {theirs!r}; run it again."
            )


def _sample(row: Any, where: str) -> Sample:
    """Check one line of samples.jsonl and turn it into a Sample."""
    try:
        sample = Sample(
            id=row["id"],
            headline=row["headline"],
            token_ids=row["token_ids"],
            latency_s=row["latency_s"],
            ttft_s=row["ttft_s"],
            token_times_s=row["token_times_s"],
            stop_reason=row["stop_reason"],
            drafted_tokens=row.get("drafted_tokens"),
            accepted_tokens=row.get("accepted_tokens"),
            rejected_tokens=row.get("rejected_tokens"),
            rounds=row.get("rounds"),
        )
        new_tokens = row["new_tokens"]
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{where}: not a sample ({error!r}); delete the run and make it again.") from None
    fault = _fault(sample, new_tokens)
    if fault:
        raise StudyError(f"{where}: {fault}; delete the run and make it again.")
    return sample


def _fault(sample: Sample, new_tokens: Any) -> str | None:
    """Say what is wrong with a sample, or None."""
    if not isinstance(sample.id, str) or not _is_text(sample.headline):
        return "'id' or 'headline' is not text"
    if not isinstance(sample.token_ids, list) or not all(type(token) is int for token in sample.token_ids):
        return "'token_ids' is not a list of integers"
    if new_tokens != len(sample.token_ids):
        return f"'new_tokens' is {new_tokens!r} and there are {len(sample.token_ids)} token ids"
    if not _is_time(sample.latency_s) or sample.latency_s == 0:
        return f"'latency_s' is {sample.latency_s!r}, not a positive time"
    times = sample.token_times_s
    if not isinstance(times, list) or len(times) != new_tokens or not all(_is_time(time) for time in times):
        return "'token_times_s' is not one time a token"
    if any(later < earlier for earlier, later in pairwise(times)):
        return "'token_times_s' runs backwards"
    if new_tokens and not (_is_time(sample.ttft_s) and sample.ttft_s <= sample.latency_s):
        return f"'ttft_s' is {sample.ttft_s!r}, not a time within the latency"
    if sample.stop_reason not in STOP_REASONS:
        return f"'stop_reason' is {sample.stop_reason!r}, none of {', '.join(STOP_REASONS)}"
    counts = (sample.drafted_tokens, sample.accepted_tokens, sample.rejected_tokens, sample.rounds)
    if any(count is not None for count in counts):
        if not all(type(count) is int and count >= 0 for count in counts):
            return "'drafted_tokens', 'accepted_tokens', 'rejected_tokens' and 'rounds' are not four counts"
        if sample.accepted_tokens + sample.rejected_tokens > sample.drafted_tokens:
            return "more tokens were accepted or rejected than drafted"
    return None


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_text(value: Any) -> bool:
    # A lone surrogate passes through JSON but can't be written out again.
    return isinstance(value, str) and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
