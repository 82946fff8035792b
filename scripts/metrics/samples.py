"""One line of samples.jsonl or fixed.jsonl, with every check that keeps a damaged file from becoming a figure."""

import math
from collections import defaultdict
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.metrics.answers import reader
from scripts.metrics.answers.reader import How

STOP_REASONS = ("end", "line_break", "text", "length")
API, RETOKENISED = "api", "retokenised"
TOKENS = (API, RETOKENISED)
COUNTS = ("drafted_tokens", "accepted_tokens", "rejected_tokens", "rounds")
CLOCK = 1e-6  # s; two readings of one clock, written as decimals, may differ by this much
ROUNDING = 1e-3  # nats; the sum of probabilities close to 1 can come out a little above it


@dataclass(frozen=True)
class Sample:
    """Recorded results of one request. Times are in seconds since the request began.

    Attributes:
        latency_s: until the request's own last kept token was out.
        batch: the batch that it was in, from 0.
        batch_requests: how many requests that batch had.
        batch_time_s: until the batch's call returned and the device was idle.
        prefix_tokens: of the batch's prompts those that a kept prefix stood for; None where none was kept.
        reference_nll: the reference headline's negative log-likelihood in nats, summed over ``reference_tokens``.
        margins: per generated token its logit minus that of the best other token.
        runners_up: per generated token that other one.
        margin_shifts: how far another order of float32 sums moved each margin, where that was measured.
        argmax_agrees: how many generated tokens have no better rival.
        most_likely: of a drawn answer, how many tokens are the most likely ones.
        token_times_s: when each token was out; None where a server's chunks do not tell.
        stop_reason: None where a server does not tell an end token from a line break.
        tokens: of a server whether ``token_ids`` are its own or made of its text; else None.
        counted: of a server how many new tokens it counted; else None.
        truncated: whether its summary was cut to fit; None where prompts have no limit.
        answer: what the model wrote, without special tokens; the headline is read from it.
        removed: what had to be taken away to get the headline, in words.
        fault: why there is no headline in the answer, in words; None where there is one.
        reference_s: seconds of the reference's request just before and after the batch; None where none took turns.
        draws: the further answers to the same prompt, where several are drawn; each was timed in a pass of its own.
    """

    id: str
    headline: str
    token_ids: list[int]
    latency_s: float
    ttft_s: float | None
    token_times_s: list[float] | None
    stop_reason: str | None
    batch: int
    batch_requests: int
    batch_time_s: float
    prompt_tokens: int | None = None
    prefix_tokens: int | None = None
    drafted_tokens: int | None = None
    accepted_tokens: int | None = None
    rejected_tokens: int | None = None
    rounds: int | None = None
    reference_nll: float | None = None
    reference_tokens: int | None = None
    margins: list[float] | None = None
    runners_up: list[int] | None = None
    margin_shifts: list[float] | None = None
    argmax_agrees: int | None = None
    most_likely: int | None = None
    reference_s: float | None = None
    tokens: str | None = None
    counted: int | None = None
    truncated: bool | None = None
    answer: str | None = None
    removed: tuple[str, ...] = ()
    fault: str | None = None
    draws: tuple["Sample", ...] = ()

    @property
    def new_tokens(self) -> int:
        """Number of generated tokens."""
        return len(self.token_ids) if self.counted is None else self.counted


REQUIRED = ("id", "token_ids", "latency_s", "ttft_s", "token_times_s", "stop_reason")
READ = ("headline", "answer", "removed", "fault")  # from the text
OPTIONAL = tuple(field.name for field in fields(Sample) if field.name not in (*REQUIRED, *READ, "counted", "draws"))


def read_samples(source: Path, answer: How = reader.AUTO) -> list[Sample]:
    """Read the samples of one mode of one run.

    Args:
        source: the file.
        answer: the study's ``generation.answer``, by which headlines are read from the texts.

    Raises:
        StudyError: the file is missing, a line is damaged, or a batch contradicts itself; the message names the line.
    """
    samples = [
        _sample(row, n, f"{source}, line {n}", answer) for n, row in enumerate(files.read_json_lines(source), start=1)
    ]
    if len({len(sample.draws) for sample in samples}) > 1:
        raise StudyError(f"{source}: some prompts have more answers than others; delete the run and make it again.")
    for answers in passes(samples):
        _check_batches(source, answers)
    return samples


