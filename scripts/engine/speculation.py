"""Speculative decoding in the decode loop: proposing, verifying and accepting are one captured graph.

The device settles how many tokens a round puts out and moves on by so many positions; the host learns of it via pinned
memory while the next round runs. Cache positions behind the newest token may hold keys and values of rejected tokens: a
round writes a position before anything attends to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.engine import GraphEngine
from scripts.engine.graphs import GraphPool
from scripts.engine.proposers import DraftModel, PromptLookup, Proposer
from scripts.engine.rounds import ACCEPTED, PROPOSED, RoundState
from scripts.engine.session import Session
from scripts.engine.state import ROWS_STOPPED, TOKENS_OUT
from scripts.runtime.drawing import Sampler
from scripts.runtime.generation import Observation, SampleRecorder
from scripts.runtime.models import Loaded
from scripts.runtime.rounds import Round, RoundCounter

ROUNDS_IN_FLIGHT = 2  # launched, and not yet seen to end by the host, at most


class RoundSession(Session):
    """Captured graphs of single requests: a prefill of both models for each bucket, and the round."""

    def __init__(
        self, decoder: Decoder, cache: StaticCache, proposer: Proposer, state: RoundState, graph_pool: GraphPool,
        prefix: int, sampler: Sampler | None = None,
    ) -> None:  # fmt: skip
        super().__init__(decoder, cache, 1, 1, graph_pool, prefix, sampler)
        self.state: RoundState = state
        self.proposer = proposer

    def _prefill(self, given: torch.Tensor) -> None:
        self.state.begin(given[0, :-1], given[0, -1:], self.prefix)
        super()._prefill(given)
        # The first token is out by now.
        self.proposer.prefill(given[:, :-1], self.prefix)

    def _decode_step(self) -> None:
        state = self.state
        given, proposed = self.proposer.propose(state, self.draws.rows)
        state.advance(given, self.verify(given), proposed)

    def verify(self, given: torch.Tensor) -> torch.Tensor:
        """The target's token after each of the newest and the proposed tokens: int64 [T] -> [T].

        Where tokens are drawn, the noise of a position is the same whatever was proposed there, so that the target's
        token is settled, and a proposal is right or wrong as under greedy decoding.
        """
        x, positions, draws = self.decoder.decode(given, self._layers, self.state.positions[1:2]), None, self.draws.rows
        if draws is not None:
            # The first of the state's positions is that of the token before the newest.
            draws, positions = draws.repeated(len(given)), self.state.positions[: len(given)] + 2
        return self.decoder.choose(x, draws, positions)


class SpeculativeEngine(GraphEngine):
    """Decoding of one request at a time, several tokens a round.

    Args:
        loaded: the target and, where one drafts, the draft.
        settings: the facet's, resolved: ``tokens`` or ``prompt_lookup``, and ``forced_acceptance``.
        shared_prefix: prefill the tokens that all prompts begin with once, before the first request.
        pad: the token that fills a bucket.
    """

    def __init__(self, loaded: Loaded, settings: dict[str, Any], *, shared_prefix: bool, pad: int) -> None:
        super().__init__(loaded, shared_prefix=shared_prefix, pad=pad)
        self.looks_up = "prompt_lookup" in settings
        self.count: int = settings["prompt_lookup" if self.looks_up else "tokens"]
        self.acceptance: float | None = settings.get("forced_acceptance")
        # The last round goes beyond the limit, and those in flight by then go on from there.
        self.beyond = ROUNDS_IN_FLIGHT * (self.count + 1) + 1

    def _decoder(self, positions: int) -> Decoder:
        self._positions = positions
        self.proposer = self._make_proposer(positions)
        return super()._decoder(positions)

    def _make_proposer(self, positions: int) -> Proposer:
        if self.looks_up:
            return PromptLookup()
        draft = Decoder(self.loaded.draft, positions)
        return DraftModel(draft, StaticCache(len(draft.layers), 1, positions, draft.heads, draft.dtype, self.device))

    def _prefill_prefix(self, tokens: torch.Tensor) -> None:
        super()._prefill_prefix(tokens)
        self.proposer.prefill(tokens, 0)

    def _session(self, rows: int) -> Session:
        if rows not in self.sessions:
            room = self._steps + self.beyond
            state = RoundState.empty(
                self.count, room, self.decoder.vocabulary, self.device,
                length=self._positions if self.looks_up else 0, acceptance=self.acceptance,
            )  # fmt: skip
            if state.sequence is not None:
                state.sequence[: len(self.prefix)] = torch.tensor(self.prefix, device=self.device)
            self.sessions[rows] = RoundSession(
                self.decoder, self.cache, self.proposer, state, self.graph_pool, len(self.prefix), self.loaded.sampler
            )
        return self.sessions[rows]

    def _follow(self, session: Session) -> list[float]:
        """Launch rounds until the request has stopped or is long enough; returns when each kept token was seen."""
        state, limit = session.state, self._limit
        moments: list[float] = []
        following = None if self._texts is None else self._following(session)
        started, ended, reached = 1, 0, 0  # graphs, the prefill's among them; tokens of the ended ones
        while len(moments) < limit:
            # Each graph in flight puts out at least a token.
            while started <= ended + self.ahead and len(moments) + started - ended < limit:
                session.step()
                started += 1
            self._wait(state.host_progress, len(moments))
            stopped, out = int(state.host_progress[ROWS_STOPPED]), int(state.host_progress[TOKENS_OUT])
            before = len(moments)
            moments += [time.perf_counter()] * (out - before)
            while reached < out:
                reached += 1 if ended == 0 else int(state.counts[ended - 1, ACCEPTED]) + 1
                ended += 1
            if stopped or (following is not None and following(before, len(moments))):
                break
        self.rounds_run, self._extra_step = ended - 1, started > ended
        tokens = state.host_tokens[: min(len(moments), limit), 0].tolist()
        return moments[: len(self._ending.trim(tokens))]

    def rounds(self) -> list[tuple[int, int]]:
        """Tokens proposed and accepted in each round of the last request, whether all were kept or not."""
        counts = self.sessions[1].state.counts[: self.rounds_run]
        return list(zip(counts[:, PROPOSED].tolist(), counts[:, ACCEPTED].tolist(), strict=True))

    def recorder(self) -> SampleRecorder:
        """What counts proposed and accepted tokens of each request."""
        return EngineRounds(self)

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one request and say what was run."""
        seen = super().observe(prompts)
        seen.forward_lengths = [seen.forward_lengths[0], *([self.count + 1] * self.rounds_run)]
        seen.forward_rows = [1] * len(seen.forward_lengths)
        return seen

    @torch.inference_mode()
    def forward_times(self) -> dict[str, float | None]:
        """Seconds of a step of each model with one token, of the verification's forward, and of a whole round."""
        session = self.sessions[1]
        state, proposer = session.state, self.proposer
        self._rewind(state)
        given = state.last_two[1:].repeat(self.count + 1)

        def captured(work: Callable[[], object]) -> float:
            return self._typical(GraphPool(self.device).capture(work))

        times = {
            "target_forward_s": captured(lambda: session.verify(given[:1])),
            "draft_forward_s": None,
            "verify_forward_s": captured(lambda: session.verify(given)),
            "round_s": self._typical(session.step, lambda: self._rewind(state)),
        }
        if isinstance(proposer, DraftModel):
            self._rewind(state)
            draft, position = proposer.decoder, state.positions[1:2]
            times["draft_forward_s"] = captured(
                lambda: draft.choose(proposer.decode(given[:1], position), session.draws.rows, position + 1)
            )
        return times

    def _rewind(self, state: RoundState) -> None:
        """Back to the end of the last request, so that repeated rounds stay within the cache."""
        last = self.cache.length - 1
        state.positions.copy_(torch.arange(last - 1, last + self.count, device=self.device))
        state.step.fill_(1)
        state.round_index.zero_()

    def facts(self) -> dict[str, Any]:
        """What this loop did, for the evidence."""
        return super().facts() | {"tokens_verified_at_once": self.count + 1}


class EngineRounds(RoundCounter):
    """Counts from what the device wrote of each round.

    The prefill counts as a forward of the target; nothing is proposed in it, and it is in no histogram. Look-ahead
    rounds behind the end are not the request's.
    """

    def __init__(self, engine: SpeculativeEngine) -> None:
        super().__init__(engine.count)
        self._engine = engine
        self._rounds: list[Round] = []

    def start(self, prompt_tokens: int) -> None:
        """Forget the request before."""
        self._rounds = []

    def generated(self, tokens: list[int]) -> None:
        """All tokens of the request that just ended, up to its end."""
        kept = len(tokens) - 1  # the first is the prompt's
        for proposed, accepted in self._engine.rounds():
            if kept <= 0:
                break
            rejected = int(accepted < proposed and accepted < kept)
            self._rounds.append(Round(proposed, min(accepted, kept), rejected))
            kept -= accepted + 1

    def fields(self) -> dict[str, int]:
        """The request's counts; also added to the run's totals."""
        if self._rounds:
            self.generators.add(type(self._engine.proposer).__name__)
        if not self._engine.looks_up:
            self.draft_calls += 1 + sum(each.drafted for each in self._rounds)
        return self.add(self._rounds, further=1)
