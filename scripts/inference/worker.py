"""One process of a run: loads the technique, warms up, times every sample once, and collects each facet's evidence.

Started by ``scripts.generate``, one process a rank; every rank writes its report to ``rank-<r>.json`` in the
scratch directory, rank 0 also the samples.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import entry, failures, files, parent
from scripts.foundation.errors import StudyError
from scripts.foundation.failures import is_out_of_memory as is_out_of_memory
from scripts.inference import heartbeat, memory, pinning, reference
from scripts.inference.phases import Phases
from scripts.inference.prompts import most_new_tokens
from scripts.models import libraries
from scripts.runtime.caches import held
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.models import Process
from scripts.techniques.registry import method_of, used_facets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from scripts.inference.preparation import Prepared
    from scripts.runtime.caches import Held
    from scripts.runtime.generation import Observation

logger = logging.getLogger(__name__)


def main() -> None:
    """Run one rank of the request."""
    parser = argparse.ArgumentParser(description="One process of a generation run, started by scripts.generate.")
    parser.add_argument("--request", type=Path, required=True, help="the run's request, JSON")
    parser.add_argument("--rank", type=int, required=True, help="this process's place in the group")
    parser.add_argument("--scratch", type=Path, required=True, help="directory for what each rank saw")
    arguments = parser.parse_args()
    parent.end_with_parent()
    # Process groups whose peers have ended can hang in their destructors, also after an error.
    atexit.register(os._exit, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    heartbeat.open_channel()
    request = files.read_json(arguments.request)
    path = arguments.scratch / f"rank-{arguments.rank}.json"
    try:
        files.write_json(path, run(request, arguments.rank, arguments.scratch))
    except Exception as error:  # also a number that is not finite
        files.write_json(path, failures.report(error))
    # Everything is written by now.
    sys.stderr.flush()
    os._exit(0)


def _end_with_parent() -> None:
    """End when the parent does, however it does: its lease on the GPUs ends with it."""
    # Standard input is a pipe whose other end the parent holds and never writes to.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def run(request: dict[str, Any], rank: int, scratch: Path) -> dict[str, Any]:
    """The report of this rank; an unsupported technique is a status with a reason, not an error.

    ``retry_without_reference`` tells the parent to repeat the run without the reference, which may be the cause.
    """
    client = reference.ReferenceClient(request.get("reference"), scratch / "request.json")
    try:
        with contextlib.ExitStack() as ending:
            ending.callback(client.close)
            if request.get("profile"):
                done = _profile(request, rank, ending)
            else:
                done = _measure(request, rank, scratch, ending, client)
        return {"status": "ok", "reason": None} | done
    except reference.ReferenceFailed as error:
        return failures.report(error) | {"retry_without_reference": str(error)}
    except UnsupportedError as error:
        return {"status": "unsupported", "reason": str(error)}
    except EvidenceError as error:
        return {"status": "invalid", "reason": str(error)}
    except Exception as error:
        if not is_out_of_memory(error):
            if isinstance(error, StudyError):
                return failures.report(error)
            raise
        # Until it loads, the reference uses only the machine's memory.
        near = client.launched if request["device"] == "cpu" else client.started
        return failures.report(error) | {"retry_without_reference": near}


def _measure(
    request: dict[str, Any], rank: int, scratch: Path, ending: contextlib.ExitStack, client: reference.ReferenceClient
) -> dict[str, Any]:
    """Time every sample; resources to close are registered with ``ending``."""
    if (by := _run_by(request)) is not None:
        # By name: only the techniques that it runs depend on its code.
        return importlib.import_module(by).measure(request, scratch, ending, client)
    from scripts.inference.device_memory import ProcessMemory

    # Before this process uses its GPU, to separate other processes' memory.
    gpu = request["leased"][rank] if request["leased"] else None
    whole = ending.enter_context(contextlib.closing(ProcessMemory(gpu)))
    pinning.pin(request.get("cpus"), rank, request["threads_per_process"])
    client.launch(request, rank)
    process = start(request, rank)
    passed = Phases()
    passed.end("start")
    heartbeat.sign(heartbeat.PHASE)
    # After the device is set.
    import torch

    from scripts.inference import garbage, readings
    from scripts.inference.observe import observe
    from scripts.inference.preparation import prepare
    from scripts.inference.sampling import longest_batch, mark_truncated, score_tokens, time_all
    from scripts.runtime import compiles, finite, positions
    from scripts.runtime.timing import synchronise

    tokenizer, samples, prompts = texts(request)
    refuse_unfit(request, tokenizer, prompts)
    memory.import_libraries(request["models"]["target"]["path"], request["settings"])
    garbage.freeze_libraries(again=client.launched)
    heartbeat.sign(heartbeat.PHASE)
    client.wait_for_imports()
    heartbeat.sign(heartbeat.PHASE)
    passed.end("texts_and_imports")
    machine_readings = readings.Readings(process, request["leased"])
    meter = memory.MemoryMeter(process.device, whole)
    meter.start()
    passed.end("readings_before")
    began = time.perf_counter()
    prepared = ending.enter_context(contextlib.closing(prepare(request, process, tokenizer)))
    synchronise(process.device)
    load_time = time.perf_counter() - began
    meter.loaded()
    heartbeat.sign(heartbeat.PHASE)
    passed.end("loading")

    fixed_prompts, fixed_tokens = prompts[: request["fixed"]["samples"]], request["fixed"]["new_tokens"]
    longest = max(most_new_tokens(request), fixed_tokens, readings.BREAKDOWN_TOKENS)
    compile_time = prepared.reserve([prompts, fixed_prompts] if fixed_prompts else [prompts], longest)

    heartbeat.sign(heartbeat.PHASE)
    passed.end("compiling")
    began = time.perf_counter()
    prepared.warm_up(request["warmup"], prompts)
    warmup_time = time.perf_counter() - began
    meter.read_whole_process()
    heartbeat.sign(heartbeat.PHASE)
    passed.end("warm_up")

    # Only now, so that it affects neither loading nor warm-up.
    client.start(process, machine_readings.paused)
    show = {"show_progress": rank == 0, "label": request["technique"]}
    meter.reset_peak()
    prepared.warm_up(1, prompts)  # reallocates what the reset released, before samples are timed
    with machine_readings.measured("natural"), compiles.watched() as compiled_natural:
        natural, natural_time = time_all(
            prompts, samples, prepared, client.turns("natural"), draws=prepared.draws, **show
        )
    meter.read_peak(*prepared.models)
    compiled = {"natural": compiled_natural}
    fixed, fixed_mode = [], None
    if request["fixed"]["samples"]:
        with prepared.fixed_length(fixed_tokens):
            prepared.generate(prompts[: prepared.batch_size], counted=False)
            turns = client.turns("fixed")
            with machine_readings.measured("fixed"), compiles.watched() as compiled_fixed:
                fixed, fixed_time = time_all(fixed_prompts, samples[: len(fixed_prompts)], prepared, turns, **show)
        fixed_mode = {"samples": len(fixed), "new_tokens": fixed_tokens, "time_s": fixed_time}
        compiled["fixed"] = compiled_fixed
    client.close()
    heartbeat.sign(heartbeat.PHASE)
    passed.end("timing")
    observed = longest_batch(natural, prompts)
    seen = observe(observed, tokenizer, prepared.loaded, prepared.options, prepared.prompt_tokens, prepared.stops)
    if seen.not_finite is not None:
        sample = samples[prompts.index(observed[0])]["id"]
        raise EvidenceError(finite.sentence(request["technique"], sample, seen.not_finite))
    prepared.loaded.notes["longest_headline_tokens"] = max(
        line["new_tokens"] for each in natural + fixed for line in (each, *each.get("draws", []))
    )
    evidence, cache = _evidence(seen, prepared)
    compiles.refuse(compiled)
    heartbeat.sign(heartbeat.PHASE)
    passed.end("evidence")
    time_breakdown = None
    if request["thorough"]:
        watched = prompts[: prepared.batch_size]
        # Learned positions are limited; exceeding them would fail the run.
        if positions.fits(
            prepared.loaded.model.config, max(map(len, prepared.token_ids(watched))), readings.BREAKDOWN_TOKENS
        ):
            time_breakdown = readings.time_breakdown(prepared, watched)
        score_tokens(natural, prompts, samples, prepared, request)
    mark_truncated(natural, samples, request, tokenizer)
    if rank == 0:
        files.write_json_lines(scratch / "samples.jsonl", natural)
        files.write_json_lines(scratch / "fixed.jsonl", fixed)
    passed.end("breakdown_and_scores")
    return {
        "phases_s": passed.seconds,
        "load_time_s": load_time,
        "warmup_time_s": warmup_time,
        "compile_time_s": compile_time,
        "generation_time_s": natural_time,
        "modes": {
            "natural": {"samples": len(natural), "draws": prepared.draws, "time_s": natural_time},
            "fixed": fixed_mode,
        },
        "compiled_while_timed": compiled,
        "garbage_collected": garbage.COLLECTED,
        "generation": prepared.resolved(),
        "memory": {
            "method": meter.method,
            "peak_is_exact": meter.peak_is_exact,
            "device": _device_name(process),
            "rank": rank,
            **meter.facts(),
            "weight_bytes": prepared.weight_bytes(),
            "kv_cache_bytes": cache.bytes,
            "kv_cache_positions": cache.positions,
            "kv_cache_plain_positions": cache.plain_positions,
        },
        "evidence": evidence,
        "time": time_breakdown,
        "reference": client.results(),
        **machine_readings.results(),
        "threads": torch.get_num_threads(),
    }


def _run_by(request: dict[str, Any]) -> str | None:
    """The module that makes a run of the technique's engine, where that is not this one."""
    return getattr(method_of("engine", request["settings"]), "run_by", None)


