"""Sabotages of how headlines are generated: cache, speculation, processes."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from scripts.inference import batches
from scripts.techniques.registry import load_facet
from tests.support.sabotage.registry import method, sabotage


@contextlib.contextmanager
def _generate_with(change: Callable[[dict[str, Any]], Any]) -> Iterator[None]:
    """Every call of ``generate`` has its options changed on the way."""
    from transformers import GenerationMixin

    generate = GenerationMixin.generate

    def changed(self: Any, *arguments: Any, **options: Any) -> Any:
        change(options)
        return generate(self, *arguments, **options)

    with patch.object(GenerationMixin, "generate", changed):
        yield


@sabotage
def cache_is_off() -> Iterator[None]:
    with _generate_with(lambda options: options.update(use_cache=False)):
        yield


@sabotage
def cache_is_on() -> Iterator[None]:
    with _generate_with(lambda options: options.update(use_cache=True)):
        yield


@sabotage
def cache_is_static() -> Iterator[None]:
    with _generate_with(lambda options: options.update(cache_implementation="static", disable_compile=True)):
        yield


@sabotage
def no_assistant() -> Iterator[None]:
    with _generate_with(lambda options: options.pop("assistant_model", None)):
        yield


@sabotage
def no_lookup() -> Iterator[None]:
    with _generate_with(lambda options: options.pop("prompt_lookup_num_tokens", None)):
        yield


@sabotage
def longer_drafts() -> Iterator[None]:
    def longer(options: dict[str, Any]) -> None:
        if "assistant_model" in options:
            options["assistant_model"].generation_config.num_assistant_tokens = 9

    with _generate_with(longer):
        yield


@sabotage
def another_draft_is_used() -> Iterator[None]:
    """A draft is prepared as was asked for, but its checkpoint as it is takes its place."""
    from scripts.inference import preparation

    load = preparation.load

    def swapped(directory: Any, settings: Any, process: Any, draft: Any, calibration: Any = None) -> Any:
        loaded = load(directory, settings, process, draft, calibration)
        loaded.draft = load(draft, {}, process, None).model
        return loaded

    with patch.object(preparation, "load", swapped):
        yield


@sabotage
def longer_lookups() -> Iterator[None]:
    with _generate_with(lambda options: options.update(prompt_lookup_num_tokens=9)):
        yield


@sabotage
def whole_model_on_each_rank() -> Iterator[None]:
    """No shard, no stage, but collectives do run."""
    import torch

    facet = type(load_facet("parallel"))

    def busy(self: Any, value: Any, loaded: Any) -> None:
        def reduce(*arguments: Any) -> None:
            torch.distributed.all_reduce(torch.ones(1))

        loaded.model.register_forward_pre_hook(reduce)

    with patch.object(facet, "load_options", lambda *arguments: {}), patch.object(facet, "after_load", busy):
        yield


@sabotage
def each_rank_alone() -> Iterator[None]:
    with method("parallel", "load_options", {}), method("parallel", "after_load", None):
        yield


@sabotage
def static_cache_grows() -> Iterator[None]:
    """The cache is as long as each request asks for, and no shape is gone through before the timing."""
    engine = type(load_facet("engine"))
    reserved = engine.reserved_options

    def forgotten(self: Any, *arguments: Any) -> dict[str, Any]:
        reserved(self, *arguments)
        return {}

    with (
        patch.object(engine, "reserved_options", forgotten),
        patch.object(batches, "first_of_each_shape", lambda _: []),
    ):
        yield


@sabotage
def compiled_while_timed() -> Iterator[None]:
    """Every timed batch has something compiled, whatever generates it."""
    import torch

    from scripts.inference import preparation

    torch._dynamo.reset()  # what was compiled for the same lengths before is kept by code, not by function
    add = torch.compile(lambda x: x + 1, backend="eager", dynamic=False)
    generate = preparation.Prepared.generate
    lengths = itertools.count(2)

    def compiling(self: Any, prompts: list[str], *, counted: bool) -> Any:
        if counted:
            add(torch.ones(next(lengths)))
        return generate(self, prompts, counted=counted)

    with patch.object(preparation.Prepared, "generate", compiling):
        yield


@sabotage
def attention_is_left_to_transformers() -> Iterator[None]:
    with patch.object(type(load_facet("attention")), "load_options", lambda *arguments: {}):
        yield


@sabotage
def attention_is_only_said_to_be_eager() -> Iterator[None]:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    fused = ALL_ATTENTION_FUNCTIONS["sdpa"]
    with patch.dict(ALL_ATTENTION_FUNCTIONS._global_mapping, {"eager": fused}):
        yield
