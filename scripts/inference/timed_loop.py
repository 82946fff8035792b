"""The timed loop: one request at a time, from the text of the prompt to the last token.

The device is synchronised at both ends; greedy decoding is written out; warm-up and evidence are outside the timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripts.inference.prompts import clean_headline, trim
from scripts.techniques.facet import Loaded, SampleRecorder

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedTokenizerBase

Clock = Callable[[], float]


@dataclass
class TokenClock:
    """A streamer for ``generate`` that notes when each token came out.

    ``generate`` hands tokens over after they reached the host, so a time here includes the device's work.
    """

    clock: Clock = time.perf_counter
    steps: list[tuple[float, torch.Tensor]] = field(default_factory=list)

    def put(self, value: torch.Tensor) -> None:
        """The prompt first, [1, prompt]; then the tokens of each step, [1] or [1, n]. Reading them can wait."""
        self.steps.append((self.clock(), value))

    def end(self) -> None:
        """Nothing is kept back until the end."""

    def read(self) -> list[tuple[float, list[int]]]:
        """Time and tokens of each step after the prompt."""
        return [(moment, value.flatten().tolist()) for moment, value in self.steps[1:]]


@dataclass
class Stops:
    """The tokens that end a headline, and which of them are end tokens."""

    all_tokens: list[int]
    end_tokens: set[int]

    def reason(self, tokens: list[int]) -> str:
        """Why generation stopped: ``end``, ``line_break`` or ``length``."""
        if tokens and tokens[-1] in self.end_tokens:
            return "end"
        return "line_break" if tokens and tokens[-1] in set(self.all_tokens) else "length"


def generation_config(max_new_tokens: int, stops: Stops, pad_token: int) -> GenerationConfig:
    """Greedy decoding with nothing left to a checkpoint's own settings."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=max_new_tokens,
        eos_token_id=stops.all_tokens, pad_token_id=pad_token,
    )  # fmt: skip


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def time_sample(
    prompt: str, tokenizer: PreTrainedTokenizerBase, loaded: Loaded, options: dict[str, Any], stops: Stops,
    recorder: SampleRecorder | None,
) -> dict[str, Any]:  # fmt: skip
    """Generate one headline and time it.

    Returns:
        A line of samples.jsonl without its id: times in seconds since the request began.
    """
    device = loaded.process.device
    clock = TokenClock()
    synchronise(device)
    began = time.perf_counter()
    inputs = tokenizer(prompt, return_tensors="pt").to(device)  # input_ids [1, prompt]
    if recorder is not None:
        recorder.start(inputs["input_ids"].shape[1])
    loaded.model.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], streamer=clock, **options
    )
    synchronise(device)
    latency = time.perf_counter() - began

    steps = clock.read()
    if recorder is not None:
        for _, new in steps:
            recorder.put_out(new)
    times = [moment - began for moment, new in steps for _ in new]
    kept = trim([token for _, new in steps for token in new], set(stops.all_tokens))
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return {
        "prompt_tokens": int(inputs["input_ids"].shape[1]),
        "new_tokens": len(kept),
        "token_ids": kept,
        "text": text,
        "headline": clean_headline(text),
        "latency_s": latency,
        "ttft_s": times[0],
        "token_times_s": times[: len(kept)],
        "stop_reason": stops.reason(kept),
    } | (recorder.fields() if recorder is not None else {})