def refuse_unfit(request: dict[str, Any], tokenizer: PreTrainedTokenizerBase, prompts: list[str]) -> None:
    """Refuse prompts that are too long or leave a facet without effect, before anything is loaded."""
    from scripts.runtime import positions

    settings, fixed = request["settings"], request["fixed"]
    for facet, value in used_facets(settings):
        facet.check_prompts(value, prompts)
    longest = settings.get("prompt_tokens") or max(len(ids) for ids in tokenizer(prompts)["input_ids"])
    new_tokens = max(most_new_tokens(request), fixed["new_tokens"] if fixed["samples"] else 0)
    for model in request["models"].values():
        positions.refuse_too_long(model["path"], longest, new_tokens)


def texts(request: dict[str, Any]) -> tuple[PreTrainedTokenizerBase, list[dict[str, Any]], list[str]]:
    """The target's tokenizer, the samples, and the prompt of each."""
    from scripts.inference.loading import load_tokenizer
    from scripts.inference.prompts import build_prompts

    samples = files.read_json_lines(request["dataset"])
    tokenizer = load_tokenizer(request["models"]["target"]["path"])
    # Special tokens in a summary are text; only a chat template adds real ones.
    tokenizer.split_special_tokens = not request["generation"]["chat_template"]
    summaries = [sample["summary"] for sample in samples]
    return tokenizer, samples, build_prompts(summaries, request["generation"], request["shots"], tokenizer)


