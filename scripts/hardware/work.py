"""Arithmetic and memory traffic of a batch of requests, counted from the model's shape and from what was generated.

Arithmetic: two operations a weight and token (Kaplan et al., 2020: 2N; embeddings are looked up), and for
attention 4 x heads x head_dim operations a layer for each token and each position that it attends to (products with
keys and with values). Traffic: at every forward each stored weight is read once for the whole batch, and each
sequence's keys and values once (Pope et al., 2022, section 2); activations are left out, since they stay in caches.
Speculation (Leviathan et al., 2023): a round drafts k tokens one by one and verifies k + 1 positions in one forward.

What is counted is what is run: padding to the longest prompt of a batch, steps until the last request of it has ended,
drafted tokens that are rejected, and without a cache the whole sequence at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.hardware import sizes
from scripts.hardware.cost import Architecture, Costs


@dataclass(frozen=True)
class Work:
    """Operations and bytes."""

    flops: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Batch:
    """One batch: number of requests, longest prompt and most new tokens among them.

    Attributes:
        rounds: forwards of the target under speculation, the prompt's included; None without.
        drafted: tokens that were drafted in all rounds.
        cached: tokens of each prompt whose keys and values were there before; without speculation.
    """

    requests: int
    prompt_tokens: int
    new_tokens: int
    rounds: int | None = None
    drafted: int = 0
    cached: int = 0


@dataclass(frozen=True)
class BatchWork:
    """Work of a batch: up to the first token, and after it."""

    prefill: Work
    decode: Work

    @property
    def total(self) -> Work:
        """Both together."""
        return self.prefill + self.decode


class Model:
    """Costs of one model's forward.

    Args:
        architecture: its shape.
        costs: those of its facets, for the weights as they are stored.
        dtype: its dtype.
    """

    def __init__(self, architecture: Architecture, costs: Costs, dtype: str) -> None:
        size, architecture = sizes.BYTES[dtype], costs.architecture(architecture)
        matrices = sizes.layer_matrices(architecture)
        layers, hidden = architecture["layers"], architecture["hidden"]
        self.linear_weights = layers * sum(matrix.weights for matrix in matrices)
        self.head_weights = architecture["vocabulary"] * hidden
        self.attention_flops = 4 * layers * architecture["heads"] * architecture["head_dim"]
        in_few_bits = costs.position_bytes(architecture, size)
        self.position_bytes = sizes.bytes_per_position(architecture, dtype) if in_few_bits is None else in_few_bits
        stored = sum(costs.matrix_bytes(matrix, size) for matrix in matrices)
        self.weight_bytes = layers * (stored + 2 * hidden * size) + (self.head_weights + hidden) * size
        self.row_bytes = hidden * size  # of the embedding: only the rows of the given tokens are read

    def forward(self, sequences: int, tokens: int, logits: int, cached: int = 0, keeps: bool = True) -> Work:
        """One forward.

        Args:
            sequences: in the batch.
            tokens: given for each sequence.
            logits: positions of each sequence that the head is applied to.
            cached: positions of each sequence whose keys and values are read.
            keeps: whether keys and values are written.
        """
        attended = tokens * cached + tokens * (tokens + 1) / 2  # causal: each token attends to itself and all before
        flops = 2 * self.linear_weights * tokens + 2 * self.head_weights * logits + self.attention_flops * attended
        moved = self.row_bytes * tokens + self.position_bytes * (cached + (tokens if keeps else 0))
        return Work(sequences * flops, self.weight_bytes + sequences * moved)


def batch_work(target: Model, batch: Batch, *, cache: bool, draft: Model | None = None) -> BatchWork:
    """Count the work of one batch.

    Args:
        target: the model that generates.
        batch: its sizes.
        cache: whether keys and values are kept between steps.
        draft: the model that drafts; None without speculation or where proposals are looked up in the prompt.
    """
    if batch.rounds is not None:
        return _speculative(target, batch, draft)
    prompt, requests = batch.prompt_tokens, batch.requests
    prefill = target.forward(requests, prompt - batch.cached, 1, cached=batch.cached, keeps=cache)
    decode = Work()
    for step in range(1, batch.new_tokens):
        if cache:
            decode += target.forward(requests, 1, 1, cached=prompt + step - 1)
        else:
            decode += target.forward(requests, prompt + step, 1, keeps=False)
    return BatchWork(prefill, decode)


def _speculative(target: Model, batch: Batch, draft: Model | None) -> BatchWork:
    """Rounds at even steps: the first is given the prompt and a proposal, the others one token and a proposal."""
    rounds, prompt = max(batch.rounds or 1, 1), batch.prompt_tokens
    proposed, progress = batch.drafted / rounds, batch.new_tokens / rounds
    works = []
    for index in range(rounds):
        position = prompt + index * progress - (1 if index else 0)  # the newest token is in no cache yet
        given, cached = (prompt + proposed, 0) if index == 0 else (1 + proposed, position)
        work = target.forward(batch.requests, given, 1 + proposed, cached=cached)
        if draft is not None:
            work += _drafting(draft, batch.requests, proposed, prompt if index == 0 else progress, position)
        works.append(work)
    return BatchWork(works[0], sum(works[1:], Work()))


def _drafting(draft: Model, requests: int, proposed: float, unread: float, position: float) -> Work:
    """One round of drafting: the tokens accepted since the last round in one forward, then one forward a token."""
    if proposed <= 0:
        return Work()
    first = draft.forward(requests, unread, 1, cached=max(0.0, position - unread))
    later = draft.forward(requests, 1, 1, cached=position + proposed / 2)
    count = max(0.0, proposed - 1)
    return first + Work(later.flops * count, later.bytes * count)


def of_samples(samples: list[Any]) -> list[Batch]:
    """The batches of a mode's samples, in order; padding goes to the longest prompt and the most new tokens.

    Args:
        samples: with ``batch``, ``batch_requests``, ``prompt_tokens``, ``new_tokens``, ``rounds``, ``drafted_tokens``,
            ``prefix_tokens``.
    """
    members: dict[int, list[Any]] = {}
    for sample in samples:
        members.setdefault(sample.batch, []).append(sample)
    return [
        Batch(
            requests=len(batch),
            prompt_tokens=max(sample.prompt_tokens for sample in batch),
            new_tokens=max(sample.new_tokens for sample in batch),
            rounds=batch[0].rounds,
            drafted=batch[0].drafted_tokens or 0,
            cached=batch[0].prefix_tokens or 0,
        )
        for batch in members.values()
    ]
