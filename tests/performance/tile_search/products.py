"""The matrix products of a model's layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Product(NamedTuple):
    """A matrix [N, K] of a model's layers, and what is fused with its product."""

    name: str
    N: int
    K: int
    gated: bool = False
    normed: bool = False
    added: bool = False


def products(shape: str) -> list[Product]:
    """The four matrices of a layer, as the decode loop stores them."""
    from tests.performance.random_models import config_of

    config = config_of(shape)
    hidden, inner, width = config.hidden_size, config.intermediate_size, config.head_dim
    heads = config.num_attention_heads
    return [
        Product("qkv", (heads + 2 * config.num_key_value_heads) * width, hidden, normed=True),
        Product("out", hidden, heads * width, added=True),
        Product("gate_up", 2 * inner, hidden, gated=True, normed=True),
        Product("down", hidden, inner, added=True),
    ]


def wanted(shapes: list[str], kinds: list[str], rows: list[int]) -> Iterator[tuple[Product, str, int]]:
    """What is measured, in order; a matrix that two shapes share once."""
    seen = set()
    for count in rows:
        for shape in shapes:
            for kind in kinds:
                for product in products(shape):
                    if (product, kind, count) not in seen:
                        seen.add((product, kind, count))
                        yield product, kind, count
