"""What a KV cache holds, of transformers' or of the graph engine's, read from its tensors, quantised or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Held:
    """What a cache holds on this process.

    Attributes:
        bytes: of all its tensors, scales and zero points included.
        positions: tokens times sequences of one layer.
        plain_positions: those of them that a quantised cache holds in the model's dtype; 0 of any other cache.
    """

    bytes: int = 0
    positions: int = 0
    plain_positions: int = 0


def held(cache: Any) -> Held:
    """Bytes and positions of a cache; all 0 where there is none."""
    pages = getattr(cache, "cache_tensor", None)
    if pages is not None:  # one tensor for all layers, fully allocated
        return Held(pages.nbytes, pages.nbytes // cache.bytes_per_sector * cache.tokens_per_sector)
    found = Held()
    for layer in getattr(cache, "layers", []):
        stored = [quantised(layer, name) for name in ("keys", "values")]
        own = getattr(layer, "scales", None) is not None  # the numbers are its keys and values
        plain = [layer.keys, layer.values] if filled(getattr(layer, "keys", None)) and not own else []
        tensors = [tensor for parts in stored if parts for tensor in (parts.numbers, *parts.beside)] + plain
        found.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        in_plain = plain[0].shape[0] * plain[0].shape[-2] if plain else 0
        packed = stored[0].shape[0] * stored[0].shape[-2] if stored[0] else 0
        found.positions = max(found.positions, in_plain + packed)
        found.plain_positions = max(found.plain_positions, in_plain if packed else 0)
    return found


@dataclass
class Quantised:
    """Keys or values of a layer in few bits.

    Attributes:
        numbers: packed.
        shape: [sequences, heads, tokens, width] of what they stand for.
        scales: how many there are.
        beside: scales, and zero points where there are any.
    """

    numbers: Any
    shape: tuple[int, ...]
    scales: int
    beside: list[Any]


def quantised(layer: Any, name: str) -> Quantised | None:
    """The quantised ``keys`` or ``values`` of a layer of a quantised cache; None where there are none."""
    scales = getattr(layer, "scales", None)
    if scales is not None:  # of the graph engine's
        numbers, own = getattr(layer, name), scales[name == "values"]
        return Quantised(numbers, tuple(numbers.shape), own.numel(), [own])
    stored = getattr(layer, f"_quantized_{name}", None)
    if stored is None:
        return None
    numbers, about = stored
    if not isinstance(about, dict):  # fp8: one scale
        return Quantised(numbers, tuple(numbers.shape), about.numel(), [about])
    return Quantised(numbers, tuple(about["shape"]), about["scale"].numel(), list(_tensors(about)))


def _tensors(about: dict[str, Any]) -> Iterator[Any]:
    yield from (about[name] for name in ("scale", "zero") if about.get(name) is not None)


def filled(tensor: Any) -> bool:
    """Whether there is a tensor with anything in it."""
    return tensor is not None and tensor.numel() > 0
