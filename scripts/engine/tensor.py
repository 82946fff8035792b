"""Tensor parallelism in the decode loop (Megatron-LM; Shoeybi et al., 2019).

Each rank holds whole heads and a share of the feed-forward width: rows of the query, key, value, gate and up weights,
columns of the output and down weights. Two sums over the ranks a layer put the parts together. The output head is split
over the vocabulary: ranks exchange their best logit and its token, not logits. Every rank runs the same loop.
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
from scripts.engine.decoder import Decoder, local, matrix_of, norm_of
from scripts.engine.engine import GraphEngine
from scripts.engine.graphs import Recorder, Work
from scripts.engine.session import Session
from scripts.kernels.matrix import Matrix
from scripts.kernels.reference import Heads
from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded


class Part:
    """A sharded layer of another library without the sums that transformers installed around it."""

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
        model: a LlamaForCausalLM, sharded by transformers; its weights become views where they are fused.
        positions: how many positions the rotary tables cover.
        collectives: sums over the ranks.
    """

    def __init__(self, model: Any, positions: int, collectives: Collectives) -> None:
        self.collectives = collectives
        super().__init__(model, positions)
        size = collectives.size
        self.heads = Heads(self.heads.query // size, self.heads.key_value // size, self.heads.width)
        for layer in self.layers:
            layer.qkv, layer.gate_up = self._part(layer.qkv, "out"), self._part(layer.gate_up, "out")
            layer.out, layer.down = (self._only_one_bias(self._part(each, "in")) for each in (layer.out, layer.down))

    def _take_ends(self, model: Any) -> None:
        """The whole embedding, and this rank's rows of the head."""
        embedding, head_weight = model.model.embed_tokens.weight, model.lm_head.weight
        before = local(embedding).data_ptr()
        self.embedding = made_whole(embedding)
        if head_weight is not embedding and local(head_weight).data_ptr() == before:
            head_weight._local_tensor = local(embedding)
        self.norm = norm_of(model.model.norm)
        head, tokens, size = matrix_of(model.lm_head), self.embedding.shape[0], self.collectives.size
        share = -(-tokens // size)  # as torch's Shard cuts
        self.first_token = self.collectives.rank * share
        if head.shape[0] == tokens and size > 1:
            # A head that is tied to the embedding is there as a whole: only a part of it is read.
            rows = slice(self.first_token, min(self.first_token + share, tokens))
            head = Matrix("dense", head.data[rows])
        self.head = head

    def _part(self, matrix: Matrix, along: str) -> Matrix:
        if matrix.kind != "modules":
            return matrix
        return dataclasses.replace(
            matrix, modules=[Part(layer, self.collectives.size, along) for layer in matrix.modules]
        )

    def _only_one_bias(self, matrix: Matrix) -> Matrix:
        """Every rank has the bias of a layer whose products are added up; one adds it."""
        return matrix if self.collectives.rank == 0 else dataclasses.replace(matrix, bias=None)

    def project(self, x: torch.Tensor, matrix: Matrix, residual: torch.Tensor) -> torch.Tensor:
        """Back to the model's width: the first rank's part brings what went in, so that the sum has it once."""
        part = self.ops.linear(x, matrix, residual=residual if self.collectives.rank == 0 else None)
        return self.collectives.all_reduce(part)

    def choose(self, x: torch.Tensor) -> torch.Tensor:
        """Greedy decoding: every rank sees all ranks' best logits, so that all choose alike; the lowest of equals."""
        values, tokens = self.ops.best_of(x, self.head, self.norm)  # [T], of this rank's part of the vocabulary
        rank, size = self.collectives.rank, self.collectives.size
        # Whole numbers are exact in float32 up to 2^24, and adding zeros changes nothing: a gather by a sum.
        offered = torch.zeros(2, size, len(x), dtype=torch.float32, device=self.device)
        offered[0, rank] = values
        offered[1, rank] = tokens + self.first_token
        values, tokens = self.collectives.all_reduce(offered)  # each [size, T]
        best = values.argmax(dim=0, keepdim=True)  # the first of equals, which has the lowest tokens
        return tokens.gather(0, best)[0].long()


def made_whole(parameter: torch.Tensor) -> torch.Tensor:
    """A weight that every rank needs as a whole; where it was cut into rows, these become views of the whole."""
    if not hasattr(parameter, "full_tensor"):
        return local(parameter)
    full = parameter.full_tensor().detach()
    share = -(-full.shape[0] // distributed.get_world_size())  # as torch's Shard cuts
    if local(parameter).shape != full.shape:
        parameter._local_tensor = full[distributed.get_rank() * share :][: len(local(parameter))]
    return full


class CountingRecorder(Recorder):
    """Also counts the collectives of what it starts, which Python sees only while it is recorded."""

    def __init__(self, device: torch.device, collectives: Collectives) -> None:
        super().__init__(device)
        self.collectives = collectives
        self._pieces: list[list[Any]] = []  # of each piece: how often it was started, and its calls

    def record(self, work: Work) -> Work:
        """What starts the work again, counted."""
        piece: list[Any] = [0, Counter()]
        self._pieces.append(piece)

        def watched() -> None:
            before = self.collectives.calls.copy()
            work()
            piece[1] = self.collectives.calls - before

        start = super().record(watched)

        def counted() -> None:
            piece[0] += 1
            start()

        return counted

    def made(self) -> Counter[str]:
        """Collectives that the device was asked for so far."""
        total: Counter[str] = Counter()
        for times, calls in self._pieces:
            total.update({name: times * count for name, count in calls.items()})
        return total


class TensorEngine(GraphEngine):
    """The decode loop of one rank.

    Args:
        loaded: the model, sharded.
        shared_prefix: read the tokens that all prompts begin with once, before the first request.
        pad: the token that fills a bucket; never seen by another.
        symmetric: use symmetric memory where there is any.
    """

    def __init__(self, loaded: Loaded, *, shared_prefix: bool, pad: int, symmetric: bool = True) -> None:
        super().__init__(loaded, shared_prefix=shared_prefix, pad=pad)
        self.collectives = Collectives(self.device, symmetric=symmetric)
        self.recording = CountingRecorder(self.device, self.collectives)
        self._ends = numpy.zeros(0, dtype=bool)  # [vocabulary]: whether a token ends a headline

    def _decoder(self, positions: int) -> Decoder:
        return TensorDecoder(self.loaded.model, positions, self.collectives)

    def limit(self, new_tokens: int, stops: list[int]) -> None:
        """From now on stop after so many tokens, or at one of the stop tokens."""
        super().limit(new_tokens, stops)
        self._ends = stop_table(stops, self.decoder.vocabulary)

    def _follow(self, session: Session) -> list[float]:
        """Keep the device busy; stop as the tokens say, one at a time.

        A rank that started a step more than its peers would wait in it for ever: when to stop must not depend on how
        late a host looks.
        """
        state, limit = session.state, self._limit
        running = numpy.ones(session.rows, dtype=bool)
        moments: list[float] = []
        issued = 1
        while len(moments) < limit and running.any():
            while issued < limit and issued <= len(moments) + self.ahead:
                session.step()
                issued += 1
            self._wait(state.seen, len(moments))
            running &= ~self._ends[state.tokens_out[len(moments)]]
            moments.append(time.perf_counter())
        self._in_vain = issued > len(moments)
        return moments

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and say what was run; then time a step of it with its collectives and without."""
        before = self.recording.made()
        seen = super().observe(prompts)
        seen.collectives = dict(self.recording.made() - before)
        seen.communication_share = self._communication_share(self.sessions[len(prompts)])
        return seen

    @torch.inference_mode()
    def _communication_share(self, session: Session) -> float:
        """Share of a decode step that goes away with the sums over the ranks; then each computes something else."""
        self.step_s = self._step_s(session, session.step)
        self.collectives.silent = True
        try:
            self.step_without_s = self._step_s(session, Recorder(self.device).record(session._step))
        finally:
            self.collectives.silent = False
        return max(0.0, 1 - self.step_without_s / self.step_s)

    def parallel_facts(self) -> dict[str, Any]:
        """Of the ranks' exchange, for the evidence."""
        return {
            "kind": "tensor",
            "vocabulary_rows": self.decoder.head.shape[0],
            "key_value_heads": self.decoder.heads.key_value,
            **self.collectives.facts(),
            "decode_step_s": self.step_s,
            "decode_step_without_collectives_s": self.step_without_s,
            "communication_measured": "a decode step recorded with and without its sums over the ranks",
        }


def stop_table(stops: list[int], vocabulary: int) -> numpy.ndarray:
    """Whether each token ends a headline: bool [vocabulary]."""
    table = numpy.zeros(vocabulary, dtype=bool)
    table[stops] = True
    return table
