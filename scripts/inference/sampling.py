"""Times all samples; afterwards scores their tokens by teacher forcing."""

from __future__ import annotations

import functools
import gc
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from scripts.inference import garbage, heartbeat
from scripts.inference.batches import group, repeat_to_length
from scripts.inference.distributions import Recorder
from scripts.inference.likelihood import greedy_margins, reference_likelihood
from scripts.inference.prompts import fitted, headline_text
from scripts.runtime import finite, positions
from scripts.runtime.errors import EvidenceError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from scripts.inference.preparation import Prepared
    from scripts.inference.reference import Turns


def time_all(
    prompts: list[str], samples: list[dict[str, Any]], prepared: Prepared, turns: Turns, *, show_progress: bool,
    label: str, draws: int = 1,
) -> tuple[list[dict[str, Any]], float]:  # fmt: skip
    """Time every sample once a draw, batch by batch, in turns with the reference; garbage is collected between batches.

    Every draw is a pass of its own over the same batches.

    Returns:
        Lines in evaluation order, each with the lines of its further draws under ``draws`` where there are several, and
        the total seconds without the reference's turns.
    """
    lengths = [len(ids) for ids in prepared.tokenizer(prompts)["input_ids"]] if prepared.batch_size > 1 else []
    batches = group(lengths or [0] * len(prompts), prepared.batch_size)
    passes: list[list[dict[str, Any]]] = [[{} for _ in prompts] for _ in range(draws)]
    began = time.perf_counter()
    # The bar is drawn between batches, never inside one.
    bar = tqdm(total=len(prompts) * draws, desc=label, unit="sample", disable=not show_progress, mininterval=1.0)
    with garbage.paused():
        turns.begin()
        for draw, lines in enumerate(passes):
            prepared.use_draw(draw)
            for number, batch in enumerate(batches):
                timed = prepared.generate([prompts[index] for index in batch], counted=True)
                for index, line in zip(batch, timed, strict=True):
                    lines[index] = line | {"batch": number}
                bar.update(len(batch))
                gc.collect()
                turns.after(timed[0]["batch_time_s"])
                heartbeat.sign(heartbeat.SAMPLE)
        readings = turns.end()
    prepared.use_draw(0)
    bar.close()
    heartbeat.sign(heartbeat.PHASE)
    took = time.perf_counter() - began - turns.seconds
    for draw, lines in enumerate(passes):
        for line in lines:
            reading = readings[draw * len(batches) + line["batch"]]
            line |= {} if reading is None else {"reference_s": reading}
    first, further = passes[0], passes[1:]
    for index, line in enumerate(first):
        more = {"draws": [lines[index] for lines in further]} if further else {}
        first[index] = {"id": samples[index]["id"]} | line | more
    return first, took


def mark_truncated(
    lines: list[dict[str, Any]], samples: list[dict[str, Any]], request: dict[str, Any],
    tokenizer: PreTrainedTokenizerBase,
) -> None:  # fmt: skip
    """Add to each line whether its summary was cut, where the study limits the prompts' tokens."""
    if request["generation"].get("max_prompt_tokens") is None:
        return
    summaries = [sample["summary"] for sample in samples]
    cut = fitted(summaries, request["generation"], request["shots"], tokenizer)
    for line, whole, used in zip(lines, summaries, cut, strict=True):
        line["truncated"] = used != whole


def longest_batch(lines: list[dict[str, Any]], prompts: list[str]) -> list[str]:
    """The prompts of the batch with the longest sequences: the one whose cache is largest."""
    totals: dict[int, int] = {}
    for line in lines:
        length = (line["prompt_tokens"] + line["new_tokens"]) * line["batch_requests"]
        totals[line["batch"]] = max(totals.get(line["batch"], 0), length)
    longest = max(totals, key=lambda batch: totals[batch])
    return [prompt for prompt, line in zip(prompts, lines, strict=True) if line["batch"] == longest]


def score_tokens(
    lines: list[dict[str, Any]], prompts: list[str], samples: list[dict[str, Any]], prepared: Prepared,
    request: dict[str, Any],
) -> None:  # fmt: skip
    """Add to each line its tokens' logit margins and the reference headline's likelihood.

    Where the request names a file for them, distributions along the reference headlines are written there.
    """
    tokenizer, length = prepared.tokenizer, prepared.prompt_tokens
    measured = _measures_rounding(prepared, request)
    has_likelihood = not request["models"]["target"].get("random_weights") and length is None
    most = positions.max_positions(prepared.loaded.model.config)
    inputs = [tokenizer(prompt)["input_ids"] for prompt in prompts]
    references: list[list[int] | None] = [None] * len(prompts)
    if has_likelihood:
        texts = [headline_text(prompt, sample["headline"], request["generation"])
                 for prompt, sample in zip(prompts, samples, strict=True)]  # fmt: skip
        found = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        references = [reference if most is None or len(ids) + len(reference) <= most else None
                      for ids, reference in zip(inputs, found, strict=True)]  # fmt: skip
    kept = request.get("distributions") if prepared.loaded.process.rank == 0 else None
    recorder = Recorder(references)
    for number, (line, sample, reference) in enumerate(zip(lines, samples, references, strict=True)):
        heartbeat.sign(heartbeat.PHASE)
        ids = inputs[number] if length is None else repeat_to_length(inputs[number], length)
        keep = functools.partial(recorder.add, number) if kept else None
        try:
            for draw, answer in enumerate((line, *line.get("draws", []))):
                prepared.use_draw(draw)
                answer |= greedy_margins(prepared.loaded, ids, answer["token_ids"], rounding=measured)
            line |= {"reference_nll": None, "reference_tokens": None}
            if reference is not None:
                line |= reference_likelihood(prepared.loaded, ids, reference, prepared.stops.all_tokens, keep)
        except finite.NotFiniteError as error:
            raise EvidenceError(finite.sentence(request["technique"], sample["id"], str(error))) from None
    prepared.use_draw(0)
    if kept:
        recorder.write(Path(kept))


def _measures_rounding(prepared: Prepared, request: dict[str, Any]) -> bool:
    """Whether rounding is measured: float32, unquantised, one process (a shard sees only part of a sum)."""
    import torch

    process, quantization = prepared.loaded.process, request["settings"].get("quantization")
    return process.dtype == torch.float32 and process.world_size == 1 and quantization in (None, "none")
