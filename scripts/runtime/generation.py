"""The interface of whatever generates tokens, its output, and what is observed of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.runtime.stops import NOTHING_HELD, Held

if TYPE_CHECKING:
    from scripts.runtime.stop_texts import StopTexts


@dataclass
class ContinuousBatchTrace:
    """Observations under continuous batching, where requests join and leave between forward calls.

    Attributes:
        slots: how many requests may be in flight.
        given: for each call of the model, how many tokens each of its sequences was given.
        generated: how many tokens each request generated.
    """

    slots: int
    given: list[list[int]]
    generated: list[int]


@dataclass
class Observation:
    """Observations of one batch that was generated outside the timing.

    Attributes:
        prompt_tokens: length of the (padded) prompts in tokens.
        new_tokens: how many tokens were generated, the longest of the batch.
        requests: how many prompts the batch held.
        prompt_lengths: tokens of each prompt without its padding.
        forward_lengths: tokens per sequence in each forward call; the maximum under continuous batching.
        forward_rows: sequences in each forward call.
        padded_left: whether prompts were padded on the left.
        cache: the cache that generation returned, or None.
        collectives: calls of each torch.distributed operation, by name.
        communication_share: share of the batch's time inside the calls that start collectives, 0 to 1; a backend that
            waits elsewhere spends more.
        trace: details of each forward under continuous batching; else None.
        cached_tokens: tokens of each prompt whose keys and values were in the cache before the first forward.
        not_finite: where logits were NaN or infinite, in words; None where all were finite.
    """

    prompt_tokens: int
    new_tokens: int
    requests: int
    prompt_lengths: list[int]
    forward_lengths: list[int]
    forward_rows: list[int]
    padded_left: bool
    cache: Any
    collectives: dict[str, int]
    communication_share: float
    trace: ContinuousBatchTrace | None = None
    not_finite: str | None = None
    cached_tokens: int = 0


@dataclass
class Generated:
    """The output of one batch.

    Attributes:
        moments: when each token was seen by the host, on ``time.perf_counter``'s clock.
        tokens: the token ids of each request, as many as there are moments, beyond its end too.
        own_moments: per-request moments under continuous batching; None if all requests advance together.
    """

    moments: list[float]
    tokens: list[list[int]]
    own_moments: list[list[float]] | None = None

    def rows(self) -> list[tuple[list[float], list[int]]]:
        """Moments and tokens of each request."""
        moments = [self.moments] * len(self.tokens) if self.own_moments is None else self.own_moments
        return list(zip(moments, self.tokens, strict=True))


class SampleRecorder:
    """Counts per-sample facts; cheap enough to run while samples are timed."""

    def start(self, prompt_tokens: int) -> None:
        """A sample with a prompt of that many tokens begins."""

    def generated(self, tokens: list[int]) -> None:
        """A step generated those tokens."""

    def fields(self) -> dict[str, int]:
        """The facts of the sample that just ended, added to its line in samples.jsonl."""
        return {}


class Generator:
    """A greedy decode loop used instead of ``model.generate``."""

    own_thread = False  # whether the model is run in another thread than the one that calls ``generate``

    def reserve(self, batches: list[list[list[int]]], new_tokens: int) -> None:
        """Compile and allocate whatever those batches of prompts (token ids) need, for up to so many new tokens."""

    def limit(
        self, new_tokens: int, stops: list[int], held: Held = NOTHING_HELD, texts: StopTexts | None = None
    ) -> None:
        """From now on generate so many tokens at most, or up to a stop token, to one held behind text, or to a text."""
        raise NotImplementedError

    def generate(self, prompts: list[list[int]]) -> Generated:
        """Generate one batch; returns when every request has stopped or is long enough."""
        raise NotImplementedError

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and return what was observed."""
        raise NotImplementedError

    def forward_times(self) -> dict[str, float | None]:
        """``target_forward_s`` and ``draft_forward_s``: a typical step of each model after the prompt, in seconds."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Facts for the evidence of the facet that made it."""
        return {}

    def recorder(self) -> SampleRecorder | None:
        """What counts per-sample facts, if the loop has any."""
        return None

    def close(self) -> None:
        """Stop its background threads."""
