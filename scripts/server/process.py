"""The engine's process: loads a technique's model, warms up, and answers what its fronts hand over."""

from __future__ import annotations

import gc
import logging
import signal
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from scripts.foundation import modules
from scripts.foundation.errors import StudyError
from scripts.inference import worker
from scripts.runtime.drawing import Sampler
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.serving import Request
from scripts.runtime.stops import NOTHING_HELD, Held
from scripts.server.fronts import Fronts
from scripts.techniques.registry import used_facets

if TYPE_CHECKING:
    from scripts.inference.preparation import Prepared
    from scripts.runtime.serving import Batching

logger = logging.getLogger(__name__)

OBSERVED_REQUESTS, OBSERVED_TOKENS = 4, 4  # for the evidence
LONGEST = 2048  # tokens of a request and its answer, where nobody says more
END_LIMIT_S = 10.0  # for requests under way, after a signal to end
SPIN_S = 0.002  # without news of the device; then its process sleeps between looks
PAUSE_S = 50e-6
IDLE_S = 0.1  # between looks at signals, while there is nothing to do
BESIDE_S = 0.001  # between looks at a loop that has a thread of its own


def refuse_unserved(technique: str, settings: dict[str, Any]) -> None:
    """Refuse a technique that does not serve requests as they come, before its model is loaded.

    Raises:
        UnsupportedError: a sentence that says what does not.
    """
    if not settings.get("engine"):
        raise UnsupportedError(
            f"Technique '{technique}' runs transformers' generate, which answers one batch after another; use engine "
            "graph or transformers_continuous."
        )
    for facet, value in used_facets(settings):
        facet.check_served(value, settings)


