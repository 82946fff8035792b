"""A run of an engine that is a server: started, asked one batch of requests at a time, and ended.

The worker holds tokenizer, reference and meters as for every technique, and no model.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import files
from scripts.hardware import fit
from scripts.inference import garbage, heartbeat, pinning, readings, reference, served_logprobs, worker
from scripts.inference.prompts import find_stops, fitted, messages, most_new_tokens, stop_rule
from scripts.inference.sampling import mark_truncated, time_all
from scripts.inference.served_memory import ServerMemory
from scripts.inference.served_requests import Requests
from scripts.models.stored_files import weight_files
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.serving import metrics, proof
from scripts.serving.errors import MissingServerError, ServerOutOfMemoryError
from scripts.serving.launch import Running, ServerSpec, Values, attached, launched
from scripts.techniques import registry
from scripts.techniques.engine.served import ServedEngine

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

VARIED_SHARE = 4  # a part of the longest prompt that varied ones may have beyond it
MOST_SHARE = 0.9  # of a GPU's memory, as vLLM takes by default
ANSWER_S = 600.0  # the longest an answer may take
CHAT = "chat"


def measure(
    request: dict[str, Any], scratch: Path, ending: contextlib.ExitStack, client: reference.ReferenceClient
) -> dict[str, Any]:
    """Time every sample; the report of the worker without its status.

    Args:
        request: of the run.
        scratch: where the samples are left.
        ending: what resources to close are registered with.
        client: the reference, which takes turns.

    Raises:
        UnsupportedError: the server's program is not there, or the server can't be asked so.
        EvidenceError: what the server says contradicts what it was asked for.
        MemoryError: the server ran out of memory.
        ServerError: anything else that it did wrong.
    """
    with told():
        return _measure(request, scratch, ending, client)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """In the block a server's faults are the errors of a run: unsupported, out of memory, or against the evidence."""
    try:
        yield
    except MissingServerError as error:
        raise UnsupportedError(str(error)) from None
    except ServerOutOfMemoryError as error:
        raise MemoryError(str(error)) from None
    except proof.ContradictedError as error:
        raise EvidenceError(str(error)) from None


def _measure(
    request: dict[str, Any], scratch: Path, ending: contextlib.ExitStack, client: reference.ReferenceClient
) -> dict[str, Any]:
    # One worker, whatever the server's processes are.
    alone = request | {"processes": 1}
    threads = request["threads_per_process"] * request["processes"]
    pinning.pin(request.get("cpus"), 0, threads)
    client.launch(alone, 0)
    process = worker.start(alone, 0)
    heartbeat.sign(heartbeat.PHASE)
    tokenizer, samples, prompts = worker.texts(request)
    worker.refuse_unfit(request, tokenizer, prompts)
    garbage.freeze_libraries(again=client.launched)
    client.wait_for_imports()
    heartbeat.sign(heartbeat.PHASE)
    machine_readings = readings.Readings(process, request["leased"])
    memory = ending.enter_context(contextlib.closing(ServerMemory(request["leased"])))

    began = time.perf_counter()
    share = gpu_share(process.device, request.get("reference"))
    running = ending.enter_context(server(request, threads, tokenizer, prompts, share))
    prepared = ending.enter_context(contextlib.closing(requests(request, running, tokenizer, prompts, memory)))
    load_time = time.perf_counter() - began
    heartbeat.sign(heartbeat.PHASE)
    memory.read(running)

    began = time.perf_counter()
    prepared.warm_up(max(1, request["warmup"]), prompts)
    warmup_time = time.perf_counter() - began
    heartbeat.sign(heartbeat.PHASE)
    memory.others_follow()
    client.start(process, machine_readings.paused)
    prepared.warm_up(1, prompts)

    show = {"show_progress": True, "label": request["technique"]}
    before = running.metrics()
    with machine_readings.measured("natural"):
        natural, natural_time = time_all(
            prompts, samples, prepared, client.turns("natural"), draws=prepared.draws, **show
        )
    fixed, fixed_mode, asked = [], None, request["fixed"]
    if asked["samples"] and prepared.can_fix_lengths:
        first = prompts[: asked["samples"]]
        with prepared.fixed_length(asked["new_tokens"]):
            prepared.generate(prompts[: prepared.batch_size], counted=False)
            with machine_readings.measured("fixed"):
                fixed, took = time_all(first, samples[: len(first)], prepared, client.turns("fixed"), **show)
        fixed_mode = {"samples": len(fixed), "new_tokens": asked["new_tokens"], "time_s": took}
    after = running.metrics()
    client.close()
    heartbeat.sign(heartbeat.PHASE)
    memory.read(running)
    # After all that is timed and read back, since these requests are others.
    drawn = "not asked for: answers are drawn, and what is likely says nothing of what was drawn"
    told = drawn if prepared.sampler else served_logprobs.collect(prepared, prompts, natural)
    evidence = _evidence(request, running, prepared, before, after)
    evidence["engine"]["log_probabilities"] = told
    held = memory.facts(running)
    resolved = prepared.resolved()
    mark_truncated(natural, samples, request, tokenizer)
    files.write_json_lines(scratch / "samples.jsonl", natural)
    files.write_json_lines(scratch / "fixed.jsonl", fixed)
    return {
        "load_time_s": load_time,
        "warmup_time_s": warmup_time,
        "compile_time_s": None,
        "generation_time_s": natural_time,
        "modes": {
            "natural": {"samples": len(natural), "draws": prepared.draws, "time_s": natural_time},
            "fixed": fixed_mode,
        },
        "compiled_while_timed": None,
        "garbage_collected": garbage.COLLECTED,
        "generation": resolved,
        "memory": held,
        "evidence": evidence,
        "time": None,
        "reference": client.results(),
        **machine_readings.results(),
        "threads": threads,
    }


