"""Tensor parallelism in the decode loop (Megatron-LM; Shoeybi et al., 2019).

Each rank holds whole heads and a share of the feed-forward width: rows of the query, key, value, gate and up weights,
columns of the output and down weights. Two all-reduces a layer add up the partial results. The output head is split
over the vocabulary: ranks exchange their largest logit and its token, not logits. Every rank runs the same loop.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from typing import Any

import numpy
import torch
from torch import distributed, nn

from scripts.engine.collectives import Collectives
from scripts.engine.decoder import Decoder
from scripts.engine.engine import GraphEngine
from scripts.engine.graphs import GraphPool, Replay
from scripts.engine.modules import embedding_of, local_shard, matrix_of, norm_of
from scripts.engine.session import Session
from scripts.kernels.matrix import Matrix
from scripts.kernels.parts import Norm
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded
from scripts.runtime.stop_texts import Rows, StopTexts
from scripts.runtime.stops import ENDS, NOTHING_HELD, Held, codes, follow


class LocalLayer:
    """A sharded layer of another library without the all-reduce hooks that transformers installed around it."""

    def __init__(self, layer: nn.Module, size: int, along: str) -> None:
        self.layer = layer
        self.in_features = layer.in_features // (size if along == "in" else 1)
        self.out_features = layer.out_features // (size if along == "out" else 1)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """This rank's part of the product."""
        return type(self.layer).forward(self.layer, x)


