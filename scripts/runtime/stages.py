"""How layers are partitioned into pipeline stages of about the same time, and a batch into micro-batches."""

from __future__ import annotations

from typing import Any

from scripts.runtime.config_fields import number

# The head sees one token of each prompt, but its weights are read at every step: half of what its bytes would cost.
HEAD_SHARE_OF_ITS_BYTES = 0.5


def head_in_layers(config: Any) -> float:
    """The time of the output head, in units of a decoder layer's."""
    width = number(config, "head_dim") or config.hidden_size // config.num_attention_heads
    keys = number(config, "num_key_value_heads") or config.num_attention_heads
    heads = 2 * config.num_attention_heads + 2 * keys  # q and o, k and v
    inner = number(config, "intermediate_size") or 4 * config.hidden_size
    layer = config.hidden_size * (heads * width + 3 * inner)
    return HEAD_SHARE_OF_ITS_BYTES * config.vocab_size * config.hidden_size / layer


def split(layers: int, stages: int, head: float) -> list[range]:
    """The layers of each stage, each with one at least; the last stage also has the head.

    Minimises the slowest stage's time, then that of the others.

    Args:
        layers: how many there are.
        stages: how many stages, at most as many as layers.
        head: the time of the output head, in layers.
    """
    # The last stage's layers settle the rest: those before are shared out evenly over the others.
    others = stages - 1
    if not others:
        return [range(layers)]
    best = min(range(1, layers - others + 1), key=lambda last: (max(last + head, -(-(layers - last) // others)), -last))
    counts = [(layers - best) // others + (stage < (layers - best) % others) for stage in range(others)] + [best]
    ends = [sum(counts[: stage + 1]) for stage in range(stages)]
    return [range(end - count, end) for count, end in zip(counts, ends, strict=True)]


def micro_batches(rows: int, count: int) -> list[range]:
    """A batch's rows in up to so many micro-batches, whose sizes differ by one at most."""
    count = min(rows, count)
    sizes = [rows // count + (number < rows % count) for number in range(count)]
    ends = [sum(sizes[: number + 1]) for number in range(count)]
    return [range(end - size, end) for size, end in zip(sizes, ends, strict=True)]
