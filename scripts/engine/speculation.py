"""Speculation in the decode loop: proposing, verifying and accepting are one piece of recorded work.

How many tokens a round puts out is settled on the device, which also moves on by so many positions; the host learns it
from its own memory, while the next round runs. Positions behind the newest token may hold keys and values of rejected
ones: a round writes a position before anything attends to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.engine import GraphEngine
from scripts.engine.graphs import Recorder
from scripts.engine.proposers import DraftModel, PromptLookup, Proposer
from scripts.engine.rounds import ACCEPTED, PROPOSED, RoundState
from scripts.engine.session import Session
from scripts.engine.state import ROWS_STOPPED, TOKENS_OUT
from scripts.runtime.generation import Observation, SampleRecorder
from scripts.runtime.models import Loaded
from scripts.runtime.rounds import Round, RoundCounter

UNDER_WAY = 2  # rounds at most that the host has not seen the end of


class RoundSession(Session):
    """Recorded work of single requests: a prefill of both models for each bucket, and the round."""

    def __init__(
        self, decoder: Decoder, cache: StaticCache, proposer: Proposer, state: RoundState, recording: Recorder,
        prefix: int,
    ) -> None:  # fmt: skip
        super().__init__(decoder, cache, 1, 1, recording, prefix)
        self.state: RoundState = state
        self.proposer = proposer

    def _read(self, given: torch.Tensor) -> None:
        self.state.begin(given[0, :-1], given[0, -1:], self.prefix)
        super()._read(given)
        # The first token is out by now.
        self.proposer.read(given[:, :-1], self.prefix)

    def _step(self) -> None:
        state = self.state
        given, proposed = self.proposer.propose(state)
        state.advance(given, self.verify(given), proposed)

    def verify(self, given: torch.Tensor) -> torch.Tensor:
        """The newest token and those behind it -> what the target puts behind each of them; int64 [T] -> [T]."""
        x = self.decoder.step(given, self._layers, self.state.places[1:2])
        return self.decoder.choose(x)


class SpeculativeEngine(GraphEngine):
    """Greedy decoding of one request at a time, several tokens a round.

    Args:
        loaded: the target and, where one drafts, the draft.
        settings: the facet's, resolved: ``tokens`` or ``prompt_lookup``, and ``forced_acceptance``.
        shared_prefix: read the tokens that all prompts begin with once, before the first request.
        pad: the token that fills a bucket.
    """

    def __init__(self, loaded: Loaded, settings: dict[str, Any], *, shared_prefix: bool, pad: int) -> None:
        super().__init__(loaded, shared_prefix=shared_prefix, pad=pad)
        self.looks_up = "prompt_lookup" in settings
        self.count: int = settings["prompt_lookup" if self.looks_up else "tokens"]
        self.forced: float | None = settings.get("forced_acceptance")
        # The last rounds go beyond the limit, and those under way when it is reached go on from there.
        self.beyond = UNDER_WAY * (self.count + 1) + 1

    def _decoder(self, positions: int) -> Decoder:
        self._positions = positions
        self.proposer = self._make_proposer(positions)
        return super()._decoder(positions)

    def _make_proposer(self, positions: int) -> Proposer:
        if self.looks_up:
            return PromptLookup()
        draft = Decoder(self.loaded.draft, positions)
        return DraftModel(draft, StaticCache(len(draft.layers), 1, positions, draft.heads, draft.dtype, self.device))

    def _read_once(self, tokens: torch.Tensor) -> None:
        super()._read_once(tokens)
        self.proposer.read(tokens, 0)

    def _session(self, rows: int) -> Session:
        if rows not in self.sessions:
            room = self._steps + self.beyond
            state = RoundState.empty(
                self.count, room, self.decoder.vocabulary, self.device,
                positions=self._positions if self.looks_up else 0, forced=self.forced,
            )  # fmt: skip
            if state.sequence is not None:
                state.sequence[: len(self.prefix)] = torch.tensor(self.prefix, device=self.device)
            self.sessions[rows] = RoundSession(
                self.decoder, self.cache, self.proposer, state, self.recording, len(self.prefix)
            )
        return self.sessions[rows]

    def _follow(self, session: Session) -> list[float]:
        """Keep rounds under way until the request has stopped or is long enough; when each kept token was seen."""
        state, limit = session.state, self._limit
        moments: list[float] = []
        started, ended, reached = 1, 0, 0  # the prompt's graph among them; tokens of those that ended
        while len(moments) < limit:
            # Each piece under way puts out a token at least.
            while started <= ended + self.ahead and len(moments) + started - ended < limit:
                session.step()
                started += 1
            self._wait(state.seen, len(moments))
            stopped, out = int(state.seen[ROWS_STOPPED]), int(state.seen[TOKENS_OUT])
            moments += [time.perf_counter()] * (out - len(moments))
            while reached < out:
                reached += 1 if ended == 0 else int(state.counts[ended - 1, ACCEPTED]) + 1
                ended += 1
            if stopped:
                break
        self.rounds_run, self._in_vain = ended - 1, started > ended
        tokens = state.tokens_out[: min(len(moments), limit), 0].tolist()
        stops = set(self._stops)
        end = next((place for place, token in enumerate(tokens, start=1) if token in stops), len(tokens))
        return moments[:end]

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
        given = state.pair[1:].repeat(self.count + 1)

        def recorded(work: Callable[[], object]) -> float:
            return self._typical(Recorder(self.device).record(work))

        times = {
            "target_forward_s": recorded(lambda: session.verify(given[:1])),
            "draft_forward_s": None,
            "verify_forward_s": recorded(lambda: session.verify(given)),
            "round_s": self._typical(session.step, lambda: self._rewind(state)),
        }
        if isinstance(proposer, DraftModel):
            self._rewind(state)
            draft, place = proposer.decoder, state.places[1:2]
            times["draft_forward_s"] = recorded(lambda: draft.choose(proposer.step(given[:1], place)))
        return times

    def _rewind(self, state: RoundState) -> None:
        """Back to the end of the last request, so that no number of rounds leads out of the room there is."""
        last = self.cache.length - 1
        state.places.copy_(torch.arange(last - 1, last + self.count, device=self.device))
        state.step.fill_(1)
        state.turn.zero_()

    def facts(self) -> dict[str, Any]:
        """What this loop did, for the evidence."""
        return super().facts() | {"tokens_verified_at_once": self.count + 1}


class EngineRounds(RoundCounter):
    """Counts from what the device wrote of each round.

    The prompt's forward counts as one of the target's; it proposes nothing and is in no histogram. A round that the
    device ran behind the end is none of the request's.
    """

    def __init__(self, engine: SpeculativeEngine) -> None:
        super().__init__(engine.count)
        self._engine = engine
        self._rounds: list[Round] = []

    def start(self, prompt_tokens: int) -> None:
        """Forget the request before."""
        self._rounds = []

    def put_out(self, tokens: list[int]) -> None:
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
