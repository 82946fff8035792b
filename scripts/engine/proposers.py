"""What proposes the tokens of a round: a smaller model, or the text so far."""

from __future__ import annotations

import torch

from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.rounds import RoundState

Proposal = tuple[torch.Tensor, torch.Tensor | None]


class Proposer:
    """Proposes k tokens a round without asking the device for anything."""

    calls_per_token = 0  # of a model

    def read(self, tokens: torch.Tensor, start: int) -> None:
        """Read prompt tokens that stand at ``start`` and after, int64 [1, S]."""

    def propose(self, state: RoundState) -> Proposal:
        """The newest token and k proposed ones, int64 [k + 1]; how many were proposed, int32 [1], None for all."""
        raise NotImplementedError


class DraftModel(Proposer):
    """A smaller model drafts k tokens (Leviathan et al., 2023; Chen et al., 2023).

    Its first step of a round is given the newest token and the one before: where the round before was accepted
    whole, its last token never went through the draft. So a round takes k steps of the draft, not k + 1.

    Args:
        decoder: the draft.
        cache: the draft's, of one row.
    """

    calls_per_token = 1

    def __init__(self, decoder: Decoder, cache: StaticCache) -> None:
        self.decoder, self.cache = decoder, cache
        self._layers = cache.rows(0, 1)

    def read(self, tokens: torch.Tensor, start: int) -> None:
        """Fill the draft's cache."""
        self.decoder.prompt(tokens, self._layers, start)

    def propose(self, state: RoundState) -> Proposal:
        """Draft token by token."""
        x = self.decoder.step(state.pair, self._layers, state.places[:1])[1:]  # [1, hidden]
        given = [state.pair[1:], self.decoder.choose(x)]
        for place in range(2, state.count + 1):
            given.append(self.decoder.choose(self.step(given[-1], state.places[place : place + 1])))
        return torch.cat(given), None

    def step(self, token: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """One token, int64 [1], at its place, int32 [1] -> [1, hidden]."""
        return self.decoder.step(token, self._layers, place)


class PromptLookup(Proposer):
    """Proposes what followed the last tokens where these occurred before (Saxena, 2023)."""

    def propose(self, state: RoundState) -> Proposal:
        """Look the last tokens up in the prompt and what came out."""
        if state.pair.device.type == "cuda":
            from scripts.kernels.triton_round import look_up as on_device

            return on_device(state)
        return look_up(state)


def look_up(state: RoundState) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the last two tokens, or else the last one, in the text before.

    The rule is that of transformers' ``PromptLookupCandidateGenerator``: two tokens go before one, the first
    occurrence before later ones, and the proposal ends with the text and before a stop token.

    Returns:
        The newest token and k further ones, int64 [k + 1]; how many of them are proposed, int32 [1]: 0 without an
        occurrence. What stands behind those proposed is any token.
    """
    sequence, count, place = state.sequence, state.count, state.places[1]
    spots = torch.arange(len(sequence), device=sequence.device)
    same = (sequence == state.pair[1]) & (spots < place)
    both = same[1:] & (sequence[:-1] == state.pair[0])
    nowhere = len(sequence)
    by_two = torch.where(both, spots[1:], nowhere).min()
    by_one = torch.where(same, spots, nowhere).min()
    source = torch.where(by_two < nowhere, by_two, by_one) + 1 + spots[:count]  # [k]
    tokens = sequence[source.clamp(max=nowhere - 1)]
    ends = (source > place) | (state.is_stop[tokens] != 0)
    proposed = torch.where(ends, spots[:count], count).min().int().view(1)
    return torch.cat((state.pair[1:], tokens)), proposed
