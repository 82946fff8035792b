"""Bytes that a model's weights and its KV cache take, computed from the model's shape and the technique's settings.

A decoder layer of the Llama family (Touvron et al., 2023): projections to queries [heads x head_dim, hidden], keys and
values [kv_heads x head_dim, hidden] and back [hidden, heads x head_dim], a gated feed-forward of three [intermediate,
hidden] matrices, two norms [hidden]. Around the layers: an embedding and a head [vocabulary, hidden] (one matrix where
they are tied), a norm, and the rotary frequencies. Computed for the way in which the libraries in use store them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.hardware.widths import kept_channels

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
INT4_GROUP = 64  # columns that share a scale and a minimum of the model's dtype in int4_weight_only
NF4_BLOCK = 64
NF4_CODE_BYTES = 16 * 4  # the 16 values that 4 bits stand for
SCALE_BLOCK = 256  # scales that share a scale of their own under double quantisation
SCALE_CODE_BYTES = 256 * 4 + 4  # the values that 8 bits stand for, and the scales' mean

Architecture = dict[str, Any]
Settings = dict[str, Any]


@dataclass(frozen=True)
class Matrix:
    """A linear layer's weight [rows, columns]; ``row_wise`` is split over its columns by tensor parallelism."""

    rows: int
    columns: int
    row_wise: bool = False
    bias: bool = False

    @property
    def weights(self) -> int:
        """How many numbers it has."""
        return self.rows * self.columns

    def shard(self, ranks: int) -> Matrix:
        """The part of one rank."""
        if self.row_wise:
            return Matrix(self.rows, self.columns // ranks, True, self.bias)
        return Matrix(self.rows // ranks, self.columns, False, self.bias)


def intermediate_size(architecture: Architecture, settings: Settings) -> int:
    """Feed-forward width, after structured pruning where the settings ask for it."""
    pruning = settings.get("pruning") or {}
    if pruning.get("method") != "structured":
        return architecture["intermediate"]
    return kept_channels(architecture["intermediate"], pruning["amount"])


def draft_settings(settings: Settings) -> Settings:
    """The facets of the draft model: how its linear layers are stored, and none of the target's."""
    stored = (settings.get("speculation") or {}).get("draft_quantization")
    return {"quantization": stored} if stored else {}


def layer_matrices(architecture: Architecture, settings: Settings) -> list[Matrix]:
    """The linear layers of one decoder layer."""
    hidden, width = architecture["hidden"], intermediate_size(architecture, settings)
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


def matrix_bytes(matrix: Matrix, quantization: dict[str, Any] | None, size: int, repacked: bool = False) -> int:
    """Bytes of one linear layer as it is stored.

    Args:
        matrix: its shape.
        quantization: the facet's settings; None for plain numbers of ``size`` bytes.
        size: bytes of the model's dtype.
        repacked: whether nf4 weights were laid out anew for AVX512-BF16 at their first use, as bitsandbytes does on
            such processors: scales become 2 bytes wide, and double quantisation of them ends.
    """
    bias = matrix.rows * size if matrix.bias else 0
    if not quantization:
        return matrix.weights * size + bias
    if quantization["method"] in ("int8", "int8_weight_only", "fp8"):
        # A byte per weight, and a float32 scale per output row (LLM.int8(); Dettmers et al., 2022).
        return matrix.weights + matrix.rows * 4 + bias
    if quantization["method"] == "int4_weight_only":
        return matrix.weights // 2 + matrix.rows * (matrix.columns // INT4_GROUP) * 2 * size + bias
    blocks = -(-matrix.weights // NF4_BLOCK)
    packed = -(-matrix.weights // 2) + NF4_CODE_BYTES + bias
    double = bool(quantization.get("double_quantization"))
    if repacked:
        return packed + blocks * 2 + (4 if double else 0)  # the scales' mean is left behind
    if not double:
        return packed + blocks * 4
    # QLoRA (Dettmers et al., 2023): a byte per scale, and a float32 scale for 256 of them.
    return packed + blocks + -(-blocks // SCALE_BLOCK) * 4 + SCALE_CODE_BYTES


def weight_bytes_per_device(
    architecture: Architecture, settings: Settings, dtype: str, draft: Architecture | None = None,
    repacked: bool = False,
) -> list[int]:  # fmt: skip
    """Stored bytes of the weights on each device, quantisation scales and rotary frequencies included.

    Tensor parallelism splits linear layers, embedding and head over the ranks and keeps norms on every one. A pipeline
    stage holds its layers, the last one those that don't divide evenly; the first holds the embedding, the last the
    final norm and the head, so that a tied matrix is held twice. A draft model is whole on each device.
    """
    parallel = settings.get("parallel") or {}
    tensor, stages = parallel.get("tensor", 1), parallel.get("pipeline", 1)
    size, hidden = BYTES[dtype], architecture["hidden"]
    matrices = [matrix.shard(tensor) for matrix in layer_matrices(architecture, settings)]
    quantization = settings.get("quantization")
    layer = sum(matrix_bytes(matrix, quantization, size, repacked) for matrix in matrices) + 2 * hidden * size
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
        extra = weight_bytes(draft, draft_settings(settings), dtype, repacked=repacked)
        totals = [total + extra for total in totals]
    return totals


def weight_bytes(
    architecture: Architecture, settings: Settings, dtype: str, draft: Architecture | None = None,
    repacked: bool = False,
) -> int:  # fmt: skip
    """Stored bytes of the weights, summed over devices."""
    return sum(weight_bytes_per_device(architecture, settings, dtype, draft, repacked))


def bytes_per_position(architecture: Architecture, dtype: str) -> int:
    """Bytes that one token's keys and values take, over all layers."""
    return 2 * architecture["layers"] * architecture["kv_heads"] * architecture["head_dim"] * BYTES[dtype]


def kv_cache_bytes(architecture: Architecture, settings: Settings, dtype: str, positions: int) -> int:
    """Bytes of the cache for so many token positions (times sequences), summed over devices; 0 without a cache.

    Tensor parallelism splits heads and a pipeline splits layers, so that the sum is that of one device.
    """
    if settings.get("kv_cache") in (None, "none"):
        return 0
    return positions * bytes_per_position(architecture, dtype)
