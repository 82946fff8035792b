"""One sample watched from inside, after the timed ones: what the facets prove themselves with."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from scripts.techniques.facet import Loaded, Observation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_DISTRIBUTED = "c10d::"


def observe(prompt: str, tokenizer: PreTrainedTokenizerBase, loaded: Loaded, options: dict[str, Any]) -> Observation:
    """Generate one headline with the model's calls and the collectives recorded."""
    from torch.profiler import ProfilerActivity, profile

    lengths: list[int] = []

    def called(module: Any, args: Any, kwargs: Any) -> None:
        ids = kwargs.get("input_ids")
        lengths.append((ids if ids is not None else args[0]).shape[1])

    inputs = tokenizer(prompt, return_tensors="pt").to(loaded.process.device)
    hook = loaded.model.register_forward_pre_hook(called, with_kwargs=True)
    try:
        began = time.perf_counter()
        if loaded.process.world_size > 1:
            with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
                output = _generate(loaded, inputs, options)
            elapsed = time.perf_counter() - began
            events = [event for event in profiler.events() if event.name.startswith(_DISTRIBUTED)]
        else:
            output = _generate(loaded, inputs, options)
            elapsed, events = time.perf_counter() - began, []
    finally:
        hook.remove()
    prompt_tokens = inputs["input_ids"].shape[1]
    return Observation(
        prompt_tokens=prompt_tokens,
        new_tokens=output.sequences.shape[1] - prompt_tokens,
        forward_lengths=lengths,
        cache=output.past_key_values,
        collectives=dict(Counter(event.name.removeprefix(_DISTRIBUTED).rstrip("_") for event in events)),
        communication_share=min(1.0, sum(event.cpu_time_total for event in events) / 1e6 / elapsed),
    )


def _generate(loaded: Loaded, inputs: Any, options: dict[str, Any]) -> Any:
    return loaded.model.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], return_dict_in_generate=True, **options
    )