class Engine:
    """A loaded technique that is ready to serve.

    Args:
        request: of a run, as ``scripts.generate.prepare`` makes it.
        max_length: the most tokens of a prompt and its answer; by the model, up to ``LONGEST``, if None.
        slots: requests under way at most; by the technique if None.
        name: the model's name, beside the technique's.

    Attributes:
        batching: its loop.
        info: what fronts must know.
    """

    def __init__(self, request: dict[str, Any], max_length: int | None, slots: int | None, name: str | None) -> None:
        began = time.perf_counter()
        settings = request["settings"]
        process = worker.start(request, rank=0)
        from scripts.inference.preparation import prepare
        from scripts.inference.prompts import find_stops

        tokenizer, prompts = _texts(request)
        prepared = prepare(request, process, tokenizer)
        loaded, config = prepared.loaded, prepared.loaded.model.config
        pad = prepared.options["generation_config"].pad_token_id
        found = [facet.batching(value, loaded, pad, slots) for facet, value in used_facets(settings)]
        batching: Batching = next(each for each in found if each is not None)
        self.batching = loaded.generator = batching
        self._breaks = find_stops(tokenizer, [], "line_break").held
        self._held: dict[frozenset[int], Held] = {}
        batching.reserve(max_length or min(config.max_position_embeddings, LONGEST))
        load_s = time.perf_counter() - began
        evidence = self._evidence(prepared, prompts, settings)
        names = [request["technique"], *([name] if name and name != request["technique"] else [])]
        special = {key: value for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
        self.info = {
            "names": names[::-1],
            "max_length": batching.max_length,
            "vocabulary": batching.vocabulary,
            "logprobs": batching.tells_logprobs,
            "ends": sorted(token for token in prepared.stops.end_tokens if token < batching.vocabulary),
            "tokenizer": tokenizer.backend_tokenizer.to_str(),
            "special_tokens_are_text": not request["generation"]["chat_template"],
            "chat_template": tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else None,
            "special_tokens": special,
            "version": _version(),
            "sampling": loaded.sampler.facts() if loaded.sampler else None,
            "evidence": {
                "technique": request["technique"],
                "dtype": str(process.dtype).removeprefix("torch."),
                "device": str(process.device),
                "decoding": "drawn" if loaded.sampler else "greedy",
                "facets": evidence,
                "load_s": load_s,
            },
        }

    def held(self, stops: frozenset[int]) -> Held:
        """Those of the stop tokens that are line breaks, to be held back until there is text."""
        if stops not in self._held:
            # Few sets: clients of one study send one.
            self._held = {stops: Held(stops & self._breaks.tokens, self._breaks.blank)}
        return self._held[stops]

    def _evidence(self, prepared: Prepared, prompts: list[list[int]], settings: dict[str, Any]) -> dict[str, Any]:
        """Answer a few requests together, which also warms up, and let each facet say what it sees of that."""
        batching, size = self.batching, settings.get("batch_size") or OBSERVED_REQUESTS
        room = batching.max_length
        new_tokens = min(OBSERVED_TOKENS, room - 1, settings.get("max_new_tokens") or OBSERVED_TOKENS)
        fixed = settings.get("prompt_tokens")
        fit = [prompt for prompt in prompts if len(prompt) + new_tokens <= room]
        if not fit and fixed:
            raise StudyError(
                f"prompts of {fixed} tokens don't fit a length of {room}; start the server with a larger --max-length."
            )
        count = min(size, OBSERVED_REQUESTS)
        given = (fit * count)[:count] or [[batching.vocabulary // 2] * min(16, room - new_tokens)] * count
        seen = batching.observe(given, new_tokens)
        if seen.not_finite is not None:
            raise StudyError(f"the model's logits are not finite {seen.not_finite}; choose another dtype.")
        prepared.loaded.notes["longest_headline_tokens"] = new_tokens
        return {facet.name: facet.evidence(value, prepared.loaded, seen) for facet, value in used_facets(settings)}

    def counts(self) -> dict[str, int | float]:
        """Counters and gauges for the metrics."""
        facts = self.batching.facts()
        run = facts["run"]
        counts: dict[str, int | float] = {
            "requests_running": self.batching.running,
            "requests_waiting": self.batching.waiting,
            "slots": self.batching.slots,
            "cache_tokens": facts["cache_tokens"],
        } | {f"{name}_total": value for name, value in run.items()}
        if "recorded_while_timed" in facts:
            counts["late_captures_total"] = facts["recorded_while_timed"]
        if run.get("decode_steps"):
            counts["mean_batch"] = run["decode_rows"] / run["decode_steps"]
        return counts


class Loop:
    """Hands requests to the engine and tokens to the fronts, until a signal asks for the end.

    Args:
        engine: ready to serve.
        fronts: whose requests are answered.
    """

    def __init__(self, engine: Engine, fronts: Fronts) -> None:
        self._engine, self._batching, self._fronts = engine, engine.batching, fronts
        self._ending_since: float | None = None
        self._quiet_since = time.perf_counter()

    def run(self) -> None:
        """Serve; returns after SIGTERM or SIGINT, when all requests under way are answered or a while has passed."""
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        fronts, batching, told = self._fronts, self._batching, False
        # A collection among all objects of the libraries would be felt by every request under way.
        gc.collect()
        gc.freeze()
        while True:
            for front, message in fronts.receive(self._wait_s()):
                self._take(front, message)
            if self._ending_since is not None:
                if not told:
                    fronts.send(("end",))
                    told = True
                if not batching.busy or time.perf_counter() - self._ending_since > END_LIMIT_S:
                    return
            if batching.busy:
                events = batching.step()
                if batching.likely:
                    fronts.send_logprobs(batching.likely)
                    batching.likely = []
                if events:
                    fronts.send_tokens(events)
                    self._quiet_since = time.perf_counter()

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending_since = self._ending_since or time.perf_counter()

    def _wait_s(self) -> float:
        """How long to wait for the fronts before the engine goes on."""
        batching = self._batching
        if not batching.busy:
            self._quiet_since = time.perf_counter()
            return IDLE_S if self._ending_since is None else 0.01
        if batching.own_thread:
            return BESIDE_S
        if batching.in_flight and time.perf_counter() - self._quiet_since > SPIN_S:
            time.sleep(PAUSE_S)
        return 0.0

    def _take(self, front: int, message: tuple[Any, ...]) -> None:
        kind, number = message[0], message[1]
        if kind == "ask":
            _, _, prompt, max_tokens, stops, after_text, logprobs, drawn = message
            held = self._engine.held(frozenset(stops)) if after_text else NOTHING_HELD
            stops = frozenset(stops) - held.tokens
            asked = Request((front, number), prompt, max_tokens, stops, held, logprobs, _sampler(drawn))
            try:
                self._batching.submit(asked)
            except ValueError as error:
                self._fronts.all[front].send(("refused", number, str(error)))
        elif kind == "cancel":
            self._batching.cancel((front, number))
        elif kind == "counts":
            self._fronts.all[front].send(("counts", number, self._engine.counts()))


def _sampler(drawn: tuple[float, float, int, int, int] | None) -> Sampler | None:
    """How a request's tokens are drawn, by its temperature, top_p, top_k, seed and draw."""
    if drawn is None:
        return None
    temperature, top_p, top_k, seed, draw = drawn
    return Sampler(temperature, top_p, top_k or None, seed, draw)


def _texts(request: dict[str, Any]) -> tuple[Any, list[list[int]]]:
    """The tokenizer, and token ids of the study's first prompts; none without a data set."""
    from scripts.inference.loading import load_tokenizer
    from scripts.inference.timed_loop import token_lists

    if request.get("dataset") and Path(request["dataset"]).is_file():
        tokenizer, _, prompts = worker.texts(request)
        return tokenizer, token_lists(prompts[:OBSERVED_REQUESTS], tokenizer, request["settings"].get("prompt_tokens"))
    tokenizer = load_tokenizer(request["models"]["target"]["path"])
    tokenizer.split_special_tokens = not request["generation"]["chat_template"]
    return tokenizer, []


def _version() -> str:
    """The project's version."""
    try:
        text = (modules.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    return next((line.split('"')[1] for line in text.splitlines() if line.startswith("version = ")), "unknown")
