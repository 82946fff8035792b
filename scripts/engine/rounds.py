"""A request's state on the device from round to round under speculation.

A round puts out the accepted tokens and one of the target's own, so that the host also reads how many there were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch

from scripts.engine.state import ROWS_STOPPED, TOKENS_OUT, pinned_zeros
from scripts.kernels.decode_state import RoundTensors
from scripts.runtime.stops import ENDS, follow

PROPOSED, ACCEPTED = 0, 1  # columns of a round's counts
DRAWS = 4096  # rounds whose forced acceptance is drawn in advance; then they come again


@dataclass
class RoundState(RoundTensors):
    """The tensors of one request.

    Attributes:
        host_progress: the host's view of ``progress``.
        host_tokens: the host's view of ``out``, [room, 1].
        counts: the host's view of ``rounds``, [room, 2].
    """

    def __post_init__(self) -> None:
        self.host_progress: numpy.ndarray = self.progress.numpy()
        self.host_tokens: numpy.ndarray = self.out.numpy()
        self.counts: numpy.ndarray = self.rounds.numpy()

    @classmethod
    def empty(
        cls, count: int, room: int, vocabulary: int, device: torch.device, *, length: int = 0,
        acceptance: float | None = None,
    ) -> RoundState:  # fmt: skip
        """A state for ``room`` tokens.

        Args:
            count: tokens proposed in a round.
            room: tokens that may come out, those beyond the limit among them.
            vocabulary: how many tokens there are.
            device: where the models are.
            length: tokens of the longest request, for prompt lookup; 0 without it.
            acceptance: the forced share of accepted tokens, whatever the target says; None: not forced.
        """
        return cls(
            last_two=torch.zeros(2, dtype=torch.int64, device=device),
            positions=torch.zeros(count + 1, dtype=torch.int32, device=device),
            step=torch.zeros(1, dtype=torch.int32, device=device),
            round_index=torch.zeros(1, dtype=torch.int32, device=device),
            stopped=torch.zeros(1, dtype=torch.int8, device=device),
            is_stop=torch.zeros(vocabulary, dtype=torch.int8, device=device),
            out=pinned_zeros(device, room, 1),
            progress=pinned_zeros(device, 2),
            rounds=pinned_zeros(device, room, 2),
            sequence=torch.zeros(length, dtype=torch.int64, device=device) if length else None,
            forced=None if acceptance is None else drawn(count, acceptance).to(device),
            first_draw=torch.zeros(1, dtype=torch.int32, device=device),
        )

    def reset(self) -> None:
        """Nothing is out yet; called while the device is idle."""
        self.host_progress[:] = 0

    def begin(self, prompt: torch.Tensor, length: torch.Tensor, start: int) -> None:
        """Keep what rounds need of a prompt.

        Args:
            prompt: int64 [tokens], padded; it stands at ``start`` and after.
            length: int64 [1], its tokens without the padding.
            start: where its first token stands.
        """
        self.last_two[:1] = prompt.gather(0, length - 1)
        if self.sequence is not None:
            self.sequence[start : start + len(prompt)] = prompt
        if self.forced is not None:
            # Another row for another prompt, and the same one each time that it comes.
            weights = torch.arange(1, len(prompt) + 1, device=prompt.device)
            self.first_draw.copy_((prompt * weights).sum(0, keepdim=True) % DRAWS)

    def start(self, chosen: torch.Tensor, lengths: torch.Tensor) -> None:
        """Put out the first token, int64 [1], of a prompt of that length, int64 [1]."""
        if chosen.device.type == "cuda":
            from scripts.kernels import triton_round

            triton_round.start(self, chosen, lengths)
            return
        self.step.zero_()
        self.round_index.zero_()
        self.stopped.zero_()
        self._put_out(chosen, int(lengths))

    def advance(self, given: torch.Tensor, chosen: torch.Tensor, proposed: torch.Tensor | None) -> None:
        """End a round.

        Args:
            given: int64 [k + 1], what the target was given: the newest token, then the proposal.
            chosen: int64 [k + 1], what the target puts behind each of them.
            proposed: int32 [1], how many of the k were proposed; None: all of them.
        """
        if chosen.device.type == "cuda":
            from scripts.kernels import triton_round

            triton_round.advance(self, given, chosen, proposed)
            return
        count = self.count if proposed is None else int(proposed)
        if self.forced is None:
            right = given[1:] == chosen[:-1]
        else:
            right = self.forced[(int(self.first_draw) + int(self.round_index)) % DRAWS] != 0
        accepted = int(right[:count].int().cumprod(0).sum())
        self.rounds[int(self.round_index)] = torch.tensor([count, accepted])
        self.round_index += 1
        self.last_two[0] = given[accepted]
        self._put_out(torch.cat((given[1 : accepted + 1], chosen[accepted : accepted + 1])), int(self.positions[1]) + 1)

    def _put_out(self, tokens: torch.Tensor, position: int) -> None:
        """Tokens, of which the first stands at ``position``."""
        done, new = int(self.step), len(tokens)
        self.out[done : done + new, 0] = tokens
        if self.sequence is not None:
            self.sequence[position : position + new] = tokens
        self.last_two[1] = tokens[-1]
        self.positions.copy_(position + new - 2 + torch.arange(len(self.positions)))
        self.step += new
        for code in self.is_stop[tokens].split(1):
            self.stopped.copy_(follow(self.stopped, code))
        self.host_progress[ROWS_STOPPED] = int(self.stopped) & ENDS
        self.host_progress[TOKENS_OUT] = done + new


def drawn(count: int, share: float) -> torch.Tensor:
    """Whether each proposed token is accepted, int8 [DRAWS, count]; the same draw each time."""
    return (torch.rand(DRAWS, count, generator=torch.Generator().manual_seed(0)) < share).to(torch.int8)
