"""The timed loop: one batch of requests at a time, from the text of the prompts to the last token.

The device is synchronised at both ends; tokens are the most likely ones unless the study draws them; warm-up and
evidence are outside the timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripts.inference.batches import encode, repeat_to_length
from scripts.inference.drawing import drawing
from scripts.inference.stopping import ending
from scripts.runtime.generation import SampleRecorder
from scripts.runtime.models import Loaded
from scripts.runtime.stops import Stops
from scripts.runtime.timing import synchronise

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedTokenizerBase

Clock = Callable[[], float]


@dataclass
class TokenClock:
    """A streamer for ``generate`` that records when each token arrived.

    ``generate`` passes tokens on once they are on the host, so times include the device's work.
    """

    clock: Clock = time.perf_counter
    steps: list[tuple[float, torch.Tensor]] = field(default_factory=list)

    def put(self, value: torch.Tensor) -> None:
        """The prompts first, [requests, prompt]; then each step's tokens, [requests] or, of one request, [1, n]."""
        self.steps.append((self.clock(), value))

    def end(self) -> None:
        """Required of a streamer; nothing to do."""

    def read(self) -> list[tuple[float, list[int]]]:
        """Time and tokens of each step after the prompts."""
        return [(moment, value.flatten().tolist()) for moment, value in self.steps[1:]]


def generation_config(max_new_tokens: int, stops: Stops, pad_token: int) -> GenerationConfig:
    """Greedy decoding, independent of the checkpoint's own settings; drawn tokens are all that is left to choose."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=max_new_tokens,
        eos_token_id=stops.at_once or None, pad_token_id=pad_token,
    )  # fmt: skip


def time_batch(
    prompts: list[str], tokenizer: PreTrainedTokenizerBase, loaded: Loaded, options: dict[str, Any], stops: Stops,
    recorder: SampleRecorder | None = None, prompt_tokens: int | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Generate and time the headlines of one batch.

    Returns:
        For each prompt a line of samples.jsonl without its id: times in seconds since the request began. Whatever
        generates, a request is done when its last kept token has reached the host, and the batch when the call has
        returned and the device is idle.
    """
    timed = _by_generator if loaded.generator is not None else _by_generate
    began, elapsed, lengths, each = timed(prompts, tokenizer, loaded, options, recorder, prompt_tokens, stops)
    lines = []
    for length, (stamps, tokens) in zip(lengths, each, strict=True):
        kept = stops.trim(tokens)
        moments = [stamp - began for stamp in stamps[: len(kept)]]
        text = stops.text_of(tokenizer.decode(kept, skip_special_tokens=True))
        lines.append(
            {
                "prompt_tokens": length,
                "new_tokens": len(kept),
                "token_ids": kept,
                "text": text,
                "latency_s": moments[-1],
                "ttft_s": moments[0],
                "token_times_s": moments,
                "stop_reason": stops.reason(kept),
                "batch_requests": len(prompts),
                "batch_time_s": elapsed,
            }
        )
    if recorder is not None:
        lines[0] |= recorder.fields()
    return lines


Rows = list[tuple[list[float], list[int]]]  # per request: time and id of each token


def _by_generate(
    prompts: list[str], tokenizer: PreTrainedTokenizerBase, loaded: Loaded, options: dict[str, Any],
    recorder: SampleRecorder | None, prompt_tokens: int | None, stops: Stops,
) -> tuple[float, float, list[int], Rows]:  # fmt: skip
    """Start time, seconds, prompt lengths, and rows of ``generate``."""
    from transformers import LogitsProcessorList

    device = loaded.process.device
    clock = TokenClock()
    synchronise(device)
    began = time.perf_counter()
    input_ids, attention_mask = encode(prompts, tokenizer, device, prompt_tokens)
    if recorder is not None:
        recorder.start(input_ids.shape[1])
    options = options | ending(stops, input_ids.shape[1])
    if drawn := drawing(loaded, input_ids, attention_mask):
        options |= {"logits_processor": LogitsProcessorList(drawn)}
    inputs = generate_inputs(loaded, input_ids, attention_mask)
    loaded.model.generate(streamer=clock, **inputs, **options)
    synchronise(device)
    elapsed = time.perf_counter() - began

    steps = clock.read()
    if recorder is not None:
        for _, new in steps:
            recorder.generated(new)
    if len(prompts) == 1:
        rows = [([moment for moment, new in steps for _ in new], [token for _, new in steps for token in new])]
    else:
        rows = [([moment for moment, _ in steps], [new[row] for _, new in steps]) for row in range(len(prompts))]
    return began, elapsed, attention_mask.sum(dim=1).tolist(), rows


def generate_inputs(loaded: Loaded, input_ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
    """The arguments of ``generate`` for one batch: tokens and mask, int64 [requests, tokens], and what a facet adds."""
    inputs = {"input_ids": input_ids, "attention_mask": mask}
    return inputs if loaded.batch_inputs is None else inputs | loaded.batch_inputs(input_ids, mask)


def _by_generator(
    prompts: list[str], tokenizer: PreTrainedTokenizerBase, loaded: Loaded, options: dict[str, Any],
    recorder: SampleRecorder | None, prompt_tokens: int | None, stops: Stops,
) -> tuple[float, float, list[int], Rows]:  # fmt: skip
    """The same for a :class:`Generator`."""
    device = loaded.process.device
    synchronise(device)
    began = time.perf_counter()
    ids = token_lists(prompts, tokenizer, prompt_tokens)
    if recorder is not None:
        recorder.start(max(map(len, ids)))
    out = loaded.generator.generate(ids)
    synchronise(device)
    elapsed = time.perf_counter() - began
    if recorder is not None:
        for tokens in out.tokens:
            recorder.generated(tokens)
    return began, elapsed, [len(each) for each in ids], out.rows()


def token_lists(prompts: list[str], tokenizer: PreTrainedTokenizerBase, prompt_tokens: int | None) -> list[list[int]]:
    """Token ids of each prompt, without padding; repeated and cut to ``prompt_tokens`` where that is given."""
    ids = tokenizer(prompts, return_attention_mask=False)["input_ids"]
    return ids if prompt_tokens is None else [repeat_to_length(row, prompt_tokens) for row in ids]