def passes(samples: list[Sample]) -> list[list[Sample]]:
    """The samples, and behind them the further draws, each a pass over the same prompts in the same order."""
    count = len(samples[0].draws) if samples else 0
    return [samples, *([sample.draws[draw] for sample in samples] for draw in range(count))]


def check_ids(source: Path, samples: list[Sample], expected: list[str]) -> None:
    """Refuse samples that are not those of the evaluation set, one by one and in its order."""
    if len(samples) != len(expected):
        raise StudyError(
            f"{source} has {len(samples)} lines and the evaluation set {len(expected)}; run the technique again."
        )
    for line, (sample, theirs) in enumerate(zip(samples, expected, strict=True), start=1):
        if sample.id != theirs:
            raise StudyError(
                f"{source}, line {line}: id {sample.id!r} where the evaluation set has {theirs!r}; run it again."
            )


def _check_batches(source: Path, samples: list[Sample]) -> None:
    """Refuse a batch whose requests disagree on how many they were or how long it took."""
    batches = defaultdict(list)
    for sample in samples:
        batches[sample.batch].append(sample)
    if len({sample.reference_s is None for sample in samples}) > 1:
        raise StudyError(
            f"{source}: some samples have 'reference_s' and others have none; delete the run and make it again."
        )
    for number, members in batches.items():
        if any(sample.batch_requests != len(members) for sample in members):
            raise StudyError(
                f"{source}: batch {number} has {len(members)} requests and its 'batch_requests' say otherwise; "
                "delete the run and make it again."
            )
        for key in ("batch_time_s", "reference_s"):
            if len({getattr(sample, key) for sample in members}) > 1:
                raise StudyError(
                    f"{source}: the requests of batch {number} disagree on '{key}'; delete the run and make it again."
                )


