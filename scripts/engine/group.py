"""Which decode loop runs on the ranks of a process group."""

from __future__ import annotations

from typing import Any

from scripts.runtime.generation import Generator
from scripts.runtime.models import Loaded


def group_engine(loaded: Loaded, parallel: dict[str, Any], *, shared_prefix: bool, pad: int) -> Generator:
    """The decode loop of this rank: with a shard of every layer, or as a pipeline stage.

    Args:
        loaded: this rank's part of the model.
        parallel: ``tensor`` and ``pipeline``, one of them above 1, and perhaps ``micro_batches``.
        shared_prefix: prefill the tokens that all prompts begin with once, before the first request.
        pad: the padding token; nothing attends to it.
    """
    if parallel["tensor"] > 1:
        from scripts.engine.tensor import TensorEngine

        return TensorEngine(loaded, shared_prefix=shared_prefix, pad=pad)
    from scripts.engine.pipeline import PipelineEngine

    return PipelineEngine(loaded, shared_prefix=shared_prefix, pad=pad, micro_batches=parallel.get("micro_batches"))