class TensorDecoder(Decoder):
    """A rank's part of the model.

    Args:
        model: sharded by transformers; its weights become views where they are fused.
        positions: how many positions the rotary tables cover.
        collectives: the all-reduces.
    """

    def __init__(self, model: Any, positions: int, collectives: Collectives) -> None:
        self.collectives = collectives
        super().__init__(model, positions)
        size = collectives.size
        for layer in self.layers:
            heads = layer.heads
            layer.heads = dataclasses.replace(heads, query=heads.query // size, key_value=heads.key_value // size)
            layer.qkv, layer.gate_up = self._localized(layer.qkv, "out"), self._localized(layer.gate_up, "out")
            layer.out, layer.down = (
                self._bias_on_first_rank(self._localized(each, "in")) for each in (layer.out, layer.down)
            )
        self.heads = self.layers[0].heads

    def stored_fused(self, layer: nn.Module, parts: list[int]) -> Matrix:
        """This rank's rows of each part; transformers cuts the whole into runs of rows, whatever they belong to.

        The rows are a copy: the model's own shard stays what transformers reads.
        """
        if type(layer) is not nn.Linear:
            raise UnsupportedError(
                "The graph engine splits a projection that is stored in one piece over ranks as it is, not quantised."
            )
        rank, size = self.collectives.rank, self.collectives.size

        def own(whole: torch.Tensor) -> torch.Tensor:
            return torch.cat([part.chunk(size)[rank] for part in whole.split(parts)])

        bias = None if layer.bias is None else own(_whole(layer.bias))
        return Matrix("dense", own(_whole(layer.weight)), bias=bias)

    def _take_ends(self, model: Any) -> None:
        """The whole embedding, and this rank's rows of the head."""
        (embedding, self.embedding_scale), head_weight = embedding_of(model.model.embed_tokens), model.lm_head.weight
        before = local_shard(embedding).data_ptr()
        self.embedding = gathered_weight(embedding)
        if head_weight is not embedding and local_shard(head_weight).data_ptr() == before:
            head_weight._local_tensor = local_shard(embedding)
        self.norm = norm_of(model.model.norm)
        head, tokens, size = matrix_of(model.lm_head), self.embedding.shape[0], self.collectives.size
        share = -(-tokens // size)  # as torch's Shard does
        self.first_token = self.collectives.rank * share
        if head.shape[0] == tokens and size > 1:
            # A head that is tied to the embedding is there as a whole: only a part of it is read.
            rows = slice(self.first_token, min(self.first_token + share, tokens))
            head = Matrix("dense", head.data[rows])
        self.head = head

    def _localized(self, matrix: Matrix, along: str) -> Matrix:
        if matrix.kind != "modules":
            return matrix
        return dataclasses.replace(
            matrix, modules=[LocalLayer(layer, self.collectives.size, along) for layer in matrix.modules]
        )

    def _bias_on_first_rank(self, matrix: Matrix) -> Matrix:
        """All ranks hold the bias of a layer whose products are summed; only the first adds it."""
        return matrix if self.collectives.rank == 0 else dataclasses.replace(matrix, bias=None)

    def project(self, x: torch.Tensor, matrix: Matrix, residual: torch.Tensor, norm: Norm | None) -> torch.Tensor:
        """Project back to the model's width and sum over the ranks.

        The residual is added to the sum; where the sum is of whole tensors, by the first rank to its own part. A norm
        of what comes out needs the sum, and so the residual after it.
        """
        if self.collectives.sums_product(self.ops, x, matrix):
            total = self.collectives.product(self.ops, x, matrix, residual if norm is None else None)
            return total if norm is None else self.ops.rms_norm(total, norm, residual)
        adds = norm is None and self.collectives.rank == 0
        total = self.collectives.all_reduce(self.ops.linear(x, matrix, residual=residual if adds else None))
        return total if norm is None else self.ops.rms_norm(total, norm, residual)

    def greedy(self, x: torch.Tensor) -> torch.Tensor:
        """Greedy decoding over all ranks' largest logits, the same on every rank; of equal ones the lowest token."""
        values, tokens = self.ops.max_and_argmax(x, self.head, self.norm)  # [T], of this rank's part of the vocabulary
        rank, size = self.collectives.rank, self.collectives.size
        # An all-gather by an all-reduce: token ids are exact in float32 up to 2^24, and adding zeros changes nothing.
        offered = torch.zeros(2, size, len(x), dtype=torch.float32, device=self.device)
        offered[0, rank] = values
        offered[1, rank] = tokens + self.first_token
        values, tokens = self.collectives.all_reduce(offered)  # each [size, T]
        best = values.argmax(dim=0, keepdim=True)  # the first of equals, which has the lowest tokens
        return tokens.gather(0, best)[0].long()

    def whole_logits(self, x: torch.Tensor) -> torch.Tensor:
        """The logits of all ranks, gathered by an all-reduce: every rank draws from them with the same noise."""
        own = self.logits(x)
        whole = torch.zeros(len(x), self.vocabulary, dtype=torch.float32, device=self.device)
        whole[:, self.first_token : self.first_token + own.shape[1]] = own
        return self.collectives.all_reduce(whole)


def _whole(parameter: torch.Tensor) -> torch.Tensor:
    """A parameter of all ranks together."""
    return (parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter).detach()


def gathered_weight(parameter: torch.Tensor) -> torch.Tensor:
    """A weight that every rank needs as a whole; where its rows were sharded, the shard becomes a view of the whole."""
    if not hasattr(parameter, "full_tensor"):
        return local_shard(parameter)
    full = parameter.full_tensor().detach()
    share = -(-full.shape[0] // distributed.get_world_size())  # as torch's Shard does
    if local_shard(parameter).shape != full.shape:
        parameter._local_tensor = full[distributed.get_rank() * share :][: len(local_shard(parameter))]
    return full


class CountingGraphPool(GraphPool):
    """Also counts the collectives of replays, which Python sees only during the capture."""

    def __init__(self, device: torch.device, collectives: Collectives) -> None:
        super().__init__(device)
        self.collectives = collectives
        self._captured: list[list[Any]] = []  # of each graph: its replays, and the collectives in it

    def capture(self, work: Replay) -> Replay:
        """What replays the work and counts it."""
        graph: list[Any] = [0, Counter()]
        self._captured.append(graph)

        def watched() -> None:
            before = self.collectives.calls.copy()
            work()
            graph[1] = self.collectives.calls - before

        replay = super().capture(watched)

        def counted() -> None:
            graph[0] += 1
            replay()

        return counted

    def counts(self) -> Counter[str]:
        """Collectives launched so far, by kind."""
        total: Counter[str] = Counter()
        for times, calls in self._captured:
            total.update({name: times * count for name, count in calls.items()})
        return total


class TensorEngine(GraphEngine):
    """The decode loop of one rank.

    Args:
        loaded: the model, sharded.
        shared_prefix: prefill the tokens that all prompts begin with once, before the first request.
        pad: the padding token; nothing attends to it.
        symmetric: use symmetric memory where there is any.
    """

    def __init__(self, loaded: Loaded, *, shared_prefix: bool, pad: int, symmetric: bool = True) -> None:
        super().__init__(loaded, shared_prefix=shared_prefix, pad=pad)
        self.collectives = Collectives(self.device, symmetric=symmetric)
        self.graph_pool = CountingGraphPool(self.device, self.collectives)
        self._codes = numpy.zeros(0, dtype=numpy.int8)  # [vocabulary]: whether a token ends a headline

    def _decoder(self, positions: int) -> Decoder:
        return TensorDecoder(self.loaded.model, positions, self.collectives)

    def limit(
        self, new_tokens: int, stops: list[int], held: Held = NOTHING_HELD, texts: StopTexts | None = None
    ) -> None:
        """From now on stop after so many tokens, at a stop token, at one held behind text, or at a text."""
        super().limit(new_tokens, stops, held, texts)
        self._codes = codes(stops, held, self.decoder.vocabulary)

    def _follow(self, session: Session) -> list[float]:
        """Launch steps until the tokens, looked at one by one, say that every row has stopped.

        A rank that launched a step more than its peers would wait in it for ever: when to stop must not depend on when
        a host polls.
        """
        state, limit = session.state, self._limit
        seen = numpy.zeros(session.rows, dtype=numpy.int8)
        texts = Rows(self._texts, session.rows)
        moments: list[float] = []
        launched = 1
        while len(moments) < limit and not (seen & ENDS).all():
            while launched < limit and launched <= len(moments) + self.ahead:
                session.step()
                launched += 1
            self._wait(state.host_progress, len(moments))
            seen = follow(seen, self._codes[state.host_tokens[len(moments)]])
            texts.mark(seen, state.host_tokens[len(moments)])
            moments.append(time.perf_counter())
        self._extra_step = launched > len(moments)
        return moments

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and say what was run; then time a step of it with its collectives and without."""
        before = self.graph_pool.counts()
        seen = super().observe(prompts)
        seen.collectives = dict(self.graph_pool.counts() - before)
        seen.communication_share = self._communication_share(self.sessions[len(prompts)])
        return seen

    @torch.inference_mode()
    def _communication_share(self, session: Session) -> float:
        """Share of a decode step's time that goes away with its all-reduces."""
        self.step_s = self._step_s(session, session.step)
        self.collectives.disabled = True
        try:
            self.step_without_s = self._step_s(session, GraphPool(self.device).capture(session._decode_step))
        finally:
            self.collectives.disabled = False
        return max(0.0, 1 - self.step_without_s / self.step_s)

    def parallel_facts(self) -> dict[str, Any]:
        """How the ranks communicate, for the evidence."""
        return {
            "kind": "tensor",
            "vocabulary_rows": self.decoder.head.shape[0],
            "key_value_heads": self.decoder.heads.key_value,
            **self.collectives.facts(),
            "decode_step_s": self.step_s,
            "decode_step_without_collectives_s": self.step_without_s,
            "communication_measured": "a decode step recorded with and without its sums over the ranks",
        }
