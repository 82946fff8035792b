"""The tensors that a captured decode step, or a round of speculation, reads and writes, at addresses that never change.

Those that the host reads are pinned: a kernel writes the new tokens and then the progress, and the host, polling its
own memory, learns of them without host-device synchronisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

WORK_NUMBERS = 1 << 30  # captured work is numbered modulo this


@dataclass
class StepTensors:
    """Of a batch of B requests.

    Attributes:
        token: int64 [B]: the newest token, which is the next step's input.
        positions: int32 [B]: its position id.
        step: int32 [1]: how many tokens each row has put out.
        stopped: int8 [B]: 1 where a row has put out a stop token, 2 where it has text, added up.
        is_stop: int8 [vocabulary]: what each token does, as ``scripts.runtime.stops.codes`` has it.
        out: int32 [steps, B], pinned: the tokens.
        progress: int32 [2], pinned: tokens that are out, rows that have stopped; both change at once, after ``out``.
    """

    token: torch.Tensor
    positions: torch.Tensor
    step: torch.Tensor
    stopped: torch.Tensor
    is_stop: torch.Tensor
    out: torch.Tensor
    progress: torch.Tensor


@dataclass
class RoundTensors:
    """Of one request under speculation; k tokens are proposed in a round.

    Attributes:
        last_two: int64 [2]: the newest token, behind the one before it.
        positions: int32 [k + 1]: position ids, from that of the token before the newest on.
        step: int32 [1]: how many tokens are out.
        round_index: int32 [1]: how many rounds have been run.
        stopped: int8 [1]: 1 if a stop token is out, 2 if text is, added up.
        is_stop: int8 [vocabulary]: what each token does, as ``scripts.runtime.stops.codes`` has it.
        out: int32 [room, 1], pinned: the tokens.
        progress: int32 [2], pinned: tokens that are out, whether one of them is a stop token.
        rounds: int32 [room, 2], pinned: tokens proposed and accepted in each round.
        sequence: int64 [length]: prompt and tokens, for prompt lookup; None without it.
        forced: int8 [draws, k]: whether a proposed token is accepted, where acceptance is forced; None elsewhere.
        first_draw: int32 [1]: the row of ``forced`` for the request's first round.
    """

    last_two: torch.Tensor
    positions: torch.Tensor
    step: torch.Tensor
    round_index: torch.Tensor
    stopped: torch.Tensor
    is_stop: torch.Tensor
    out: torch.Tensor
    progress: torch.Tensor
    rounds: torch.Tensor
    sequence: torch.Tensor | None
    forced: torch.Tensor | None
    first_draw: torch.Tensor

    @property
    def count(self) -> int:
        """Tokens proposed in a round."""
        return len(self.positions) - 1


@dataclass
class SlotTensors:
    """Of continuous batching in S slots and one more row, which takes what belongs to no request.

    Attributes:
        token: int64 [S + 1]: the newest token of each slot's request.
        positions: int32 [S + 1]: its position id.
        done: int32 [1]: how much captured work has been done, modulo ``WORK_NUMBERS``.
        ring: int32 [entries, S], pinned: the tokens that a piece of work chose; its number is the entry's, modulo
            their count.
        progress: int32 [2], pinned: ``done`` as the host sees it, and zero.
        last: the last position of a row of the cache.
    """

    token: torch.Tensor
    positions: torch.Tensor
    done: torch.Tensor
    ring: torch.Tensor
    progress: torch.Tensor
    last: int
