"""What a request leaves on the device from round to round under speculation, and how its tokens reach the host.

As in ``state``, the last operation of a round writes the new tokens where the host can read them, and then how many
there are. A round puts out what was accepted and one token of the target's own, so the host also reads how many that
were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch

from scripts.engine.state import ROWS_STOPPED, TOKENS_OUT, host_readable

PROPOSED, ACCEPTED = 0, 1  # columns of a round's counts
DRAWS = 4096  # rounds whose acceptance is drawn in advance; then they come again


@dataclass
class RoundState:
    """Tensors of a fixed place, of one request; k tokens are proposed in a round.

    Attributes:
        pair: int64 [2]: the newest token, and the one before it in front.
        places: int32 [k + 1]: where the token before the newest stands, and the places after it.
        step: int32 [1]: how many tokens are out.
        turn: int32 [1]: how many rounds have been run.
        stopped: int8 [1]: whether a stop token is out.
        is_stop: int8 [vocabulary]: 1 for each token that ends a headline.
        out: int32 [room, 1], read by the host: the tokens.
        flag: int32 [2], read by the host: tokens that are out, whether one of them is a stop token.
        rounds: int32 [room, 2], read by the host: tokens proposed and accepted in each round.
        sequence: int64 [positions]: prompt and tokens, where they are looked up in; None elsewhere.
        draws: int8 [DRAWS, k]: whether a proposed token is accepted, where that is forced; None elsewhere.
        draw: int32 [1]: the row of ``draws`` for the request's first round.
    """

    pair: torch.Tensor
    places: torch.Tensor
    step: torch.Tensor
    turn: torch.Tensor
    stopped: torch.Tensor
    is_stop: torch.Tensor
    out: torch.Tensor
    flag: torch.Tensor
    rounds: torch.Tensor
    sequence: torch.Tensor | None
    draws: torch.Tensor | None
    draw: torch.Tensor

    def __post_init__(self) -> None:
        # Views of the same memory: reading one costs the host nothing but the reading.
        self.seen: numpy.ndarray = self.flag.numpy()
        self.tokens_out: numpy.ndarray = self.out.numpy()
        self.counts: numpy.ndarray = self.rounds.numpy()

    @property
    def count(self) -> int:
        """Tokens proposed in a round."""
        return len(self.places) - 1

    @classmethod
    def empty(
        cls, count: int, room: int, vocabulary: int, device: torch.device, *, positions: int = 0,
        forced: float | None = None,
    ) -> RoundState:  # fmt: skip
        """A state for ``room`` tokens.

        Args:
            count: tokens proposed in a round.
            room: tokens that may come out, those beyond the limit among them.
            vocabulary: how many tokens there are.
            device: where the models are.
            positions: of the longest request, where proposals are looked up; 0 where they are not.
            forced: the share of proposed tokens that is accepted whatever the target says; None: it is asked.
        """
        return cls(
            pair=torch.zeros(2, dtype=torch.int64, device=device),
            places=torch.zeros(count + 1, dtype=torch.int32, device=device),
            step=torch.zeros(1, dtype=torch.int32, device=device),
            turn=torch.zeros(1, dtype=torch.int32, device=device),
            stopped=torch.zeros(1, dtype=torch.int8, device=device),
            is_stop=torch.zeros(vocabulary, dtype=torch.int8, device=device),
            out=host_readable(device, room, 1),
            flag=host_readable(device, 2),
            rounds=host_readable(device, room, 2),
            sequence=torch.zeros(positions, dtype=torch.int64, device=device) if positions else None,
            draws=None if forced is None else drawn(count, forced).to(device),
            draw=torch.zeros(1, dtype=torch.int32, device=device),
        )

    def reset(self) -> None:
        """Nothing is out yet; called while the device is idle."""
        self.seen[:] = 0

    def begin(self, prompt: torch.Tensor, length: torch.Tensor, start: int) -> None:
        """Keep what rounds need of a prompt.

        Args:
            prompt: int64 [tokens], padded; it stands at ``start`` and after.
            length: int64 [1], its tokens without the padding.
            start: where its first token stands.
        """
        self.pair[:1] = prompt.gather(0, length - 1)
        if self.sequence is not None:
            self.sequence[start : start + len(prompt)] = prompt
        if self.draws is not None:
            # Another row for another prompt, and the same one each time that it comes.
            weights = torch.arange(1, len(prompt) + 1, device=prompt.device)
            self.draw.copy_((prompt * weights).sum(0, keepdim=True) % DRAWS)

    def start(self, chosen: torch.Tensor, lengths: torch.Tensor) -> None:
        """Put out the first token, int64 [1], of a prompt of that length, int64 [1]."""
        if chosen.device.type == "cuda":
            from scripts.kernels.triton_round import start

            start(self, chosen, lengths)
            return
        self.step.zero_()
        self.turn.zero_()
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
            from scripts.kernels.triton_round import finish

            finish(self, given, chosen, proposed)
            return
        count = self.count if proposed is None else int(proposed)
        if self.draws is None:
            right = given[1:] == chosen[:-1]
        else:
            right = self.draws[(int(self.draw) + int(self.turn)) % DRAWS] != 0
        accepted = int(right[:count].int().cumprod(0).sum())
        self.rounds[int(self.turn)] = torch.tensor([count, accepted])
        self.turn += 1
        self.pair[0] = given[accepted]
        self._put_out(torch.cat((given[1 : accepted + 1], chosen[accepted : accepted + 1])), int(self.places[1]) + 1)

    def _put_out(self, tokens: torch.Tensor, place: int) -> None:
        """Tokens, of which the first stands at ``place``."""
        done, new = int(self.step), len(tokens)
        self.out[done : done + new, 0] = tokens
        if self.sequence is not None:
            self.sequence[place : place + new] = tokens
        self.pair[1] = tokens[-1]
        self.places.copy_(place + new - 2 + torch.arange(len(self.places)))
        self.step += new
        self.stopped |= self.is_stop[tokens].amax()
        self.seen[ROWS_STOPPED] = int(self.stopped)
        self.seen[TOKENS_OUT] = done + new


def drawn(count: int, share: float) -> torch.Tensor:
    """Whether each proposed token is accepted, int8 [DRAWS, count]; the same draw each time."""
    return (torch.rand(DRAWS, count, generator=torch.Generator().manual_seed(0)) < share).to(torch.int8)
