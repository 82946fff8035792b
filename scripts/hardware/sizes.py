"""Bytes that a model's weights and its KV cache take, computed from the model's shape and the technique's settings.

A decoder layer of the Llama family (Touvron et al., 2023): projections to queries [heads x head_dim, hidden], keys and
values [kv_heads x head_dim, hidden] and back [hidden, heads x head_dim], a gated feed-forward of three [intermediate,
hidden] matrices, two norms [hidden]. Around the layers: an embedding and a head [vocabulary, hidden] (one matrix where
they are tied), a norm, and the rotary frequencies. Computed for the way in which the libraries in use store them.
"""

from __future__ import annotations

from scripts.hardware.cost import Architecture, Costs, Matrix

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def layer_matrices(architecture: Architecture) -> list[Matrix]:
    """The linear layers of one decoder layer."""
    hidden, width = architecture["hidden"], architecture["intermediate"]
    queries = architecture["heads"] * architecture["head_dim"]
    keys = architecture["kv_heads"] * architecture["head_dim"]
    bias = bool(architecture.get("attention_bias"))
    return [
        Matrix(queries, hidden, bias=bias),
        *[Matrix(keys, hidden, bias=bias)] * 2,
        Matrix(hidden, queries, row_wise=True, bias=bias),
        *[Matrix(width, hidden)] * 2,
        Matrix(hidden, width, row_wise=True),
    ]


def weight_bytes_per_device(
    architecture: Architecture, costs: Costs, dtype: str, draft: Architecture | None = None,
    repacked: bool = False,
) -> list[int]:  # fmt: skip
    """Stored bytes of the weights on each device, quantisation scales and rotary frequencies included.

    Tensor parallelism splits linear layers, embedding and head over the ranks and keeps norms on every one. A pipeline
    stage holds its layers, the last one those that don't divide evenly; the first holds the embedding, the last the
    final norm and the head, so that a tied matrix is held twice. A draft model is whole on each device.
    """
    architecture, layout = costs.architecture(architecture), costs.layout
    tensor, stages = layout.tensor, layout.stages
    size, hidden = BYTES[dtype], architecture["hidden"]
    matrices = [matrix.shard(tensor) for matrix in layer_matrices(architecture)]
    layer = sum(costs.matrix_bytes(matrix, size, repacked) for matrix in matrices) + 2 * hidden * size
    table = architecture["vocabulary"] // tensor * hidden * size
    rotary = 2 * (architecture["head_dim"] // 2) * 4  # the frequencies and a copy of the original ones, float32
    tied, layers = architecture["tied_embeddings"], architecture["layers"]
    if stages > 1:
        each = layers // stages
        held = [each] * (stages - 1) + [layers - each * (stages - 1)]
        totals = [count * layer + rotary for count in held]
        totals[0] += table
        totals[-1] += table + hidden * size
    else:
        totals = [layers * layer + rotary + hidden * size + table * (1 if tied else 2)] * tensor
    if draft is not None:
        extra = weight_bytes(draft, costs.draft or Costs(), dtype, repacked=repacked)
        totals = [total + extra for total in totals]
    return totals


def weight_bytes(
    architecture: Architecture, costs: Costs, dtype: str, draft: Architecture | None = None,
    repacked: bool = False,
) -> int:  # fmt: skip
    """Stored bytes of the weights, summed over devices."""
    return sum(weight_bytes_per_device(architecture, costs, dtype, draft, repacked))


def bytes_per_position(architecture: Architecture, dtype: str) -> int:
    """Bytes that one token's keys and values take, over all layers."""
    return 2 * architecture["layers"] * architecture["kv_heads"] * architecture["head_dim"] * BYTES[dtype]


def kv_cache_bytes(architecture: Architecture, costs: Costs, dtype: str, positions: int, plain: int = 0) -> int:
    """Bytes of the cache for so many token positions (times sequences), summed over devices; 0 without a cache.

    Of a quantised cache ``plain`` of them are in the model's dtype.

    Tensor parallelism splits heads and a pipeline splits layers, so that the sum is that of one device.
    """
    whole = bytes_per_position(architecture, dtype)
    stored = costs.position_bytes(architecture, BYTES[dtype])
    if not costs.keeps_cache:
        return 0
    return positions * whole if stored is None else round((positions - plain) * stored + plain * whole)


def activation_bytes(architecture: Architecture, dtype: str, positions: int) -> int:
    """Bytes of what one decoder layer computes for so many token positions, all at once: an estimate from above.

    The residual stream and its norm, which is made in float32; queries, keys and values, and what attention gives;
    gate, values and product of the feed-forward. A layer's are freed before the next one's are made.
    """
    hidden, width = architecture["hidden"], architecture["head_dim"]
    heads = 2 * architecture["heads"] + 2 * architecture["kv_heads"]
    numbers = 2 * hidden + heads * width + 3 * architecture["intermediate"]
    return positions * (numbers * BYTES[dtype] + hidden * BYTES["float32"])
