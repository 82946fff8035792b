"""A served technique prepared for timing: asks a running server, one batch of requests at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scripts.foundation.wording import shown
from scripts.inference import served_answers, served_leading
from scripts.inference.served_memory import ServerMemory
from scripts.inference.timed_loop import token_lists
from scripts.runtime.drawing import Sampler
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.stops import Stops
from scripts.serving import api as kinds
from scripts.serving import placeholders
from scripts.serving.client import Client, Exchange
from scripts.serving.errors import ServerError
from scripts.serving.running import Running

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from scripts.serving.api import Answer, Ask

NEWLINE = "\n"
STUDY_NOISE, SERVER_NOISE = "the study's", "the server's own"
SEEDS = 1 << 31  # every server takes a signed 32-bit number


class Requests:
    """What the timed loop sees of a server, in place of a loaded model.

    Args:
        running: the server.
        tokenizer: of the study's model: prompts are made with it, and the server's counts held against it.
        stops: what ends a headline.
        generation: the study's settings.
        settings: the technique's facets.
        memory: read between batches.
        limit_s: the longest an answer may take.
        chats: the messages that go to a server which puts them into its template itself, by prompt.
    """

    def __init__(
        self, running: Running, tokenizer: PreTrainedTokenizerBase, stops: Stops, generation: dict[str, Any],
        settings: dict[str, Any], memory: ServerMemory, limit_s: float,
        chats: dict[str, tuple[dict[str, str], ...]] | None = None,
    ) -> None:  # fmt: skip
        self.running, self.tokenizer, self.stops = running, tokenizer, stops
        self.batch_size: int = settings.get("batch_size") or 1
        self.prompt_tokens: int | None = settings.get("prompt_tokens")
        self.usages: list[dict[str, Any]] = []
        self.sources: set[str] = set()
        self.asked_again = 0  # requests behind a leading line break
        self.texts_differ = 0  # answers whose text is not that of their ids
        self._memory = memory
        self._preset = running.spec.preset
        self._names = self._preset["api"]["names"]
        self._chats = chats or {}
        self._most: int = settings.get("max_new_tokens") or generation["max_new_tokens"]
        self._by_text = False
        self._extra: dict[str, Any] = {}
        drawn = generation.get("sampling")
        self.sampler = Sampler(**drawn) if drawn else None
        self.draws: int = generation.get("draws", 1)
        self._stop_tokens: tuple[int, ...] = ()
        self._stop_text: tuple[str, ...] = ()
        self._use_natural(settings.get("stop") or generation["stop"])
        self._loop = asyncio.new_event_loop()
        self._client = Client(running.api, limit_s)
        self._loop.run_until_complete(self._client.__aenter__())

    def _use_natural(self, stop: str | list[str]) -> None:
        """Stop where the study's own loop does: at the same tokens if the server takes them, else at the text."""
        natural = self._preset.get("natural", {})
        self._natural_names = set(placeholders.named(natural))
        self._extra = placeholders.fill(natural, self._values(self.stops.all_tokens))
        if self.stops.texts is not None:
            if not self._names.get("stop_text"):
                raise UnsupportedError(
                    f"{self.running.spec.label} takes no texts to stop at, and 'stop' has some; set it to 'line_break' "
                    "or 'end_token', or api.names.stop_text of its preset."
                )
            self._stop_text, self._by_text = self.stops.texts.texts, True
        if self._names.get("stop_tokens"):
            self._stop_tokens = tuple(self.stops.all_tokens)
        elif stop == "line_break" and "stop_tokens" not in self._natural_names:
            if not self._names.get("stop_text"):
                raise UnsupportedError(
                    f"{self.running.spec.label} takes nothing to stop at, and generation.stop is 'line_break'; set "
                    "api.names.stop_text of its preset, or generation.stop to 'end_token'."
                )
            self._stop_text, self._by_text = (NEWLINE,), True

    def _values(self, stop_tokens: list[int]) -> dict[str, Any]:
        """What fills the placeholders of every request's fields."""
        values = {"stop_tokens": stop_tokens, "new_tokens": self._most, "drawn": self.sampler is not None}
        sampler, unlimited = self.sampler or Sampler(0.0), self._preset.get("no_top_k", 0)
        return values | {
            "temperature": sampler.temperature,
            "top_p": sampler.top_p,
            "top_k": unlimited if sampler.top_k is None else sampler.top_k,
            "study_seed": sampler.seed,
            "draw": sampler.draw,
        }

    def _drawing(self, ids: list[int]) -> dict[str, Any]:
        """Fields of a request whose answer is drawn; its seed is its own, so that no two prompts share their luck."""
        if self.sampler is None:
            return {}
        (key,) = self.sampler.keys([ids])
        return placeholders.fill(self._preset["sampling"], self._values([]) | {"seed": key % SEEDS})

    def use_draw(self, draw: int) -> None:
        """From now on ask for this draw's answer to each prompt, from 0."""
        if self.sampler is not None:
            self.sampler = replace(self.sampler, draw=draw)

    @property
    def can_fix_lengths(self) -> bool:
        """Whether the preset says how to ask for an exact length."""
        return "fixed" in self._preset

    @contextlib.contextmanager
    def fixed_length(self, new_tokens: int) -> Iterator[None]:
        """In the block every text has exactly so many tokens."""
        natural = (self._most, self._extra, self._stop_tokens, self._stop_text, self._by_text, self.stops)
        self._most, self.stops = new_tokens, Stops.none()
        self._extra = placeholders.fill(self._preset["fixed"], self._values([]))
        self._stop_tokens, self._stop_text, self._by_text = (), (), False
        try:
            yield
        finally:
            self._most, self._extra, self._stop_tokens, self._stop_text, self._by_text, self.stops = natural

    @property
    def fixes_length(self) -> bool:
        """Whether texts of an exact length are asked for now."""
        return not self.stops.all_tokens

    def token_ids(self, prompts: list[str]) -> list[list[int]]:
        """Token ids of each prompt."""
        return token_lists(prompts, self.tokenizer, self.prompt_tokens)

    def asks(self, prompts: list[str], names: list[str]) -> list[Ask]:
        """The requests of these prompts as they are sent, each under the name at its place."""
        rows = zip(names, prompts, self.token_ids(prompts), strict=True)
        return [replace(self._ask(prompt, ids), id=name) for name, prompt, ids in rows]

    def warm_up(self, count: int, prompts: list[str]) -> None:
        """Ask for ``count`` batches, untimed."""
        for turn in range(count):
            self.generate(prompts[turn % len(prompts) :][: self.batch_size], counted=False)

    def generate(self, prompts: list[str], *, counted: bool) -> list[dict[str, Any]]:
        """Send one batch, its requests together; returns a line of samples.jsonl for each, without its id.

        Raises:
            EvidenceError: the server counts other tokens than the study.
            ServerError: it does not answer as its API should.
        """
        began = time.perf_counter()
        ids = self.token_ids(prompts)
        asks = [self._ask(prompt, row) for prompt, row in zip(prompts, ids, strict=True)]
        answers = self._loop.run_until_complete(self._send(asks))
        elapsed = time.perf_counter() - began
        lines = []
        for answer, row in zip(answers, ids, strict=True):
            self._check(answer, row)
            made = served_answers.line(
                answer, began, self._encode, self._decode, self.stops, text_stops=self._by_text
            )  # fmt: skip
            batch = {"batch_requests": len(prompts), "batch_time_s": elapsed}
            lines.append({"prompt_tokens": len(row)} | made | batch)
            if counted:
                self.usages.append(answer.usage or {})
                self.sources.add(made["tokens"])
                self.texts_differ += made["tokens"] == served_answers.API and _differ(made["text"], answer.text)
        self._memory.read(self.running)
        return lines

    def _ask(self, prompt: str, ids: list[int]) -> Ask:
        by_ids = tuple(ids) if self._names.get("prompt_tokens") else None
        return kinds.Ask(
            prompt, by_ids, self._most, self._stop_tokens, self._stop_text, self._extra | self._drawing(ids),
            messages=self._chats.get(prompt, ()),
        )  # fmt: skip

    def exchange(self, ask: Ask) -> Exchange:
        """Send one request; what came is not read, and nothing of it is counted."""
        return self._loop.run_until_complete(self._client.exchange(ask))

    async def _send(self, asks: list[Ask]) -> list[Answer]:
        found = await asyncio.gather(*(served_leading.send(self._client, ask, self.stops.held) for ask in asks))
        self.asked_again += sum(again for _, again in found)
        return [answer for answer, _ in found]

    def _check(self, answer: Answer, ids: list[int]) -> None:
        label = self.running.spec.label
        if answer.error_kind in (kinds.REFUSED, kinds.CUT, kinds.TIMEOUT) and not self._lives():
            raise self.running.ended()
        if not answer.ok:
            raise ServerError(f"{label}: {answer.error}")
        if answer.prompt_tokens != len(ids):
            more = "; it may add a begin-of-sequence token" if answer.prompt_tokens == len(ids) + 1 else ""
            raise EvidenceError(
                f"{label} counts {answer.prompt_tokens} tokens of a prompt that has {len(ids)} in the study{more}."
            )
        if self.fixes_length and answer.new_tokens != self._most:
            raise EvidenceError(
                f"{label} was asked for {self._most} new tokens in the fixed mode and counts {answer.new_tokens}."
            )
        if not answer.new_tokens:
            raise ServerError(f"{label} answered without a token: {shown(answer.text)}.")

    def _lives(self) -> bool:
        """Whether the server runs; a connection can break a moment before its process has ended."""
        until = time.monotonic() + 1.0
        while (alive := self.running.alive()) and self.running.process is not None and time.monotonic() < until:
            time.sleep(0.05)
        return alive

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def resolved(self) -> dict[str, Any]:
        """The generation settings as they were sent."""
        api = self.running.api
        ids = len(self.stops.all_tokens) if "stop_tokens" in self._natural_names else len(self._stop_tokens)
        stops: Any = f"{ids} token ids" if ids else []
        if self._stop_text:
            stops = [*([stops] if ids else []), *self._stop_text]
        drawn = {} if self.sampler is None else {
            "sampling": self.sampler.facts(), "draws": self.draws,
            "noise": STUDY_NOISE if self._preset.get("draws_alike") else SERVER_NOISE,
        }  # fmt: skip
        names = {"path": api.path, "kind": api.kind, "max_new_tokens": self._most, "stops_sent": stops}
        # Hundreds of token ids say no more than their names.
        # Fields of the preset's body that every request replaces say nothing.
        body = {key: value for key, value in api.body.items() if not drawn or key not in self._preset["sampling"]}
        return names | body | {"further_fields": sorted(self._extra)} | drawn

    def close(self) -> None:
        """Close the connections."""
        self._loop.run_until_complete(self._client.__aexit__(None, None, None))
        self._loop.close()


def _differ(ours: str, theirs: str) -> bool:
    """Whether two texts differ before their first line break, white space around them aside."""
    return ours.strip().split(NEWLINE, 1)[0].strip() != theirs.strip().split(NEWLINE, 1)[0].strip()
