"""A decoder-only model as a short list of fused operations, over the weights of the transformers model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from scripts.engine import family
from scripts.engine.angles import rope_tables
from scripts.engine.cache import CachedLayer
from scripts.engine.modules import Layer, embedding_of, heads_of, layer_of, matrix_of, norm_of
from scripts.kernels import operations
from scripts.kernels.matrix import Matrix
from scripts.kernels.parts import Norm
from scripts.runtime import finite
from scripts.runtime.gumbel import RowDraws, perturbed

Attention = Callable[[torch.Tensor, Layer, CachedLayer], torch.Tensor]


class Decoder:
    """Runs tokens through a model's layers.

    Args:
        model: one of ``family.FAMILIES``, on its device; its weights become views where they are fused.
        positions: how many positions the rotary tables cover.

    Raises:
        UnsupportedError: the model is of another architecture, or its modules compute something else than its
            configuration says.
    """

    def __init__(self, model: Any, positions: int) -> None:
        config = model.config
        family.check(config)
        self.device = next(model.parameters()).device
        self.ops = operations(self.device)
        self.ropes = rope_tables(model, positions)
        activation = family.activation_of(config)
        self.layers = []
        for layer, plan in zip(model.model.layers, family.plans(config), strict=True):
            if any(True for _ in layer.parameters()):  # of a pipeline, this process has some of them
                rope = self.ropes[plan.kind if plan.kind in self.ropes else None]
                heads = heads_of(config, layer.self_attn, plan)
                self.layers.append(layer_of(layer, heads, rope, activation, self.stored_fused))
        self.heads = self.layers[0].heads  # as many and as wide in every layer
        self.logit_cap: float | None = getattr(config, "final_logit_softcapping", None)
        self.embedding_scale: torch.Tensor | None = None
        self._take_ends(model)

    def stored_fused(self, layer: nn.Module, parts: list[int]) -> Matrix:
        """This process's part of a projection stored in one piece, of so many rows each: all of it."""
        return matrix_of(layer)

    def _take_ends(self, model: Any) -> None:
        """Take the embedding, the last norm and the output head."""
        self.take_embedding(model)
        self.take_head(model)

    def take_embedding(self, model: Any) -> None:
        """Take the embedding."""
        weight, self.embedding_scale = embedding_of(model.model.embed_tokens)
        self.embedding = weight.detach()  # [vocabulary, hidden]

    def take_head(self, model: Any) -> None:
        """Take the last norm and the output head."""
        self.norm = norm_of(model.model.norm)
        self.head = matrix_of(model.lm_head)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of activations, and of a cache that is not quantised."""
        return self.embedding.dtype

    @property
    def vocabulary(self) -> int:
        """Size of the vocabulary."""
        return self.embedding.shape[0]

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Token ids, any shape -> [T, hidden]."""
        x = functional.embedding(tokens.reshape(-1), self.embedding)
        return x if self.embedding_scale is None else x * self.embedding_scale.to(x.dtype)

    def decode(self, tokens: torch.Tensor, cache: list[CachedLayer], positions: torch.Tensor) -> torch.Tensor:
        """A few new tokens of each row, the first of them at ``positions``: int64 [B * S] -> [B * S, hidden]."""
        return self.decode_hidden(self.embed(tokens), cache, positions)

    def decode_hidden(self, x: torch.Tensor, cache: list[CachedLayer], positions: torch.Tensor) -> torch.Tensor:
        """The same from the first layer's input: [B * S, hidden] -> [B * S, hidden]."""
        return self.run(x, cache, self._decoding(positions, x.shape[0] // positions.shape[0]))

    def _decoding(self, positions: torch.Tensor, count: int) -> Attention:
        """Attention of so many new tokens of each row."""
        infos = {}

        def attention(qkv: torch.Tensor, layer: Layer, cached: CachedLayer) -> torch.Tensor:
            options: dict[str, Any] = {"scales": cached.scales}
            if hasattr(self.ops, "position_info"):  # GPU kernels look the angles up themselves
                alike = id(layer.rope), layer.heads.window
                if alike not in infos:
                    infos[alike] = self.ops.position_info(positions, count, layer.rope, self.dtype, layer.heads.window)
                options["info"] = infos[alike]
            return self.ops.decode_attention(
                qkv, cached.keys, cached.values, positions, layer.heads, layer.rope, **options
            )

        return attention

    def prefill(self, tokens: torch.Tensor, cache: list[CachedLayer], start: int = 0) -> torch.Tensor:
        """Prompt tokens that stand at ``start`` and after in every row: int64 [B, S] -> [B * S, hidden]."""
        return self.prefill_hidden(self.embed(tokens), cache, tokens.shape[0], start)

    def prefill_hidden(self, x: torch.Tensor, cache: list[CachedLayer], rows: int, start: int = 0) -> torch.Tensor:
        """The same from the first layer's input: [B * S, hidden] of B rows -> [B * S, hidden]."""

        def attention(qkv: torch.Tensor, layer: Layer, cached: CachedLayer) -> torch.Tensor:
            return self.ops.prefill_attention(
                qkv, cached.keys, cached.values, start, layer.heads, layer.rope, rows, scales=cached.scales
            )

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
        return self.run(self.embed(tokens), cache, self._reading(positions, slots), ends)

    def _reading(self, positions: torch.Tensor, slots: torch.Tensor) -> Attention:
        """Attention of prompts one behind the other."""

        def attention(qkv: torch.Tensor, layer: Layer, cached: CachedLayer) -> torch.Tensor:
            return self.ops.packed_attention(
                qkv, cached.keys, cached.values, positions, slots, layer.heads, layer.rope, scales=cached.scales
            )

        return attention

    def mixed(
        self, newest: torch.Tensor, at: torch.Tensor, tokens: torch.Tensor, cache: list[CachedLayer],
        positions: torch.Tensor, slots: torch.Tensor, ends: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """A new token of each of the first rows, and prompts one behind the other, in one pass over the weights.

        A prompt may stand in one of those rows: what the row's own token leaves there is written over, or is behind
        the prompt, where a later token of the row is written before it is read.

        Args:
            newest: int64 [R].
            at: int32 [R]: their positions.
            tokens, cache, positions, slots, ends: as of ``prefill_packed``.

        Returns:
            [R + N, hidden]: of the rows, then of the prompts' last tokens.
        """
        rows = len(newest)
        decoding, reading = self._decoding(at, 1), self._reading(positions, slots)

        def attention(qkv: torch.Tensor, layer: Layer, cached: CachedLayer) -> torch.Tensor:
            # In this order, so that prompts write over what the rows wrote.
            return torch.cat([decoding(qkv[:rows], layer, cached.rows(0, rows)), reading(qkv[rows:], layer, cached)])

        kept = torch.cat([torch.arange(rows, device=ends.device), ends + rows])
        return self.run(self.embed(torch.cat([newest, tokens])), cache, attention, kept)

    def run(
        self, x: torch.Tensor, cache: list[CachedLayer], attention: Attention, ends: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The layers that this process holds: [T, hidden] -> [T, hidden]; with ``ends``, int64 [N], of those alone."""
        for number, (layer, cached) in enumerate(zip(self.layers, cache, strict=True), start=1):
            qkv = self.ops.linear(x, layer.qkv, norm=layer.attention_norm)
            if layer.head_norms is not None:
                qkv = self.ops.norm_heads(qkv, layer.heads, *layer.head_norms)
            attended = attention(qkv, layer, cached)
            if ends is not None and number == len(self.layers):
                # No later layer reads the other tokens.
                attended, x = attended.index_select(0, ends), x.index_select(0, ends)
            x = self.project(attended, layer.out, x, layer.after_attention)
            inner = self.ops.gated_linear(x, layer.gate_up, norm=layer.feed_forward_norm, activation=layer.activation)
            x = self.project(inner, layer.down, x, layer.after_feed_forward)
        return x

    def project(self, x: torch.Tensor, matrix: Matrix, residual: torch.Tensor, norm: Norm | None) -> torch.Tensor:
        """Project back to the model's width, norm what comes out where the layer does, and add the residual."""
        if norm is None:
            return self.ops.linear(x, matrix, residual=residual)
        return self.ops.rms_norm(self.ops.linear(x, matrix), norm, residual)

    def facts(self, prefix: int = 0) -> dict[str, Any]:
        """What layers have beside those of a Llama, and what runs as plain torch on a GPU, for the evidence.

        Args:
            prefix: tokens that all prompts share, which were read once.
        """
        layers, first = self.layers, self.layers[0]
        found = {
            "activation": first.activation,
            "windows": [layer.heads.window for layer in layers]
            if any(layer.heads.window for layer in layers)
            else None,
            "score_cap": first.heads.cap,
            "logit_cap": self.logit_cap,
            "head_norms": first.head_norms is not None,
            "norms_after_blocks": first.after_attention is not None,
            "norm_offset": first.attention_norm.offset,
            "scaled_embedding": self.embedding_scale is not None,
            "rotated_of_a_head": [first.rope.rotated_width, first.heads.width],
        }
        special = sum(layer.heads.window is not None or layer.heads.cap is not None for layer in layers)
        if special and prefix and self.device.type == "cuda":
            found["prefill_attention_by_torch"] = f"{special} of {len(layers)} layers, behind a shared prefix"
        return {"layers": found}

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """[T, hidden] -> [T, vocabulary]; capped, where the model's are."""
        logits = self.ops.linear(x, self.head, norm=self.norm)
        return logits if self.logit_cap is None else torch.tanh(logits / self.logit_cap) * self.logit_cap

    def greedy(self, x: torch.Tensor) -> torch.Tensor:
        """Greedy decoding of each position: [T, hidden] -> int64 [T]. A cap does not change which logit is largest."""
        return self.ops.argmax(x, self.head, self.norm)

    def choose(
        self, x: torch.Tensor, draws: RowDraws | None = None, positions: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The next token of each position: [T, hidden] -> int64 [T]; the most likely one without ``draws``.

        Args:
            x: the last layer's output.
            draws: how each of the T is drawn.
            positions: int [T]: where the chosen tokens will stand.
        """
        if draws is None:
            return self.greedy(x)
        return perturbed(self.whole_logits(x), positions, draws, self.ops.uniforms).argmax(dim=-1)

    def whole_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the whole vocabulary, whatever part of the head is here."""
        return self.logits(x)

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
                finite.check(self.logits(x[len(prompt) - 1 :]))
            except finite.NotFiniteError as error:
                return str(error)
        return None
