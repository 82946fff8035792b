"""One instrumented batch after the timed ones: the evidence of the facets, and the times of forward calls."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from scripts.inference.batches import encode
from scripts.inference.drawing import drawing
from scripts.inference.stopping import ending
from scripts.inference.timed_loop import generate_inputs, token_lists
from scripts.models.libraries import without_compiler
from scripts.runtime.finite import LogitsCheck
from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded
from scripts.runtime.stops import Stops

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_DISTRIBUTED = "c10d::"


def observe(
    prompts: list[str], tokenizer: PreTrainedTokenizerBase, loaded: Loaded, options: dict[str, Any],
    prompt_tokens: int | None = None, stops: Stops | None = None,
) -> Observation:  # fmt: skip
    """Generate one batch with the model's calls and the collectives recorded."""
    if loaded.generator is not None:
        return loaded.generator.observe(token_lists(prompts, tokenizer, prompt_tokens))
    lengths: list[int] = []
    rows: list[int] = []

    def called(module: Any, args: Any, kwargs: Any) -> None:
        ids = kwargs.get("input_ids")
        shape = (ids if ids is not None else args[0]).shape
        rows.append(shape[0])
        lengths.append(shape[1])

    from transformers import LogitsProcessorList

    checked = LogitsCheck()
    input_ids, mask = encode(prompts, tokenizer, loaded.process.device, prompt_tokens)
    drawn = drawing(loaded, input_ids, mask)
    options = options | {"logits_processor": LogitsProcessorList([checked, *drawn])}
    options |= ending(stops or Stops.none(), input_ids.shape[1])
    inputs = generate_inputs(loaded, input_ids, mask)
    past = inputs.get("past_key_values")
    cached = 0 if past is None else past.get_seq_length()
    hook = loaded.model.register_forward_pre_hook(called, with_kwargs=True)
    try:
        began = time.perf_counter()
        if loaded.process.world_size > 1:
            from torch.profiler import ProfilerActivity, profile

            with without_compiler(), profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
                output = _generate(loaded, inputs, options)
            elapsed = time.perf_counter() - began
            events = [event for event in profiler.events() if event.name.startswith(_DISTRIBUTED)]
        else:
            output = _generate(loaded, inputs, options)
            elapsed, events = time.perf_counter() - began, []
    finally:
        hook.remove()
    width = input_ids.shape[1]
    return Observation(
        prompt_tokens=width,
        new_tokens=output.sequences.shape[1] - width,
        requests=len(prompts),
        prompt_lengths=mask.sum(dim=1).tolist(),
        forward_lengths=lengths,
        forward_rows=rows,
        padded_left=bool(mask[:, -1].all()),
        cache=output.past_key_values,
        collectives=dict(Counter(event.name.removeprefix(_DISTRIBUTED).rstrip("_") for event in events)),
        communication_share=min(1.0, sum(event.cpu_time_total for event in events) / 1e6 / elapsed),
        not_finite=checked.found(),
        cached_tokens=cached,
    )


def _generate(loaded: Loaded, inputs: dict[str, Any], options: dict[str, Any]) -> Any:
    return loaded.model.generate(return_dict_in_generate=True, **inputs, **options)
