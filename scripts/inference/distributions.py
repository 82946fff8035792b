"""The distributions of the next token along the reference headlines, kept for comparison with another technique's.

Every token of the vocabulary is kept, since what a list of the most likely ones leaves out would make a divergence too
small. What bounds the file is the number of positions: a systematic sample of them (Cochran, Sampling Techniques, 1977,
chapter 8), the same for every technique with the same tokens and vocabulary.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FILE = "distributions.npz"
PART = f"{FILE}.part"
MAX_BYTES = 64 * 2**20
"""Of one technique's file: 131 positions of a vocabulary of 256,000 tokens, 16,384 of one of 2,048."""
NUMBER_BYTES = 2  # float16
LEAST = -60_000.0  # float16 has nothing below -65,504
STOP = -1
"""Stands for the token at a headline's end, which may be any of several."""


class Recorder:
    """Keeps the distributions at a sample of positions.

    Args:
        references: per prompt the reference headline's token ids; None where it is not passed through the model.
    """

    def __init__(self, references: list[list[int] | None]):
        self._tokens = [[] if ids is None else [*ids, STOP] for ids in references]
        self._chosen: dict[int, list[int]] | None = None
        self._kept: list[tuple[int, int, int, int]] = []
        self._rows: list[torch.Tensor] = []

    def add(self, prompt: int, log_probabilities: torch.Tensor) -> None:
        """Keep those of a prompt's positions that are in the sample.

        Args:
            prompt: its number, from 0.
            log_probabilities: of all tokens at each position of the headline and at its end, [positions, vocabulary].
        """
        if self._chosen is None:
            self._chosen = self._sample(log_probabilities.shape[-1])
        for position in self._chosen.get(prompt, []):
            row = log_probabilities[position]
            self._kept.append((prompt, position, self._tokens[prompt][position], int(row.argmax())))
            self._rows.append(row.clamp(min=LEAST).half().cpu())

    def write(self, path: Path) -> None:
        """Write the kept positions: prompt, position, token, most likely token, and the log-probabilities (float16)."""
        import numpy as np
        import torch

        if not self._rows:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = dict(zip(("prompt", "position", "token", "top"), np.array(self._kept, dtype=np.int32).T, strict=True))
        with path.open("wb") as file:
            np.savez(file, log_probabilities=torch.stack(self._rows).numpy(), **columns)

    def _sample(self, vocabulary: int) -> dict[int, list[int]]:
        every = [(prompt, position) for prompt, ids in enumerate(self._tokens) for position in range(len(ids))]
        room = max(1, MAX_BYTES // (NUMBER_BYTES * vocabulary))
        if room < len(every):
            step = len(every) / room
            start = random.Random(0).uniform(0, step)
            every = [every[min(int(start + number * step), len(every) - 1)] for number in range(room)]
        chosen: dict[int, list[int]] = {}
        for prompt, position in every:
            chosen.setdefault(prompt, []).append(position)
        return chosen


def settle(output: Path, measured: bool) -> None:
    """Put the file that a worker left into its place; an empty one says that there are no distributions."""
    part, path = output / PART, output / FILE
    if measured and part.exists():
        part.replace(path)
        return
    part.unlink(missing_ok=True)
    path.write_bytes(b"")
