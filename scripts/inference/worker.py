"""One process of a run: loads the technique, warms up, times every sample once, and proves each facet.

Started by ``scripts.generate``, one process a rank; not meant to be called by hand. Every rank writes what it saw to
``rank-<r>.json`` in the scratch directory, rank 0 also the samples.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import entry, files
from scripts.foundation.errors import StudyError
from scripts.techniques.facet import EvidenceError, Loaded, Process, SampleRecorder, UnsupportedError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from scripts.inference.timed_loop import Stops

logger = logging.getLogger(__name__)


def main() -> None:
    """Run one rank of the request."""
    parser = argparse.ArgumentParser(description="One process of a generation run, started by scripts.generate.")
    parser.add_argument("--request", type=Path, required=True, help="the run's request, JSON")
    parser.add_argument("--rank", type=int, required=True, help="this process's place in the group")
    parser.add_argument("--scratch", type=Path, required=True, help="directory for what each rank saw")
    arguments = parser.parse_args()
    # Process groups whose peers have ended can hang in their destructors, also after an error.
    atexit.register(os._exit, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    request = files.read_json(arguments.request)
    files.write_json(arguments.scratch / f"rank-{arguments.rank}.json", run(request, arguments.rank, arguments.scratch))
    # Everything is written by now.
    sys.stderr.flush()
    os._exit(0)


def _end_with_parent() -> None:
    """End when the parent does, however it does: its lease on the GPUs ends with it."""
    # Standard input is a pipe whose other end the parent holds and never writes to.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def run(request: dict[str, Any], rank: int, scratch: Path) -> dict[str, Any]:
    """The outcome of this rank; a known inability is a status with its reason, not an error.

    The status ``failed`` hands an error's sentence to the parent, which raises it.
    """
    try:
        return {"status": "ok", "reason": None} | _measure(request, rank, scratch)
    except StudyError as error:
        return {"status": "failed", "reason": str(error)}
    except UnsupportedError as error:
        return {"status": "unsupported", "reason": str(error)}
    except EvidenceError as error:
        return {"status": "invalid", "reason": str(error)}
    except (MemoryError, RuntimeError, OSError) as error:
        if not _is_out_of_memory(error):
            raise
        return {"status": "out_of_memory", "reason": f"Out of memory: {_first_line(error)}"}


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    # CPU allocator, CUDA runtime, cuBLAS, and what maps checkpoint files.
    signs = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "Cannot allocate memory")
    return any(sign in str(error) for sign in signs)


def _measure(request: dict[str, Any], rank: int, scratch: Path) -> dict[str, Any]:
    process = _start(request, rank)
    from scripts.inference.loading import load_tokenizer
    from scripts.inference.memory import MemoryMeter
    from scripts.inference.prompts import build_prompts
    from scripts.inference.timed_loop import synchronise

    samples = files.read_json_lines(request["dataset"])
    tokenizer = load_tokenizer(request["models"]["target"]["path"])
    # A summary that spells a special token is text; only a chat template writes special tokens of its own.
    tokenizer.split_special_tokens = not request["generation"]["chat_template"]
    prompts = build_prompts([s["summary"] for s in samples], request["generation"], request["shots"], tokenizer)

    meter = MemoryMeter(process.device)
    meter.reset_peak()
    before_load = meter.current()
    began = time.perf_counter()
    prepared = _prepare(request, process, tokenizer)
    synchronise(process.device)
    load_time = time.perf_counter() - began
    load_peak, after_load = meter.peak(), meter.current()

    began = time.perf_counter()
    for prompt in (prompts * request["warmup"])[: request["warmup"]]:
        prepared.generate(prompt, counted=False)
    warmup_time = time.perf_counter() - began

    meter.reset_peak()
    began = time.perf_counter()
    lines = _timed(prompts, samples, prepared, show_progress=rank == 0, label=request["technique"])
    generation_time = time.perf_counter() - began
    peak = meter.peak()
    if rank == 0:
        files.write_json_lines(scratch / "samples.jsonl", lines)
    return {
        "load_time_s": load_time,
        "warmup_time_s": warmup_time,
        "compile_time_s": 0.0,
        "generation_time_s": generation_time,
        "generation": prepared.resolved(),
        "memory": {
            "method": meter.method,
            "peak_is_exact": meter.peak_is_exact,
            "device": _device_name(process),
            "rank": rank,
            "before_load_bytes": before_load,
            "load_peak_bytes": load_peak,
            "after_load_bytes": after_load,
            "peak_bytes": peak,
            "weight_bytes": prepared.weight_bytes(),
        },
        "evidence": _evidence(prompts[0], prepared),
        "threads": _threads(),
    }


@dataclass
class Prepared:
    """A loaded technique, ready to time."""

    loaded: Loaded
    tokenizer: PreTrainedTokenizerBase
    options: dict[str, Any]
    stops: Stops
    recorder: SampleRecorder | None

    def generate(self, prompt: str, *, counted: bool) -> dict[str, Any]:
        """One timed sample; one that is not counted leaves no trace in the recorder's totals."""
        from scripts.inference.timed_loop import time_sample

        recorder = self.recorder if counted else None
        return time_sample(prompt, self.tokenizer, self.loaded, self.options, self.stops, recorder)

    def resolved(self) -> dict[str, Any]:
        """The generation settings as they were used."""
        settings = self.options["generation_config"].to_diff_dict()
        # Hundreds of token ids say no more than their number.
        settings["eos_token_id"] = f"{len(self.stops.all_tokens)} stop tokens, {sorted(self.stops.end_tokens)} end"
        return settings | {"use_cache": self.options.get("use_cache")}

    def weight_bytes(self) -> int:
        """Stored weights of the target and the draft on this process."""
        from scripts.inference.memory import module_bytes

        models = [model for model in (self.loaded.model, self.loaded.draft) if model is not None]
        return sum(module_bytes(model) for model in models)


