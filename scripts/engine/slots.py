"""The device's side of continuous batching: a row of the KV cache for each slot, and the captured graphs over them.

A decode step runs over the first rows, as many as one of a few counts; a prefill over prompts that stand one behind the
other, padded to one of a few numbers of tokens; a mixed step does both in one pass over the weights. So few graphs
serve every mixture of requests, whatever their lengths. Rows without a request compute what nobody reads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import TypeVar

import numpy
import torch

from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.draws import SlotDraws
from scripts.engine.graphs import GraphPool, Replay
from scripts.engine.likeliest import Asking, Likeliest
from scripts.engine.shapes import MOST_PROMPTS, SMALLEST_PROMPT, most_prompts, row_counts, thinned, token_counts
from scripts.engine.state import pinned_zeros
from scripts.kernels.decode_state import WORK_NUMBERS, SlotTensors
from scripts.runtime.drawing import Sampler
from scripts.runtime.gumbel import RowDraws

RING_ENTRIES = 64  # far more than pieces of work that are under way
UPLOADS = 8  # likewise: a buffer is written again only after the prefill that read it
# A mixed step of fewer takes about as long as one of so many.
LEAST_MIXED_ROWS, LEAST_MIXED_TOKENS = 8, 64
Launched = TypeVar("Launched")


class Slots(SlotTensors):
    """Decode steps and prefills over the slots' rows.

    Args:
        decoder: the model, with rotary tables of ``positions``.
        slots: how many requests are under way at most.
        positions: the most tokens of a request and its answer.
        prefill_tokens: the most tokens of a prefill of several prompts.
        pad: the padding token.
        sampler: how tokens are drawn where a request does not say; None: nothing can be drawn.
        stored: the 8-bit type of keys and values; None for the model's dtype.
    """

    def __init__(
        self, decoder: Decoder, slots: int, positions: int, prefill_tokens: int, pad: int,
        sampler: Sampler | None = None,
        stored: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        device = decoder.device
        super().__init__(
            token=torch.full((slots + 1,), pad, dtype=torch.int64, device=device),
            positions=torch.zeros(slots + 1, dtype=torch.int32, device=device),
            done=torch.zeros(1, dtype=torch.int32, device=device),
            ring=pinned_zeros(device, RING_ENTRIES, max(slots, MOST_PROMPTS)),
            progress=pinned_zeros(device, 2),
            last=positions - 1,
        )
        self.decoder, self.slots, self.pad, self.captures = decoder, slots, pad, captures(device)
        self.cache = StaticCache(
            len(decoder.layers), slots + 1, positions, decoder.heads, decoder.dtype, device, stored
        )
        self.pool = GraphPool(device)
        self.launched = 0  # pieces of work, modulo WORK_NUMBERS
        self.captured_late = 0
        self._asking: Asking | None = None  # while a piece of work is launched that tells log-probabilities
        self._told: Likeliest | None = None
        self.row_counts = row_counts(slots)
        self.token_counts = token_counts(positions, prefill_tokens)
        self._tokens, self._progress = self.ring.numpy(), self.progress.numpy()
        self._decodes: dict[int, Replay] = {}
        self._prefills: dict[int, Replay] = {}
        self.mixed_rows = thinned(self.row_counts, 1 / 2, LEAST_MIXED_ROWS)
        several = self.token_counts[: bisect_left(self.token_counts, prefill_tokens) + 1]
        self.mixed_tokens = thinned(several, 3 / 4, LEAST_MIXED_TOKENS)
        self._mixed: dict[tuple[int, int], Replay] = {}
        room = 3 * self.token_counts[-1] + 2 * MOST_PROMPTS
        self._staged = torch.zeros(UPLOADS, room, dtype=torch.int64, pin_memory=device.type == "cuda")
        self._given = torch.zeros(room, dtype=torch.int64, device=device)
        self._uploads = 0
        self.draws = None if sampler is None else SlotDraws(sampler, slots, decoder.vocabulary, device)

    @torch.inference_mode()
    def reserve(self) -> None:
        """Capture every graph; on a CPU there is nothing to capture."""
        if not self.captures:
            return
        for rows in reversed(self.row_counts):
            self._decodes[rows] = self._capture(lambda rows=rows: self._decode(rows))
        for tokens in reversed(self.token_counts):
            self._prefills[tokens] = self._capture_prefill(tokens)
        for rows in reversed(self.mixed_rows):
            for tokens in reversed(self.mixed_tokens):
                self._mixed[rows, tokens] = self._capture_mixed(rows, tokens)

    def _capture_prefill(self, count: int) -> Replay:
        most = self._give_nothing(count)
        return self._capture(lambda: self._prefill(count, most))

    def _capture_mixed(self, rows: int, count: int) -> Replay:
        most = self._give_nothing(count)
        return self._capture(lambda: self._mix(rows, count, most))

    def _give_nothing(self, count: int) -> int:
        """Lay out a prefill of padding alone; returns how many prompts it could hold."""
        most = most_prompts(count)
        nothing = numpy.empty(3 * count + 2 * most, numpy.int64)
        self._write(nothing, count, most, [], [])
        self._given[: len(nothing)].copy_(torch.from_numpy(nothing))
        return most

    def _capture(self, work: Replay) -> Replay:
        """Capture work, which runs as it is captured, and leave the slots as they were."""
        token, positions = self.token.clone(), self.positions.clone()
        replay = self.pool.capture(work)
        self.token.copy_(token)
        self.positions.copy_(positions)
        self.done.fill_(self.launched)
        if self.decoder.device.type == "cuda":
            torch.cuda.synchronize(self.decoder.device)
        self._progress[0] = self.launched
        return replay

    def telling(self, launch: Callable[[], Launched], asking: Asking) -> tuple[Launched, Likeliest]:
        """Launch a piece of work and tell log-probabilities of some of its tokens.

        What the graphs replay has no logits, only the largest one's place. So the same work is run without a graph, in
        the same shape and by the same kernels, and waited for; work that nobody asks this of is as ever.

        Returns:
            What ``launch`` does, and the log-probabilities.
        """
        self._asking = asking
        try:
            return launch(), self._told
        finally:
            self._asking = self._told = None

    def decode(self, rows: int) -> int:
        """Launch a decode step of the first rows; returns its number."""
        if not self.captures:
            self._decode(rows)
            return self._count()
        count = self.row_counts[bisect_left(self.row_counts, rows)]
        if self._asking:
            self._decode(count)
            return self._count()
        if count not in self._decodes:
            self.captured_late += 1
            self._decodes[count] = self._capture(lambda: self._decode(count))
        self._decodes[count]()
        return self._count()

    def prefill(
        self, prompts: list[numpy.ndarray], slots: list[int], samplers: list[Sampler | None] | None = None
    ) -> int:
        """Launch the prefill of prompts, int64 each, into slots; returns its number.

        Args:
            prompts: of the requests.
            slots: where they go.
            samplers: how each is drawn; None: nothing is.
        """
        self._set_draws(prompts, slots, samplers)
        total = sum(map(len, prompts))
        count = self.padded(total, len(prompts))
        most, again = self._give(prompts, slots, count)
        if not self.captures:
            self._prefill(count, most)
            return self._count()
        if self._asking:
            self._prefill(count, most)
            return self._count()
        if count not in self._prefills:
            self.captured_late += 1
            self._prefills[count] = self._capture_prefill(count)
            again()
        self._prefills[count]()
        return self._count()

    def mixes(self, tokens: int) -> bool:
        """Whether prompts of so many tokens together fit a mixed step."""
        return tokens <= self.mixed_tokens[-1]

    def _set_draws(self, prompts: list[numpy.ndarray], slots: list[int], samplers: list[Sampler | None] | None) -> None:
        if self.draws is not None:
            self.draws.take(prompts, slots, samplers or [None] * len(slots))

    def mix(
        self, rows: int, prompts: list[numpy.ndarray], slots: list[int], samplers: list[Sampler | None] | None = None
    ) -> tuple[int, int]:
        """Launch a decode step of the first rows and a prefill in one pass over the weights.

        Returns:
            The numbers of the two pieces of work that it is: of the decode step and of the prefill.
        """
        # The slots that are taken belong to no request of the decode step, whose rows may hold them.
        self._set_draws(prompts, slots, samplers)
        total = sum(map(len, prompts))
        if not self.captures:
            most, _ = self._give(prompts, slots, total)
            self._mix(rows, total, most)
            return self._count(), self._count()
        shape = self.mixed_shape(rows, total, len(prompts))
        most, again = self._give(prompts, slots, shape[1])
        if self._asking:
            self._mix(*shape, most)
            return self._count(), self._count()
        if shape not in self._mixed:
            self.captured_late += 1
            self._mixed[shape] = self._capture_mixed(*shape)
            again()
        self._mixed[shape]()
        return self._count(), self._count()

    def mixed_shape(self, rows: int, tokens: int, prompts: int) -> tuple[int, int]:
        """The rows and tokens to which a mixed step is padded."""
        count = self.mixed_tokens[bisect_left(self.mixed_tokens, max(tokens, prompts * SMALLEST_PROMPT))]
        return self.mixed_rows[bisect_left(self.mixed_rows, rows)], count

    def _give(self, prompts: list[numpy.ndarray], slots: list[int], count: int) -> tuple[int, Callable[[], None]]:
        """Send prompts to the device; returns how many prompts there is room for, and what sends them again."""
        most = most_prompts(count) if self.captures else len(prompts)
        self._uploads = (self._uploads + 1) % UPLOADS
        staged = self._staged[self._uploads]
        self._write(staged.numpy(), count, most, prompts, slots)
        size = 3 * count + 2 * most

        def send() -> None:
            self._given[:size].copy_(staged[:size], non_blocking=True)

        send()
        return most, send

    def padded(self, tokens: int, prompts: int) -> int:
        """The tokens to which a prefill is padded; where nothing is captured, none."""
        if not self.captures:
            return tokens
        return self.token_counts[bisect_left(self.token_counts, max(tokens, prompts * SMALLEST_PROMPT))]

    def _write(
        self, given: numpy.ndarray, count: int, most: int, prompts: list[numpy.ndarray], slots: list[int]
    ) -> None:
        """Lay out a prefill's input: tokens, positions and slots, [count] each, then the prompts' ends and slots."""
        tokens, positions, rows = given[: 3 * count].reshape(3, count)
        ends, to = given[3 * count : 3 * count + 2 * most].reshape(2, most)
        first = 0
        for number, (prompt, slot) in enumerate(zip(prompts, slots, strict=True)):
            end = first + len(prompt)
            tokens[first:end] = prompt
            positions[first:end] = _COUNTING.upto(len(prompt))
            rows[first:end] = slot
            ends[number], to[number] = end - 1, slot
            first = end
        # Padding: prompts of one token in the row of nobody.
        tokens[first:], positions[first:], rows[first:] = self.pad, 0, self.slots
        ends[len(prompts) :], to[len(prompts) :] = 0, self.slots

    def _decode(self, rows: int) -> None:
        x = self.decoder.decode(self.token[:rows], self.cache.rows(0, rows), self.positions[:rows])
        draws = None if self.draws is None else self.draws.rows.first(rows)
        chosen = self._chosen(x, draws, None if draws is None else self.positions[:rows] + 1)
        self._end_decode(chosen, self.launched)

    def _prefill(self, count: int, most: int) -> None:
        tokens, positions, slots, ends, to = self._prompts(count, most)
        x = self.decoder.prefill_packed(tokens, self.cache.rows(0, self.slots + 1), positions, slots, ends)
        draws = None if self.draws is None else self.draws.rows.take(to)
        chosen = self._chosen(x, draws, None if draws is None else positions[ends] + 1)
        self._end_prefill(chosen, ends, to, positions, self.launched)

    def _mix(self, rows: int, count: int, most: int) -> None:
        tokens, positions, slots, ends, to = self._prompts(count, most)
        x = self.decoder.mixed(
            self.token[:rows], self.positions[:rows], tokens, self.cache.rows(0, self.slots + 1), positions, slots, ends
        )
        draws = at = None
        if self.draws is not None:
            draws = self.draws.rows.take(torch.cat([self.draws.order[:rows], to]))
            at = torch.cat([self.positions[:rows].long(), positions[ends]]) + 1
        chosen = self._chosen(x, draws, at)
        # In this order: a row of the decode step may be the slot that a prompt takes.
        self._end_decode(chosen[:rows], self.launched)
        self._end_prefill(chosen[rows:], ends, to, positions, self.launched + 1)

    def _chosen(self, x: torch.Tensor, draws: RowDraws | None, positions: torch.Tensor | None) -> torch.Tensor:
        """The next token of each row, int64 [rows], which will stand at these positions."""
        chosen = self.decoder.choose(x, draws, positions)
        if self._asking:
            self._told = Likeliest.of(self.decoder, x, chosen, self._asking)
        return chosen

    def _prompts(self, count: int, most: int) -> tuple[torch.Tensor, ...]:
        """What was given: tokens, positions and slots, int64 [count] each, and the prompts' ends and slots, [most]."""
        return (
            *self._given[: 3 * count].view(3, count).unbind(),
            *self._given[3 * count : 3 * count + 2 * most].view(2, most).unbind(),
        )

    def _end_decode(self, chosen: torch.Tensor, number: int) -> None:
        if self.captures:
            from scripts.kernels import triton_slots

            triton_slots.end_decode(self, chosen)
            return
        rows = len(chosen)
        self.token[:rows] = chosen
        self.positions[:rows] = (self.positions[:rows] + 1).clamp(max=self.last)
        self._put_out(chosen, number)

    def _end_prefill(
        self, chosen: torch.Tensor, ends: torch.Tensor, to: torch.Tensor, positions: torch.Tensor, number: int
    ) -> None:
        if self.captures:
            from scripts.kernels import triton_slots

            triton_slots.end_prefill(self, chosen, ends, to, positions)
            return
        self.token[to] = chosen
        self.positions[to] = (positions[ends] + 1).clamp(max=self.last).to(torch.int32)
        self._put_out(chosen, number)

    def _put_out(self, chosen: torch.Tensor, number: int) -> None:
        self.ring[number % RING_ENTRIES, : len(chosen)] = chosen
        self._progress[0] = (number + 1) % WORK_NUMBERS

    def _count(self) -> int:
        number = self.launched
        self.launched = (number + 1) % WORK_NUMBERS
        return number

    def is_done(self, number: int) -> bool:
        """Whether the work of that number has put out its tokens."""
        # Modulo WORK_NUMBERS; what is under way is few.
        return 0 < (int(self._progress[0]) - number) % WORK_NUMBERS < WORK_NUMBERS // 2

    def tokens(self, number: int) -> numpy.ndarray:
        """What that work chose, int32; a view that later work writes again."""
        return self._tokens[number % RING_ENTRIES]

    def forget(self, slot: int) -> None:
        """A slot has lost its request; on a CPU, where a step takes as long as its longest row, it becomes short."""
        if not self.captures:
            self.positions[slot] = 0


class _Counting:
    """0, 1, 2 and so on, made once."""

    def __init__(self) -> None:
        self._numbers = numpy.arange(1024)

    def upto(self, count: int) -> numpy.ndarray:
        if count > len(self._numbers):
            self._numbers = numpy.arange(2 * count)
        return self._numbers[:count]


_COUNTING = _Counting()


def captures(device: torch.device) -> bool:
    """Whether work has a few fixed shapes, captured beforehand, and ends with a kernel that tells the host."""
    return device.type == "cuda"