def _profile(request: dict[str, Any], rank: int, ending: contextlib.ExitStack) -> dict[str, Any]:
    """Profile a few samples; nothing is timed."""
    if _run_by(request) is not None:
        raise UnsupportedError("The engine is a process of its own, which is not profiled from outside.")
    process = start(request, rank)
    from scripts.inference.preparation import prepare
    from scripts.inference.profiling import profile_samples

    tokenizer, _, prompts = texts(request)
    prepared = ending.enter_context(contextlib.closing(prepare(request, process, tokenizer)))
    size = prepared.batch_size
    watched = prompts[: request["profile"]["samples"] * size]
    # In the batches in which they are profiled.
    groups = [watched[first : first + size] for first in range(0, len(watched), size)]
    prepared.reserve(groups, most_new_tokens(request))
    prepared.warm_up(request["warmup"], prompts)
    directory = Path(request["profile"]["directory"]) if rank == 0 else None
    return {"profile": profile_samples(prepared, watched, directory)}


def import_libraries(request: dict[str, Any]) -> None:
    """Import torch and transformers, on a CPU without what neither the technique nor its reference uses."""
    if request["device"] != "cpu":
        return  # beside a GPU's start it makes no difference
    settings = [request["settings"], (request.get("reference") or {}).get("settings") or {}]
    compiles = any(libraries.COMPILER in memory.libraries(each) for each in settings)
    libraries.import_transformers(whole=compiles or request["processes"] > 1)


def start(request: dict[str, Any], rank: int) -> Process:
    """Set threads and device, and join the process group."""
    import_libraries(request)
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    # It logs its conversion to float16 at every product, inside the timed loop; the evidence reports it.
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


def _evidence(seen: Observation, prepared: Prepared) -> tuple[dict[str, Any], Held]:
    """Each facet's evidence, and what the cache holds."""
    loaded = prepared.loaded
    evidence = {facet.name: facet.evidence(value, loaded, seen) for facet, value in used_facets(loaded.facets)}
    return evidence, held(seen.cache)


def _device_name(process: Process) -> str:
    if process.device.type == "cuda":
        import torch

        return f"cuda:{process.rank} {torch.cuda.get_device_name(process.device)}"
    return f"cpu process {process.rank}"


if __name__ == "__main__":
    entry.run(main)