def server(
    request: dict[str, Any], threads: int, tokenizer: PreTrainedTokenizerBase, prompts: list[str], share: float,
    under_way: int | None = None, words: Sequence[str] = (),
) -> contextlib.AbstractContextManager[Running]:  # fmt: skip
    """The server of the request: started for the block, or asked where it runs.

    Args:
        request: of the run, with ``served``, what the run is asked of the server.
        threads: CPU threads that it may use.
        tokenizer, prompts: of the study.
        share: of a GPU's memory that it may take.
        under_way: requests that it must take at once; as many as a batch has if None.
        words: added to its command.
    """
    engine, served = request["settings"]["engine"], request["served"]
    target = request["models"]["target"]
    fixed = request.get("fixed") or {"samples": 0}
    most = max(most_new_tokens(request), fixed["new_tokens"] if fixed["samples"] else 0)
    longest = request["settings"].get("prompt_tokens") or max(map(len, tokenizer(prompts)["input_ids"]))
    if under_way:
        longest += longest // VARIED_SHARE  # a varied text may have more tokens than those given
    own_model = engine.get("model")
    values = Values(
        model=str(Path(own_model).resolve()) if own_model and "url" not in engine else own_model or target["path"],
        dtype=target["dtype"],
        device=request["device"],
        threads=threads,
        gpus=max(1, len(request["leased"])),
        max_length=engine.get("max_length") or longest + most,
        concurrency=under_way or request["settings"].get("batch_size") or 1,
        gpu_share=share,
        decoding="drawn" if request["generation"].get("sampling") else "greedy",
    )
    if served.get("reason"):
        raise MissingServerError(served["reason"])
    stored = Path(target["path"]) / "config.json"
    method = registry.load_method("engine", engine["name"])
    # The project's own server holds its engine to the model by itself, which it loads.
    if isinstance(method, ServedEngine) and stored.is_file():
        method.check_model(engine, files.read_json(stored))
    preset = served["preset"] | ({"executable": served["executable"]} if served.get("executable") else {})
    spec = ServerSpec(preset, (*(engine.get("arguments") or ()), *words), engine.get("ready_limit_s"))
    if "url" in engine:
        return attached(ServerSpec(preset, model_name=own_model), values, engine["url"])
    return launched(spec, values, _log(request), lambda: heartbeat.sign(heartbeat.PHASE), request.get("mark"))


def _log(request: dict[str, Any]) -> Path:
    """What the server writes, beside the run's log."""
    if request.get("log"):
        path = Path(request["log"])
        return path.with_name(f"{path.stem}.server.log")
    return Path(f"{request['technique']}.server.log").resolve()


