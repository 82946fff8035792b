"""The kept prefix: its cache, and what each batch is given in its place."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch

from scripts.runtime.errors import UnsupportedError
from scripts.runtime.generation import SampleRecorder
from scripts.runtime.models import Loaded


class Prefix:
    """Keys and values of a prefix, computed once.

    Args:
        loaded: the model, on its device.
        prefix: the tokens.
        batched: whether there are batches, whose prompts may differ in length.

    Raises:
        UnsupportedError: the model's cache or its positions can't be continued so.
    """

    def __init__(self, loaded: Loaded, prefix: list[int], *, batched: bool) -> None:
        from transformers import DynamicCache

        model, device = loaded.model, loaded.process.device
        self.cache = DynamicCache(config=model.config.get_text_config(decoder=True))
        self.prefix = torch.tensor([prefix], device=device)  # [1, prefix]
        with torch.no_grad():
            model(self.prefix, past_key_values=self.cache, use_cache=True)
        self._check(model, batched)
        self.tokens = len(prefix)
        self.bytes = sum(
            tensor.numel() * tensor.element_size()
            for layer in self.cache.layers for tensor in (layer.keys, layer.values)
        )  # fmt: skip

    def _check(self, model: Any, batched: bool) -> None:
        from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

        kinds, named = {type(layer) for layer in self.cache.layers}, model.config.model_type
        filled = all(getattr(layer, "is_initialized", False) for layer in self.cache.layers)
        if not kinds or not kinds <= {DynamicLayer, DynamicSlidingWindowLayer} or not filled:
            raise UnsupportedError(f"prefix_cache copies keys and values, and a '{named}' model keeps another state.")
        if not batched:
            return
        # Padding stands between the prefix and the rest of a shorter prompt, which a window would count.
        if kinds != {DynamicLayer}:
            raise UnsupportedError(
                f"prefix_cache pads a batch behind the prefix, where the windows of a '{named}' model would count the "
                "padding; use batch_size: 1."
            )
        if "position_ids" not in inspect.signature(model.forward).parameters:
            raise UnsupportedError(
                f"prefix_cache pads a batch behind the prefix, and a '{named}' model can't be told the positions of "
                "what follows; use batch_size: 1."
            )

    def inputs(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
        """What ``generate`` is given in place of a batch's tokens and mask, both int64 [requests, tokens].

        The padding on the left is moved behind the prefix, so that this stands at the same place in every row;
        positions are counted by the mask, and don't change. Prompts that begin otherwise are read whole.
        """
        requests, width = ids.shape
        if width <= self.tokens:
            return {}
        padding = (mask == 0).sum(dim=1, keepdim=True)  # [requests, 1]
        columns = torch.arange(width, device=ids.device)
        begins = ids.gather(1, (columns[: self.tokens] + padding).clamp(max=width - 1))
        # A host must compare prompts with what it keeps, so this waits for the device.
        if not bool((begins == self.prefix).all()):
            return {}
        gap = (columns >= self.tokens) & (columns < self.tokens + padding)
        moved = ids.clone()
        moved[:, : self.tokens] = self.prefix
        return {
            "input_ids": moved.masked_fill(gap, int(self.prefix[0, 0])) if requests > 1 else moved,
            "attention_mask": (~gap).to(mask.dtype),
            "past_key_values": self.copy(requests),
        }

    def copy(self, requests: int) -> Any:
        """A cache of its own for so many requests."""
        cache = copy.deepcopy(self.cache)
        if requests > 1:
            cache.batch_repeat_interleave(requests)
        return cache


class FirstForward(SampleRecorder):
    """Counts the tokens that the first forward of each request is given.

    Attributes:
        skipped: how many of a prompt's tokens they were not given; one number if all is well.
        count: first forwards that were counted.
        least: the fewest tokens that one was given.
        most: the most.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.skipped: set[int] = set()
        self.count = self.least = self.most = 0
        self._prompt = self._given = 0

    def start(self, prompt_tokens: int) -> None:
        """Watch the next forward alone."""
        self._prompt, self._given = prompt_tokens, 0
        self._hook = self.model.register_forward_pre_hook(self._called, with_kwargs=True)

    def _called(self, module: Any, args: Any, kwargs: Any) -> None:
        ids = kwargs.get("input_ids")
        self._given = (ids if ids is not None else args[0]).shape[1]
        self._hook.remove()

    def fields(self) -> dict[str, int]:
        """How many tokens of the batch's prompts came from the prefix's cache."""
        skipped = self._prompt - self._given
        self.skipped.add(skipped)
        self.count += 1
        self.least = min(self.least or self._given, self._given)
        self.most = max(self.most, self._given)
        return {"prefix_tokens": skipped}
