"""Continuous batching by transformers: requests wait for a free slot.

transformers runs the model in a thread of its own and packs the next input of all active requests, a token or a prompt,
into one row of tokens. Keys and values are in pages of memory reserved before the first request.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from itertools import chain, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from scripts.runtime.generation import ContinuousBatchTrace, Generated, Generator, Observation
from scripts.runtime.models import Loaded
from scripts.runtime.stop_texts import StopTexts, Watch
from scripts.runtime.stops import NOTHING_HELD, Held
from scripts.runtime.timing import synchronise, timed_calls

if TYPE_CHECKING:
    from transformers.generation.continuous_batching import ContinuousBatchingManager
    from transformers.generation.continuous_batching.requests import GenerationOutput

PAGE_TOKENS = 16  # the library's default of 256 is more than a headline fills
PROMPT_TOKENS = 1024  # of all prompts that are read in one forward; a longer one is still read at once
LOOK_AGAIN_S = 1.0  # interval of checks that the thread still runs


class AnswerStops(set):
    """A request's stop tokens, asked about each of its tokens once and in order.

    Args:
        stops: those that end it at once.
        held: those that do so behind text.
        texts: texts that end it; None for none.
    """

    def __init__(self, stops: set[int], held: Held, texts: StopTexts | None = None) -> None:
        super().__init__(stops)
        self._held, self._has_text = held, False
        self._watch = None if texts is None else Watch(texts)

    def __contains__(self, token: object) -> bool:
        if super().__contains__(token) or (self._has_text and token in self._held.tokens):
            return True
        if self._watch is not None and self._watch.add([token]):
            return True
        self._has_text = self._has_text or token not in self._held.blank
        return False


class ContinuousEngine(Generator):
    """Greedy decoding by transformers' ``ContinuousBatchingManager``.

    Args:
        loaded: the model, on its device, with the facets that change it already applied.
        slots: maximum number of active requests.
        pad: the padding token.
    """

    own_thread = True

    def __init__(self, loaded: Loaded, *, slots: int, pad: int) -> None:
        self.loaded, self.slots, self.pad = loaded, slots, pad
        self.manager: ContinuousBatchingManager | None = None
        self.threads = self.threads_asked = 0
        self._limit = 0
        self._stops: list[int] = []
        self.held = NOTHING_HELD  # of the requests that are handed over now
        self.texts: StopTexts | None = None  # of those too
        self._last: list[list[int]] = []

    def reserve(self, batches: list[list[list[int]]], new_tokens: int) -> None:
        """Reserve pages for the longest requests in every slot, and start the thread that runs the model."""
        from transformers import GenerationConfig
        from transformers.generation import ContinuousBatchingConfig

        longest = max(len(prompt) for batch in batches for prompt in batch)
        pages = -(-(longest + new_tokens) // PAGE_TOKENS)
        self.manager = self.loaded.model.init_continuous_batching(
            # Limits and stop tokens go with each request; left open, they would be the model's own.
            GenerationConfig(do_sample=False, num_beams=1, eos_token_id=-1, pad_token_id=self.pad),
            ContinuousBatchingConfig(
                page_size=PAGE_TOKENS,
                num_blocks=self.slots * pages,
                # The longest prompt fits beside a token of every other request; those behind it are read in parts.
                max_batch_tokens=max(longest, min(self.slots * longest, PROMPT_TOKENS)) + self.slots,
                max_requests_per_batch=self.slots,
                safety_margin=0.0,  # there is a page for everything, so that no slot need stay empty
                allow_block_sharing=False,  # every prompt is read in full, as by the other techniques
                auto_switch_to_flash=False,  # it would fetch kernels from a hub
                seed=0,
            ),
        )
        # Here and not in the thread, so that running out of memory raises in this call.
        self.manager.warmup()
        synchronise(self.loaded.process.device)  # the thread works on a stream of its own
        # A thread is a daemon where the one that starts it is: a process that fails must not wait for it.
        starter = threading.Thread(target=self.manager.start, daemon=True)
        starter.start()
        starter.join()
        self._use_as_many_threads()
        self._hold_stops()
        largest = max(batches, key=lambda batch: sum(map(len, batch)))
        self._serve(largest, min(2, new_tokens), [])

    def _hold_stops(self) -> None:
        """Let each request that is handed over end as ``held`` says; the library knows only tokens that end at once."""
        put = self.manager.input_queue.put

        def with_held(state: Any, *arguments: Any, **options: Any) -> None:
            if self.held.tokens or self.texts is not None:
                state._eos_token_ids = AnswerStops(state._eos_token_ids, self.held, self.texts)
            put(state, *arguments, **options)

        self.manager.input_queue.put = with_held

    def _use_as_many_threads(self) -> None:
        """Give operators in the manager's thread the CPU threads that they have in this one."""
        self.threads_asked = torch.get_num_threads()

        def set_once(module: Any, args: Any) -> None:
            # OpenMP and MKL keep the number thread by thread.
            torch.set_num_threads(self.threads_asked)
            hook.remove()

        hook = self.loaded.model.register_forward_pre_hook(set_once)

    def limit(
        self, new_tokens: int, stops: list[int], held: Held = NOTHING_HELD, texts: StopTexts | None = None
    ) -> None:
        """From now on end each request after so many tokens, at a stop token, one held behind text, or a text."""
        self._limit, self._stops, self.held, self.texts = new_tokens, stops, held, texts

    def generate(self, prompts: list[list[int]]) -> Generated:
        """Hand all requests over at once; returns when the last one has ended."""
        self._last = prompts
        ended = self._serve(prompts, self._limit, self._stops)
        moments = [list(out.timestamps) for out in ended]
        return Generated(sorted(chain(*moments)), [out.generated_tokens for out in ended], moments)

    def _serve(self, prompts: list[list[int]], new_tokens: int, stops: list[int]) -> list[GenerationOutput]:
        """What each request ended with, in the order of the prompts.

        Raises:
            RuntimeError: the manager's thread met an error, which the sentence ends with.
        """
        manager = self.manager
        try:
            # Otherwise the first forward's requests would depend on the thread's timing.
            with manager.pause():
                names = [
                    manager.add_request(
                        prompt, max_new_tokens=new_tokens, eos_token_id=list(stops), record_timestamps=True
                    )
                    for prompt in prompts
                ]
        except RuntimeError as error:
            raise self.stopped(error) from error
        ended: dict[str, GenerationOutput] = {}
        while len(ended) < len(names):
            out = manager.get_result(timeout=LOOK_AGAIN_S)
            if out is not None:
                if out.error is not None:
                    raise self.stopped(out.error)
                ended[out.request_id] = out
            elif not manager.is_running():
                raise self.stopped(None)
        return [ended[name] for name in names]

    def stopped(self, error: Any) -> RuntimeError:
        """An error with the thread's own error as the reason."""
        reason = self.manager.background_thread_status.fatal_error or error or "its thread ended."
        return RuntimeError(f"transformers' continuous batching stopped before all requests had ended: {reason}")

    @contextlib.contextmanager
    def _watched(self) -> Iterator[list[list[int]]]:
        """In the block, append the tokens per sequence of each forward to the list."""
        given: list[list[int]] = []

        def called(module: Any, args: Any, kwargs: Any) -> None:
            self.threads = torch.get_num_threads()
            ends = kwargs["cu_seq_lens_q"].tolist()
            # Sequences without a token are padding.
            given.append([end - begin for begin, end in pairwise(ends) if end > begin])

        hook = self.loaded.model.register_forward_pre_hook(called, with_kwargs=True)
        try:
            yield given
        finally:
            hook.remove()

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and say what each forward of the model was given."""
        steps: list[torch.Tensor] = []
        hook = self.loaded.model.register_forward_hook(
            lambda module, args, output: steps.append(output.logits.isfinite().all())
        )
        try:
            with self._watched() as given:
                out = self.generate(prompts)
        finally:
            hook.remove()
        bad = next((step for step, finite in enumerate(steps, start=1) if not bool(finite)), None)
        return Observation(
            prompt_tokens=max(map(len, prompts)),
            new_tokens=max(map(len, out.tokens)),
            requests=len(prompts),
            prompt_lengths=[len(prompt) for prompt in prompts],
            forward_lengths=[max(tokens) for tokens in given],
            forward_rows=[len(tokens) for tokens in given],
            padded_left=False,
            cache=self.manager.batch_processor.cache,
            collectives={},
            communication_share=0.0,
            trace=ContinuousBatchTrace(self.slots, given, [len(tokens) for tokens in out.tokens]),
            not_finite=None if bad is None else f"at step {bad}",
        )

    def forward_times(self) -> dict[str, float | None]:
        """Seconds of a forward in which no prompt was read, while the last batch is generated again."""
        with self._watched() as given, timed_calls(self.loaded.model, self.loaded.process.device) as calls:
            self._serve(self._last, self._limit, self._stops)
        steps = [seconds for tokens, seconds in zip(given, calls.seconds, strict=True) if max(tokens) == 1]
        return {"target_forward_s": median(steps) if steps else None, "draft_forward_s": None}

    def facts(self) -> dict[str, Any]:
        """Reserved pages, and CPU threads of operators: observed and requested."""
        config = self.manager.continuous_batching_config
        return {
            "slots": self.slots,
            "page_tokens": config.page_size,
            "pages": config.num_blocks,
            "tokens_per_forward": config.max_batch_tokens,
            "threads": self.threads,
            "threads_asked": self.threads_asked,
        }

    def close(self) -> None:
        """Stop the thread; active requests are lost."""
        if self.manager is not None:
            self.manager.stop(hard_stop=True)