def gpu_share(device: torch.device, asked: dict[str, Any] | None) -> float:
    """Share of a GPU's memory that the server may take, so that the reference has the room that it looks for.

    Args:
        device: where the server runs.
        asked: ``reference`` of the request.
    """
    if device.type != "cuda":
        return MOST_SHARE
    import torch

    free, total = torch.cuda.mem_get_info(device)
    taken = 0.0
    if asked and asked.get("model"):
        weights = sum(file.stat().st_size for file in weight_files(Path(asked["model"]["path"])))
        taken = reference.LOADING * weights + 2 * fit.CONTEXT_BYTES + reference.LEFT * total
    # Down to two digits, as the servers' flags are written.
    return max(0.01, min(MOST_SHARE, math.floor((free - taken) / total * 100) / 100))


def requests(
    request: dict[str, Any], running: Running, tokenizer: PreTrainedTokenizerBase, prompts: list[str],
    memory: ServerMemory,
) -> Requests:  # fmt: skip
    """What asks a server for the study's headlines."""
    generation = request["generation"]
    ending = find_stops(tokenizer, end_tokens(request["models"]["target"]["path"]), stop_rule(request))
    sent = {}
    if running.api.kind == CHAT:
        if not generation["chat_template"]:
            raise UnsupportedError(
                f"{running.spec.label} is asked for chats, which it puts into the model's template itself; set "
                "generation.chat_template to true, or choose a preset of kind completions."
            )
        summaries = [sample["summary"] for sample in files.read_json_lines(request["dataset"])]
        summaries = fitted(summaries, generation, request["shots"], tokenizer)
        chats = [tuple(messages(summary, generation, request["shots"])) for summary in summaries]
        sent = dict(zip(prompts, chats, strict=True))
    limit = min(ANSWER_S, 0.9 * request["time_limit_s"]) if request.get("time_limit_s") else ANSWER_S
    return Requests(running, tokenizer, ending, generation, request["settings"], memory, limit, sent)


def end_tokens(directory: str) -> list[int]:
    """The checkpoint's own end tokens."""
    from transformers import AutoConfig, GenerationConfig

    try:
        config = GenerationConfig.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError):
        loaded = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        config = GenerationConfig.from_model_config(loaded)
    ends = config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def without_paths(running: Running, said: Any) -> Any:
    """What a server is asked or says, without this machine's paths of its model and its program."""
    if isinstance(said, list):
        return [without_paths(running, each) for each in said]
    paths = [str(running.values.get(key, "")) for key in ("model", "executable")]
    for path in (path for path in paths if "/" in path and isinstance(said, str)):
        said = said.replace(path, Path(path).name)
    return said


def _evidence(
    request: dict[str, Any], running: Running, prepared: Requests, before: list[metrics.Sample] | None,
    after: list[metrics.Sample] | None,
) -> dict[str, Any]:  # fmt: skip
    """What is known of the server, and what the other facets were."""
    settings, preset = request["settings"], running.spec.preset
    counters = preset.get("metrics") or {}
    grown = {
        key: metrics.increase(before, after, counters[key])
        for key in ("cached_prompt_tokens", "drafted_tokens", "accepted_tokens")
        if counters.get(key) and before is not None and after is not None
    }
    engine = {
        "name": settings["engine"]["name"],
        "label": running.spec.label,
        "version": running.version,
        "served_model": without_paths(running, running.facts.get("served_model")),
        "command": without_paths(running, running.command) or None,
        "start_s": running.facts.get("start_s"),
        "prompts_sent_as": "token ids" if preset["api"]["names"].get("prompt_tokens") else "text",
        "tokens": "/".join(sorted(prepared.sources)),
        "requests_behind_a_leading_line_break": prepared.asked_again or None,
        "texts_that_differ_from_their_tokens": prepared.texts_differ,
        "stop_token_counted": preset.get("stop_counted"),
        "reserved_tokens": proof.reserved_tokens(running, after),
        **grown,
        **proof.collect(running, before, after, prepared.usages),
        "likelihood": "not measured: a server's API does not give the logits that the other engines' tokens have",
    }
    found: dict[str, Any] = {"engine": {key: value for key, value in engine.items() if value is not None}}
    if settings.get("batch_size"):
        found["batch_size"] = {"requests_sent_together": prepared.batch_size}
    if settings.get("max_new_tokens"):
        found["max_new_tokens"] = {"max_new_tokens_asked": settings["max_new_tokens"]}
    if settings.get("stop"):
        found["stop"] = {"stops_asked": prepared.resolved()["stops_sent"]}
    if settings.get("prompt_tokens"):
        found["prompt_tokens"] = {"prompt_tokens": settings["prompt_tokens"]}
    return found
