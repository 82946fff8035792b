"""A technique prepared for timing: models loaded with all facets, and generation options."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.inference import batches as batching
from scripts.inference import timed_loop, vocabulary
from scripts.inference.batches import group
from scripts.inference.loading import load, load_tokenizer
from scripts.inference.prompts import build_prompts, find_stops, headline_text, most_new_tokens, stop_rule
from scripts.inference.timed_loop import generation_config
from scripts.runtime.drawing import Sampler
from scripts.runtime.generation import SampleRecorder
from scripts.runtime.models import Loaded, Process
from scripts.runtime.stops import Stops, codes
from scripts.runtime.tensors import module_bytes
from scripts.techniques.registry import used_facets

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


SHAPE_TOKENS = 4  # of a shape's first batch: prompt, compilation, graph capture, and one more step


@dataclass
class Prepared:
    """A loaded technique, ready to time.

    Attributes:
        loaded: models and facets.
        tokenizer: of the target.
        options: keyword arguments of ``generate``.
        stops: what ends a headline.
        recorder: counts per-sample facts, if a facet has any.
        reserved: the batches that the generator has reserved memory for.
        shapes: one batch of each shape that ``generate`` will be given.
        draws: how many answers each prompt is given.
    """

    loaded: Loaded
    tokenizer: PreTrainedTokenizerBase
    options: dict[str, Any]
    stops: Stops
    recorder: SampleRecorder | None
    reserved: list[list[str]] = field(default_factory=list)
    shapes: list[list[str]] = field(default_factory=list)
    shape_tokens: int = SHAPE_TOKENS
    draws: int = 1

    @property
    def models(self) -> list[PreTrainedModel]:
        """The target, and the draft if there is one."""
        return [model for model in (self.loaded.model, self.loaded.draft) if model is not None]

    @property
    def batch_size(self) -> int:
        """Requests that are served together."""
        return self.loaded.facets.get("batch_size") or 1

    @property
    def prompt_tokens(self) -> int | None:
        """The fixed prompt length, if any."""
        return self.loaded.facets.get("prompt_tokens")

    def generate(self, prompts: list[str], *, counted: bool) -> list[dict[str, Any]]:
        """Generate and time one batch; if not ``counted``, the recorder does not see it."""
        recorder = self.recorder if counted else None
        return timed_loop.time_batch(
            prompts, self.tokenizer, self.loaded, self.options, self.stops, recorder, self.prompt_tokens
        )

    @contextlib.contextmanager
    def fixed_length(self, new_tokens: int) -> Iterator[None]:
        """In the block every headline has exactly so many tokens; stop tokens are ignored."""
        natural = (self.options, self.stops, self.recorder)
        config = generation_config(new_tokens, Stops.none(), self.options["generation_config"].pad_token_id)
        self._use(self.options | {"generation_config": config}, Stops.none(), None)
        try:
            yield
        finally:
            self._use(*natural)

    def _use(self, options: dict[str, Any], stops: Stops, recorder: SampleRecorder | None) -> None:
        self.options, self.stops, self.recorder = options, stops, recorder
        # transformers fills unset fields, such as end tokens, from the model's own configuration.
        self.loaded.model.generation_config = options["generation_config"]
        self._set_limit()

    def reserve(self, groups: list[list[str]], new_tokens: int) -> float:
        """Prepare for all batches that will be timed; a generator compiles and allocates. Returns the seconds it took.

        Args:
            groups: prompts of each pass.
            new_tokens: the most new tokens of any request.
        """
        generator = self.loaded.generator
        if generator is None:
            self._read_prompts(groups)
            if not self._warms_shapes():
                return 0.0
        began = time.perf_counter()
        batches = [batch for prompts in groups for batch in self._batches(prompts)]
        ids = [timed_loop.token_lists(batch, self.tokenizer, self.prompt_tokens) for batch in batches]
        lengths = [[len(each) for each in batch] for batch in ids]
        if generator is None:
            for facet, value in used_facets(self.loaded.facets):
                self.options |= facet.reserved_options(value, self.loaded, max(map(max, lengths)) + new_tokens)
            self.shapes = [batches[index] for index in batching.first_of_each_shape(lengths)]
            self.shape_tokens = min(SHAPE_TOKENS, new_tokens)
            return 0.0
        self.reserved = batches
        generator.reserve(ids, new_tokens)
        self._set_limit()
        timed_loop.synchronise(self.loaded.process.device)
        return time.perf_counter() - began

    def _read_prompts(self, groups: list[list[str]]) -> None:
        """Let facets prepare for all prompts."""
        asking = [each for each in used_facets(self.loaded.facets) if each[0].reads_prompts]
        ids = [row for prompts in groups for row in self.token_ids(prompts)] if asking else []
        for facet, value in asking:
            facet.read_prompts(value, self.loaded, ids)

    def _warms_shapes(self) -> bool:
        """Whether the first batch of a shape may be slower, as kernels are selected, loaded or compiled."""
        facets = used_facets(self.loaded.facets)
        return self.loaded.process.device.type == "cuda" or any(facet.compiles_shapes(value) for facet, value in facets)

    def _batches(self, prompts: list[str]) -> list[list[str]]:
        """The timed batches of these prompts, and the batch that is observed outside the timing."""
        ids = timed_loop.token_lists(prompts, self.tokenizer, self.prompt_tokens)
        planned = group([len(each) for each in ids], self.batch_size)
        first = list(range(min(self.batch_size, len(ids))))
        return [[prompts[index] for index in batch] for batch in [*planned, first]]

    def token_ids(self, prompts: list[str]) -> list[list[int]]:
        """Token ids of each prompt, without padding."""
        return timed_loop.token_lists(prompts, self.tokenizer, self.prompt_tokens)

    def use_draw(self, draw: int) -> None:
        """From now on give each prompt its answer of this draw, from 0; there is only one where nothing is drawn."""
        if self.loaded.sampler is not None:
            self.loaded.sampler = replace(self.loaded.sampler, draw=draw)

    def close(self) -> None:
        """Stop background threads."""
        if self.loaded.generator is not None:
            self.loaded.generator.close()

    def warm_up(self, count: int, prompts: list[str]) -> None:
        """Generate one batch of each shape, then ``count`` batches, untimed."""
        if self.shapes:
            with self.fixed_length(self.shape_tokens):
                for batch in self.shapes:
                    self.generate(batch, counted=False)
        for turn in range(count):
            # A generator can only run batches that it has reserved.
            batch = self.reserved[turn % len(self.reserved)] if self.reserved else prompts[turn % len(prompts) :]
            self.generate(batch[: self.batch_size], counted=False)

    def _set_limit(self) -> None:
        if self.loaded.generator is not None:
            limit = self.options["generation_config"].max_new_tokens
            self.loaded.generator.limit(limit, self.stops.at_once, self.stops.held, self.stops.texts)

    def resolved(self) -> dict[str, Any]:
        """The generation settings as they were used."""
        settings = self.options["generation_config"].to_diff_dict()
        # Hundreds of token ids say no more than their number.
        settings["eos_token_id"] = f"{len(self.stops.all_tokens)} stop tokens, {sorted(self.stops.end_tokens)} end"
        if self.loaded.sampler is not None:
            settings["sampling"] = self.loaded.sampler.facts()
            settings["draws"] = self.draws
        if self.stops.texts is not None:
            settings["stop_strings"] = list(self.stops.texts.texts)
        return settings | {"use_cache": self.options.get("use_cache")}

    def weight_bytes(self) -> int:
        """Stored weights of the target and the draft on this process."""
        return sum(module_bytes(model) for model in self.models)


def prepare(request: dict[str, Any], process: Process, tokenizer: PreTrainedTokenizerBase) -> Prepared:
    """Load the technique's models with every facet on, and set how it generates."""
    import torch

    settings = request["settings"]
    draft = request["models"].get("draft")
    calibration = _calibration(request, tokenizer)
    if draft:
        _check_same_tokenizer(tokenizer, draft["path"])
    loaded = load(request["models"]["target"]["path"], settings, process, draft["path"] if draft else None, calibration)
    if loaded.draft is not None:
        rows = loaded.model.config.get_text_config().vocab_size
        vocabulary.fit(loaded.draft, rows, tokens=max(_words(tokenizer).values()) + 1)
    ends = loaded.model.generation_config.eos_token_id
    ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    stops = find_stops(tokenizer, ends, stop_rule(request))
    if not stops.all_tokens:
        where, rule = "stop" if settings.get("stop") else "generation.stop", stop_rule(request)
        said = "a list of texts" if isinstance(rule, list) else f"'{rule}'"
        raise StudyError(f"the model has no end token and {where} is {said}; set it to 'line_break'.")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops.all_tokens[0]
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
    tokenizer.padding_side = "left"  # new tokens must follow the prompt directly
    config = generation_config(most_new_tokens(request), stops, pad)
    if request["generation"].get("sampling"):
        loaded.sampler = Sampler(**request["generation"]["sampling"])
    # The checkpoint's own settings would fill unset fields, such as sampling.
    loaded.model.generation_config = config
    options: dict[str, Any] = {"generation_config": config}
    recorder = None
    for facet, value in used_facets(settings):
        options |= facet.generation_options(value, loaded)
        loaded.generator = facet.generator(value, loaded, pad) or loaded.generator
    for facet, value in used_facets(settings):
        recorder = facet.recorder(value, loaded) or recorder
    if stops.held.tokens and loaded.generator is None:
        vocabulary_size = loaded.model.config.get_text_config().vocab_size
        table = codes(stops.at_once, stops.held, max(vocabulary_size, len(tokenizer)))
        stops.table = torch.from_numpy(table).to(process.device)
    draws = request["generation"].get("draws", 1)
    return Prepared(loaded, tokenizer, options, stops, recorder, draws=draws)


def _check_same_tokenizer(tokenizer: PreTrainedTokenizerBase, draft: str) -> None:
    if _words(load_tokenizer(draft)) != _words(tokenizer):
        raise StudyError(f"the draft model at {draft} has another tokenizer than its target; choose one with the same.")


def _words(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Token ids without the special tokens: families rename reserved ones from model to model."""
    special = tokenizer.get_added_vocab()
    return {token: index for token, index in tokenizer.get_vocab().items() if token not in special}


def _calibration(request: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> list[list[int]] | None:
    """Token ids of the calibration rows, each prompt with its headline."""
    rows = request.get("calibration") or []
    if not rows:
        return None
    generation = request["generation"]
    prompts = build_prompts([row["summary"] for row in rows], generation, request["shots"], tokenizer)
    return [
        tokenizer(prompt)["input_ids"]
        + tokenizer(headline_text(prompt, row["headline"], generation), add_special_tokens=False)["input_ids"]
        for prompt, row in zip(prompts, rows, strict=True)
    ]
