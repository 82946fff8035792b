"""What proposes the tokens of a round: a smaller model, or the text so far."""

from __future__ import annotations

import torch

from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.rounds import RoundState
from scripts.runtime.gumbel import RowDraws
from scripts.runtime.stops import TEXT

Proposal = tuple[torch.Tensor, torch.Tensor | None]


class Proposer:
    """Proposes k tokens a round, without host-device synchronisation."""

    def prefill(self, tokens: torch.Tensor, start: int) -> None:
        """Prefill prompt tokens at positions from ``start`` on, int64 [1, S]."""

    def propose(self, state: RoundState, draws: RowDraws | None) -> Proposal:
        """The newest token and k proposed ones, int64 [k + 1]; how many were proposed, int32 [1], None for all.

        ``draws`` say how the target's tokens are drawn; None where they are the most likely ones.
        """
        raise NotImplementedError


class DraftModel(Proposer):
    """A smaller model drafts k tokens (Leviathan et al., 2023; Chen et al., 2023).

    Its first step of a round is given the newest token and the one before: where a whole proposal was accepted, the
    last of its tokens never went through the draft. So a round takes k steps of the draft, not k + 1. Where tokens are
    drawn, the draft draws with the target's noise, so that both take the same token where they agree on its chances.

    Args:
        decoder: the draft.
        cache: the draft's, of one row.
    """

    def __init__(self, decoder: Decoder, cache: StaticCache) -> None:
        self.decoder, self.cache = decoder, cache
        self._layers = cache.rows(0, 1)

    def prefill(self, tokens: torch.Tensor, start: int) -> None:
        """Fill the draft's cache."""
        self.decoder.prefill(tokens, self._layers, start)

    def propose(self, state: RoundState, draws: RowDraws | None) -> Proposal:
        """Draft token by token."""
        x = self.decoder.decode(state.last_two, self._layers, state.positions[:1])[1:]  # [1, hidden]
        given = [state.last_two[1:], self._choose(x, state, 1, draws)]
        for index in range(2, state.count + 1):
            x = self.decode(given[-1], state.positions[index : index + 1])
            given.append(self._choose(x, state, index, draws))
        return torch.cat(given), None

    def _choose(self, x: torch.Tensor, state: RoundState, index: int, draws: RowDraws | None) -> torch.Tensor:
        """The token behind that at the state's position of this index: [1, hidden] -> int64 [1]."""
        return self.decoder.choose(x, draws, None if draws is None else state.positions[index : index + 1] + 1)

    def decode(self, token: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """One token, int64 [1], at its position, int32 [1] -> [1, hidden]."""
        return self.decoder.decode(token, self._layers, position)


class PromptLookup(Proposer):
    """Proposes what followed the last tokens where these occurred before (Saxena, 2023)."""

    def propose(self, state: RoundState, draws: RowDraws | None) -> Proposal:
        """Look the last tokens up in the prompt and the tokens so far."""
        if state.last_two.device.type == "cuda":
            from scripts.kernels import triton_round

            return triton_round.look_up(state)
        return look_up(state)


def look_up(state: RoundState) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the last two tokens, or else the last one, in the text before.

    The rule is that of transformers' ``PromptLookupCandidateGenerator``: two tokens go before one, the first
    occurrence before later ones, and the proposal ends with the text and before a stop token.

    Returns:
        The newest token and k further ones, int64 [k + 1]; how many of them are proposed, int32 [1]: 0 without an
        occurrence. What stands behind those proposed is any token.
    """
    sequence, count, position = state.sequence, state.count, state.positions[1]
    indices = torch.arange(len(sequence), device=sequence.device)
    same = (sequence == state.last_two[1]) & (indices < position)
    both = same[1:] & (sequence[:-1] == state.last_two[0])
    nowhere = len(sequence)
    by_two = torch.where(both, indices[1:], nowhere).min()
    by_one = torch.where(same, indices, nowhere).min()
    source = torch.where(by_two < nowhere, by_two, by_one) + 1 + indices[:count]  # [k]
    tokens = sequence[source.clamp(max=nowhere - 1)]
    ends = (source > position) | ((state.is_stop[tokens] & ~TEXT) != 0)
    proposed = torch.where(ends, indices[:count], count).min().int().view(1)
    return torch.cat((state.last_two[1:], tokens)), proposed
