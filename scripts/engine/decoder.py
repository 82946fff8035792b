"""A Llama, Mistral or Qwen2 model as a short list of fused operations, over the weights of the transformers model.

The model stays whole: where weights are fused (query, key and value; gate and up), its own become views of the fused
ones, so that it still computes the same and no byte is stored twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from scripts.engine import family
from scripts.engine.cache import CachedLayer
from scripts.kernels import operations
from scripts.kernels.matrix import Matrix, concatenated
from scripts.kernels.reference import Heads, Norm, Rope
from scripts.runtime import finite
from scripts.runtime.errors import UnsupportedError

Attention = Callable[[torch.Tensor, CachedLayer], torch.Tensor]


@dataclass
class Layer:
    """One decoder layer: two norms and four matrices."""

    attention_norm: Norm
    qkv: Matrix  # [(H + 2 Hkv) D, hidden]
    out: Matrix  # [hidden, H D]
    feed_forward_norm: Norm
    gate_up: Matrix  # [2 I, hidden]
    down: Matrix  # [hidden, I]


class Decoder:
    """Runs tokens through a model's layers.

    Args:
        model: one of ``family.FAMILY``, on its device; its weights become views where they are fused.
        positions: how many positions the rotary tables cover.

    Raises:
        UnsupportedError: the model is of another architecture, it would not see all positions, or its rotary embedding
            changes with the length.
    """

    def __init__(self, model: Any, positions: int) -> None:
        check(model, positions)
        config = model.config
        self.device = next(model.parameters()).device
        self.ops = operations(self.device)
        self.heads = Heads(config.num_attention_heads, config.num_key_value_heads, head_width(config))
        self.layers = [layer_of(layer) for layer in model.model.layers if any(True for _ in layer.parameters())]
        self._take_ends(model)
        self.rope = rope_tables(model, positions)

    def _take_ends(self, model: Any) -> None:
        """Take the embedding, the last norm and the output head."""
        self.take_embedding(model)
        self.take_head(model)

    def take_embedding(self, model: Any) -> None:
        """Take the embedding."""
        self.embedding = model.model.embed_tokens.weight.detach()  # [vocabulary, hidden]

    def take_head(self, model: Any) -> None:
        """Take the last norm and the output head."""
        self.norm = norm_of(model.model.norm)
        self.head = matrix_of(model.lm_head)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of activations and cache."""
        return self.embedding.dtype

    @property
    def vocabulary(self) -> int:
        """Size of the vocabulary."""
        return self.embedding.shape[0]

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Token ids, any shape -> [T, hidden]."""
        return functional.embedding(tokens.reshape(-1), self.embedding)

    def decode(self, tokens: torch.Tensor, cache: list[CachedLayer], positions: torch.Tensor) -> torch.Tensor:
        """A few new tokens of each row, the first of them at ``positions``: int64 [B * S] -> [B * S, hidden]."""
        return self.decode_hidden(self.embed(tokens), cache, positions)

    def decode_hidden(self, x: torch.Tensor, cache: list[CachedLayer], positions: torch.Tensor) -> torch.Tensor:
        """The same from the first layer's input: [B * S, hidden] -> [B * S, hidden]."""
        options = {}
        if hasattr(self.ops, "position_info"):  # GPU kernels look the angles up themselves
            count = x.shape[0] // positions.shape[0]
            options["info"] = self.ops.position_info(positions, count, self.rope, self.dtype)

        def attention(qkv: torch.Tensor, layer: CachedLayer) -> torch.Tensor:
            return self.ops.decode_attention(qkv, layer.keys, layer.values, positions, self.heads, self.rope, **options)

        return self.run(x, cache, attention)

    def prefill(self, tokens: torch.Tensor, cache: list[CachedLayer], start: int = 0) -> torch.Tensor:
        """Prompt tokens that stand at ``start`` and after in every row: int64 [B, S] -> [B * S, hidden]."""
        return self.prefill_hidden(self.embed(tokens), cache, tokens.shape[0], start)

    def prefill_hidden(self, x: torch.Tensor, cache: list[CachedLayer], rows: int, start: int = 0) -> torch.Tensor:
        """The same from the first layer's input: [B * S, hidden] of B rows -> [B * S, hidden]."""

        def attention(qkv: torch.Tensor, layer: CachedLayer) -> torch.Tensor:
            return self.ops.prefill_attention(qkv, layer.keys, layer.values, start, self.heads, self.rope, rows)

        return self.run(x, cache, attention)

    def prefill_packed(
        self, tokens: torch.Tensor, cache: list[CachedLayer], positions: torch.Tensor, slots: torch.Tensor,
        ends: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Prompts one behind the other, each from its first token; after the last layer of each the last token alone.

        Args:
            tokens: int64 [T].
            cache: every row.
            positions: int64 [T]; each prompt begins with 0.
            slots: int64 [T]: the cache's row of each token.
            ends: int64 [N]: where the prompts end.

        Returns:
            [N, hidden].
        """

        def attention(qkv: torch.Tensor, layer: CachedLayer) -> torch.Tensor:
            return self.ops.packed_attention(qkv, layer.keys, layer.values, positions, slots, self.heads, self.rope)

        return self.run(self.embed(tokens), cache, attention, ends)

    def run(
        self, x: torch.Tensor, cache: list[CachedLayer], attention: Attention, ends: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The layers that this process holds: [T, hidden] -> [T, hidden]; with ``ends``, int64 [N], of those alone."""
        for number, (layer, cached) in enumerate(zip(self.layers, cache, strict=True), start=1):
            qkv = self.ops.linear(x, layer.qkv, norm=layer.attention_norm)
            attended = attention(qkv, cached)
            if ends is not None and number == len(self.layers):
                # No later layer reads the other tokens.
                attended, x = attended.index_select(0, ends), x.index_select(0, ends)
            x = self.project(attended, layer.out, x)
            inner = self.ops.gated_linear(x, layer.gate_up, norm=layer.feed_forward_norm)
            x = self.project(inner, layer.down, x)
        return x

    def project(self, x: torch.Tensor, matrix: Matrix, residual: torch.Tensor) -> torch.Tensor:
        """Project back to the model's width and add the residual."""
        return self.ops.linear(x, matrix, residual=residual)

    def greedy(self, x: torch.Tensor) -> torch.Tensor:
        """Greedy decoding of each position: [T, hidden] -> int64 [T]."""
        return self.ops.argmax(x, self.head, self.norm)

    @torch.inference_mode()
    def not_finite(self, prompts: list[list[int]], tokens: list[list[int]], cache: list[CachedLayer]) -> str | None:
        """Where these operations give logits that are not finite, in words, by one prefill of each whole request.

        Args:
            prompts, tokens: token ids of each request and of its answer.
            cache: one row, which is written over.
        """
        for prompt, new in zip(prompts, tokens, strict=True):
            x = self.prefill(torch.tensor([prompt + new[:-1]], device=self.device), cache)
            try:
                finite.check(self.ops.linear(x[len(prompt) - 1 :], self.head, norm=self.norm))
            except finite.NotFiniteError as error:
                return str(error)
        return None


def head_width(config: Any) -> int:
    """Elements of a head: as the configuration says, or else an equal share of the model's width."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def check(model: Any, positions: int) -> None:
    """Refuse models that are built differently, in a sentence for the report."""
    config = model.config
    family.check(config)
    # Qwen2's configuration has a window that only some layers use, if any.
    window = getattr(config, "sliding_window", None)
    if window is not None and window < positions:
        raise UnsupportedError(
            f"The graph engine attends to all {positions} positions of its cache; this model sees {window} at a time."
        )
    width, rotated = head_width(config), 2 * len(model.model.rotary_emb.inv_freq)
    if rotated != width:
        raise UnsupportedError(
            f"The graph engine rotates whole heads; this model rotates {rotated} of {width} elements."
        )
    kind = model.model.rotary_emb.rope_type
    if kind in ("dynamic", "longrope"):
        raise UnsupportedError(f"The graph engine's angles are fixed, but the model's rotary type is '{kind}'.")


def rope_tables(model: Any, positions: int) -> Rope:
    """The model's own angles for every position, float32 [positions, D]."""
    rotary = model.model.rotary_emb
    position_ids = torch.arange(positions, device=rotary.inv_freq.device)[None]
    cos, sin = rotary(torch.zeros(1, device=position_ids.device), position_ids)
    return Rope(cos[0].contiguous(), sin[0].contiguous())


def layer_of(layer: nn.Module) -> Layer:
    """A decoder layer's norms and matrices, of a sharded one this process's part."""
    attention, feed_forward = layer.self_attn, layer.mlp
    return Layer(
        attention_norm=norm_of(layer.input_layernorm),
        qkv=_fused([attention.q_proj, attention.k_proj, attention.v_proj]),
        out=matrix_of(attention.o_proj),
        feed_forward_norm=norm_of(layer.post_attention_layernorm),
        gate_up=_fused([feed_forward.gate_proj, feed_forward.up_proj]),
        down=matrix_of(feed_forward.down_proj),
    )


def norm_of(norm: nn.Module) -> Norm:
    """A norm's weight and epsilon."""
    return Norm(norm.weight.detach(), norm.variance_epsilon)


def matrix_of(layer: nn.Module) -> Matrix:
    """The weight of a linear layer as it is stored; a layer of another library is called as a module."""
    if hasattr(layer, "matrix"):
        return layer.matrix
    if type(layer) is nn.Linear:
        bias = None if layer.bias is None else local_shard(layer.bias)
        return Matrix("dense", local_shard(layer.weight), bias=bias)
    return Matrix("modules", modules=[layer])


def _fused(layers: list[nn.Module]) -> Matrix:
    """The layers' weights concatenated along their rows; the layers' own become views of them."""
    matrices = [matrix_of(layer) for layer in layers]
    fused = concatenated(matrices)
    if fused.kind == "modules":
        return fused
    first = 0
    for layer, matrix in zip(layers, matrices, strict=True):
        rows = slice(first, first + matrix.shape[0])
        first = rows.stop
        for name in ("data", "scales", "minima", "bias"):
            if getattr(fused, name) is not None:
                setattr(matrix, name, getattr(fused, name)[rows])
        if hasattr(layer, "matrix"):
            layer.matrix = matrix
            continue
        _set_data(layer.weight, matrix.data)
        if layer.bias is not None:
            _set_data(layer.bias, matrix.bias)
    return fused


def local_shard(parameter: torch.Tensor) -> torch.Tensor:
    """What this process holds of a weight that may be sharded (a DTensor)."""
    return getattr(parameter, "_local_tensor", parameter).detach()


def _set_data(parameter: torch.Tensor, data: torch.Tensor) -> None:
    """Replace a parameter's storage."""
    if hasattr(parameter, "_local_tensor"):
        parameter._local_tensor = data
    else:
        parameter.data = data
