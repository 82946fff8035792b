"""Token sequences for training: encoded rows, batches of similar length, and random sequences to copy."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.models import tokenizer as tokenizers

# Rows are shuffled, then sorted by length within windows of this many batches: enough rows for batches without
# padding to speak of, few enough to stay random.
_WINDOW_BATCHES = 32
IGNORED = -100


@dataclass(frozen=True)
class Sequences:
    """Encoded rows. ``ids`` holds, per row, what follows the shared prefix; ``starts`` where its headline starts."""

    prefix: list[int]
    ids: list[list[int]]
    starts: list[int]


def encode(rows: list[dict[str, Any]], prompt: str, tokenizer: Any) -> Sequences:
    """Encode rows as ``<begin> prompt <headline> headline <end>``, with their common prefix separate.

    The instruction in front of every summary has the same keys and values in every row, so it is
    computed once a step.

    Raises:
        StudyError: fewer than two rows.
    """
    if len(rows) < 2:
        raise StudyError(f"training a model needs at least 2 training rows, and there are {len(rows)}; add data.")
    # One process trains beside others; the encoder's own threads would take their cores.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer.encode_special_tokens = True  # text that spells a special token stays text
    prompts = tokenizer.encode_batch([tokenizers.prompt_text(prompt, row["summary"]) for row in rows])
    texts = [tokenizers.headline_text(row["headline"]) for row in rows]
    headlines = tokenizer.encode_batch(texts, add_special_tokens=False)
    first = [encoding.ids for encoding in prompts]
    # The common prefix of the smallest and largest is that of all.
    shared = next(
        (at for at, pair in enumerate(zip(min(first), max(first), strict=False)) if pair[0] != pair[1]), 1 << 30
    )
    # At least <|headline|> stays with the row: its output predicts the first token.
    shared = min(shared, min(map(len, first)) - 1)
    return Sequences(
        prefix=first[0][:shared],
        ids=[a[shared:] + b.ids + [tokenizers.END_ID] for a, b in zip(first, headlines, strict=True)],
        starts=[len(a) - shared for a in first],
    )


def split(sequences: Sequences, held_out: int) -> tuple[Sequences, Sequences]:
    """Split off the last ``held_out`` rows; return the others and these."""
    cut = len(sequences.ids) - held_out
    head = Sequences(sequences.prefix, sequences.ids[:cut], sequences.starts[:cut])
    return head, Sequences(sequences.prefix, sequences.ids[cut:], sequences.starts[cut:])


def collate(sequences: Sequences, chosen: list[int]) -> tuple[Any, Any]:
    """Return inputs and targets, both [batch, length] of int64; targets outside the headline are ``IGNORED``.

    Rows are padded on the right. Causal attention never looks there, so no attention mask is needed.
    """
    import torch

    length = max(len(sequences.ids[index]) for index in chosen) - 1
    inputs = torch.full((len(chosen), length), tokenizers.PAD_ID)  # [B, T]
    targets = torch.full((len(chosen), length), IGNORED)  # [B, T]
    for row, index in enumerate(chosen):
        ids, start = sequences.ids[index], sequences.starts[index]
        inputs[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        targets[row, start - 1 : len(ids) - 1] = torch.tensor(ids[start:])
    return inputs, targets


def bucketed(sequences: Sequences, batch: int, generator: Any) -> Iterator[list[int]]:
    """Yield lists of ``batch`` row numbers of similar length, endlessly; every epoch is reshuffled.

    When there are fewer rows than ``batch``, each list holds them all.
    """
    import torch

    total = len(sequences.ids)
    window = batch * _WINDOW_BATCHES
    while True:
        order = torch.randperm(total, generator=generator).tolist()
        for begin in range(0, total, window):
            part = sorted(order[begin : begin + window], key=lambda index: len(sequences.ids[index]))
            cuts = [part[at : at + batch] for at in range(0, len(part), batch)]
            full = [cut for cut in cuts if len(cut) == min(batch, total)]
            for at in torch.randperm(len(full), generator=generator).tolist():
                yield full[at]


def copying(batch: int, length: int, vocabulary: int, generator: Any) -> tuple[Any, Any]:
    """Return inputs and targets [batch, 2 * length + 2] of one copying exercise.

    A row is ``<begin> r <headline> r <end>`` with ``length`` random tokens r; the second r and the end are the targets.
    """
    import torch

    special = len(tokenizers.SPECIAL)
    tokens = torch.randint(special, vocabulary, (batch, length), generator=generator)  # [B, length]

    def column(token: int) -> torch.Tensor:
        return torch.full((batch, 1), token)

    marks = column(tokenizers.BEGIN_ID), column(tokenizers.HEADLINE_ID), column(tokenizers.END_ID)
    ids = torch.cat([marks[0], tokens, marks[1], tokens, marks[2]], dim=1)  # [B, 2 * length + 3]
    targets = ids[:, 1:].clone()
    targets[:, : length + 1] = IGNORED
    return ids[:, :-1], targets