def _start(request: dict[str, Any], rank: int) -> Process:
    """Set threads and device, and join the process group."""
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    # It warns of its conversion to float16 at every product, inside the timed loop; the evidence says it instead.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    torch.set_num_threads(request["threads_per_process"])
    torch.manual_seed(0)
    cuda = request["device"] == "cuda"
    device = torch.device("cuda", rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if request["processes"] > 1:
        torch.distributed.init_process_group(
            "nccl" if cuda else "gloo", init_method=f"file://{request['rendezvous']}",
            rank=rank, world_size=request["processes"], device_id=device if cuda else None,
        )  # fmt: skip
    dtype = getattr(torch, request["models"]["target"]["dtype"])
    return Process(device=device, dtype=dtype, rank=rank, world_size=request["processes"])


def _prepare(request: dict[str, Any], process: Process, tokenizer: PreTrainedTokenizerBase) -> Prepared:
    from scripts.inference.loading import load, used_facets
    from scripts.inference.prompts import stop_token_ids
    from scripts.inference.timed_loop import Stops, generation_config

    settings, generation = request["settings"], request["generation"]
    draft = request["models"].get("draft")
    loaded = load(request["models"]["target"]["path"], settings, process, draft["path"] if draft else None)
    if draft:
        _check_same_tokenizer(tokenizer, draft["path"])
    ends = loaded.model.generation_config.eos_token_id
    ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    all_stops, end_tokens = stop_token_ids(tokenizer, ends, generation["stop"])
    if not all_stops:
        raise StudyError("the model has no end token and generation.stop is 'end_token'; set it to 'line_break'.")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else all_stops[0]
    config = generation_config(generation["max_new_tokens"], Stops(all_stops, end_tokens), pad)
    # The checkpoint's own settings would fill whatever is left open, sampling among it.
    loaded.model.generation_config = config
    options: dict[str, Any] = {"generation_config": config}
    recorder = None
    for facet, value in used_facets(settings):
        options |= facet.generation_options(value, loaded)
        recorder = facet.recorder(value, loaded) or recorder
    return Prepared(loaded, tokenizer, options, Stops(all_stops, end_tokens), recorder)


def _check_same_tokenizer(tokenizer: PreTrainedTokenizerBase, draft: str) -> None:
    from scripts.inference.loading import load_tokenizer

    if _words(load_tokenizer(draft)) != _words(tokenizer):
        raise StudyError(f"the draft model at {draft} has another tokenizer than its target; choose one with the same.")


def _words(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Token ids without the special tokens: families rename reserved ones from model to model."""
    special = tokenizer.get_added_vocab()
    return {token: index for token, index in tokenizer.get_vocab().items() if token not in special}


def _timed(
    prompts: list[str], samples: list[dict[str, Any]], prepared: Prepared, *, show_progress: bool, label: str
) -> list[dict[str, Any]]:
    from tqdm import tqdm

    rows = zip(samples, prompts, strict=True)
    # The bar is drawn between samples, never inside one.
    bar = tqdm(rows, total=len(samples), desc=label, unit="sample", disable=not show_progress, mininterval=1.0)
    return [{"id": sample["id"]} | prepared.generate(prompt, counted=True) for sample, prompt in bar]


def _evidence(prompt: str, prepared: Prepared) -> dict[str, Any]:
    from scripts.inference.loading import used_facets
    from scripts.inference.observe import observe

    seen = observe(prompt, prepared.tokenizer, prepared.loaded, prepared.options)
    loaded = prepared.loaded
    return {facet.name: facet.evidence(value, loaded, seen) for facet, value in used_facets(loaded.facets)}


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _device_name(process: Process) -> str:
    if process.device.type == "cuda":
        import torch

        return f"cuda:{process.rank} {torch.cuda.get_device_name(process.device)}"
    return f"cpu process {process.rank}"


if __name__ == "__main__":
    entry.run(main)