def _sample(row: Any, line: int, where: str, answer: How) -> Sample:
    """Check one line and turn it into a Sample; without batch fields it is a batch of one."""
    try:
        alone = {"batch": line - 1, "batch_requests": 1, "batch_time_s": row["latency_s"]}
        required = {key: row[key] for key in REQUIRED}
        new_tokens = row["new_tokens"]
        counted = new_tokens if row.get("tokens") is not None else None
        text = row["text"]
        found = reader.read(text, answer) if _is_text(text) else None
        optional = {key: row.get(key, alone.get(key)) for key in OPTIONAL}
        more = [answer | {"id": row["id"]} for answer in row.get("draws", [])]
        draws = tuple(_sample(each, line, f"{where}, draw {n}", answer) for n, each in enumerate(more, start=2))
        sample = Sample(
            **required, **optional, draws=draws, counted=counted, answer=text, headline=found.text if found else "",
            removed=found.removed if found else (), fault=found.fault if found else None,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{where}: not a sample ({error!r}); delete the run and make it again.") from None
    fault = _fault(sample, new_tokens) or _batch_fault(sample) or _counts_fault(sample) or _likelihood_fault(sample)
    if fault:
        raise StudyError(f"{where}: {fault}; delete the run and make it again.")
    return sample


def _fault(sample: Sample, new_tokens: Any) -> str | None:
    """Say what is wrong with the text, the tokens or the times of a sample, or None."""
    if not isinstance(sample.id, str) or not _is_text(sample.answer):
        return "'id' or 'text' is not text"
    if not _are_tokens(sample.token_ids):
        return "'token_ids' is not a list of integers"
    served = sample.tokens is not None
    if served and (sample.tokens not in TOKENS or not _is_count(new_tokens)):
        return (
            f"'tokens' is {sample.tokens!r} and 'new_tokens' {new_tokens!r}, not one of {', '.join(TOKENS)} and a count"
        )
    if not served and new_tokens != len(sample.token_ids):
        return f"'new_tokens' is {new_tokens!r} and there are {len(sample.token_ids)} token ids"
    if not _is_number(sample.latency_s) or sample.latency_s == 0:
        return f"'latency_s' is {sample.latency_s!r}, not a positive time"
    times = sample.token_times_s
    if times is None and served:
        times = []
    elif not isinstance(times, list) or len(times) != new_tokens or not all(_is_number(time) for time in times):
        return "'token_times_s' is not one time a token"
    if any(later < earlier for earlier, later in pairwise(times)):
        return "'token_times_s' runs backwards"
    if new_tokens and not (_is_number(sample.ttft_s) and sample.ttft_s <= sample.latency_s):
        return f"'ttft_s' is {sample.ttft_s!r}, not a time within the latency"
    if sample.stop_reason not in STOP_REASONS and not (served and sample.stop_reason is None):
        return f"'stop_reason' is {sample.stop_reason!r}, none of {', '.join(STOP_REASONS)}"
    return None


def _batch_fault(sample: Sample) -> str | None:
    if not _is_count(sample.batch) or not _is_count(sample.batch_requests) or sample.batch_requests == 0:
        return "'batch' and 'batch_requests' are not two counts"
    if not _is_number(sample.batch_time_s) or sample.batch_time_s < sample.latency_s - CLOCK:
        return f"'batch_time_s' is {sample.batch_time_s!r}, shorter than the request's own latency"
    if sample.reference_s is not None and (not _is_number(sample.reference_s) or sample.reference_s == 0):
        return f"'reference_s' is {sample.reference_s!r}, not a positive time"
    return None


def _counts_fault(sample: Sample) -> str | None:
    if sample.prompt_tokens is not None and not _is_count(sample.prompt_tokens):
        return "'prompt_tokens' is not a count"
    prefix = sample.prefix_tokens
    if prefix is not None and not (_is_count(prefix) and prefix < (sample.prompt_tokens or 0)):
        return f"'prefix_tokens' is {prefix!r}, not fewer tokens than the prompt has"
    counts = [getattr(sample, key) for key in COUNTS]
    if all(count is None for count in counts):
        return None
    if not all(_is_count(count) for count in counts):
        return "'drafted_tokens', 'accepted_tokens', 'rejected_tokens' and 'rounds' are not four counts"
    if sample.accepted_tokens + sample.rejected_tokens > sample.drafted_tokens:
        return "more tokens were accepted or rejected than drafted"
    return None


def _likelihood_fault(sample: Sample) -> str | None:
    """Say what is wrong with what the teacher-forced passes left, all of which may be absent."""
    n = sample.new_tokens
    if sample.reference_nll is not None:
        if not _is_number(sample.reference_nll, least=-ROUNDING):
            return f"'reference_nll' is {sample.reference_nll!r}, not a number of nats"
        if not _is_count(sample.reference_tokens) or sample.reference_tokens == 0:
            return f"'reference_tokens' is {sample.reference_tokens!r}, not how many tokens 'reference_nll' sums"
    for name in ("margins", "margin_shifts"):
        values = getattr(sample, name)
        if values is not None and not (
            isinstance(values, list) and len(values) == n and all(_is_number(value, -math.inf) for value in values)
        ):
            return f"'{name}' is not one difference of logits a generated token"
    if sample.runners_up is not None and not (_are_tokens(sample.runners_up) and len(sample.runners_up) == n):
        return "'runners_up' is not one token a generated token"
    for name in ("argmax_agrees", "most_likely"):
        count = getattr(sample, name)
        if count is not None and not (_is_count(count) and count <= n):
            return f"'{name}' is {count!r} of {n} generated tokens"
    return None


def _is_number(value: Any, least: float = 0.0) -> bool:
    """Whether it is a finite number, not below ``least``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= least


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list) and all(type(token) is int for token in value)


def _is_text(value: Any) -> bool:
    # A lone surrogate passes through JSON but can't be written out again.
    return isinstance(value, str) and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
