"""How many requests a second the graph engine serves: its loop alone, and behind the HTTP fronts.

    python -m tests.performance.continuous --shape llama-3.2-1b

Random weights of a shape of ``config/architectures`` in bfloat16 (without a GPU the ``small`` shape in float32), made
where they run. First some layers in float32 must write the tokens that requests get one at a time; then come the times
of single graphs, a closed loop in this process at several concurrencies and bounds of prompt tokens, and the same over
HTTP with client processes of their own, closed and as Poisson arrivals. Prints tables, and writes
``continuous-SHAPE.json`` into $OUT where that is set. The exit status is 1 where tokens differ.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scripts.engine.continuous import GraphBatching
from scripts.engine.engine import GraphEngine
from scripts.foundation import modules
from scripts.runtime.models import Loaded, Process
from scripts.runtime.serving import Request
from tests.performance.random_models import config_of, prompt, random_model

NEW = 16
CHECKED, CHECK_LAYERS = 48, 4
REPLAYS = 20


def main() -> int:
    """Run all parts."""
    options = _options()
    if options.client:
        _client(options)
        return 0
    cuda = torch.cuda.is_available()
    if not cuda:
        torch.set_num_threads(1)  # clients and fronts need the cores
    device, dtype = (torch.device("cuda", 0), torch.bfloat16) if cuda else (torch.device("cpu"), torch.float32)
    shape = options.shape if cuda else "small"
    found: dict[str, Any] = {"shape": shape, "device": torch.cuda.get_device_name(0) if cuda else "cpu"}
    wrong = 0
    if not options.no_check:
        wrong = _check(shape, device)
        found["check"] = {"requests": CHECKED, "different": wrong}
        print(f"tokens in float32, {CHECK_LAYERS} layers: {CHECKED - wrong} of {CHECKED} requests as one at a time")
    began = time.perf_counter()
    config = config_of(shape)
    facets = {"kv_cache": {"dtype": options.kv_cache} if options.kv_cache else "dynamic"}
    loaded = Loaded(random_model(config, device, dtype), Process(device, dtype), facets)
    made_s = time.perf_counter() - began
    began = time.perf_counter()
    engine = GraphBatching(loaded, pad=0, slots=options.slots, prefill_tokens=options.prefill_tokens)
    engine.reserve(options.prompt + options.spread + NEW)
    found |= {"facts": engine.facts(), "made_s": made_s, "reserve_s": time.perf_counter() - began}
    graphs = found["facts"]["device_graphs"]
    print(
        f"{shape} on {found['device']}: made in {made_s:.1f} s, {graphs} graphs and cache in "
        f"{found['reserve_s']:.1f} s, {engine.slots} slots"
    )
    drawn = random.Random(0)
    prompts = [
        prompt(options.prompt + drawn.randint(-options.spread, options.spread), config.vocab_size, seed)
        for seed in range(512)
    ]
    found["graphs"] = _graph_times(engine, prompts) if cuda else None
    found["closed"] = _closed_levels(engine, prompts, options)
    try:
        import aiohttp  # noqa: F401
        import tokenizers  # noqa: F401
    except ImportError as error:
        print(f"over HTTP: left out, {error}")
    else:
        found["http"] = _over_http(engine, options)
    if os.environ.get("OUT"):
        path = Path(os.environ["OUT"]) / f"continuous-{shape}.json"
        path.write_text(json.dumps(found, indent=1, default=float))
    return int(wrong > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="llama-3.2-1b", help="a file of config/architectures, without .json")
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--prefill-tokens", type=int, default=2048, help="the bound for which graphs are recorded")
    parser.add_argument("--prompt", type=int, default=80, help="tokens of a prompt")
    parser.add_argument("--spread", type=int, default=0, help="by how much a prompt is longer or shorter")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64, 128, 256, 384])
    parser.add_argument("--bounds", type=int, nargs="+", default=[512, 1024, 2048], help="prompt tokens between steps")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each level")
    parser.add_argument("--fronts", type=int, default=max(1, min(6, (os.cpu_count() or 2) // 3)))
    parser.add_argument("--clients", type=int, default=max(1, min(6, (os.cpu_count() or 2) // 3)))
    parser.add_argument("--shares", type=float, nargs="*", default=[0.7, 0.85, 0.95], help="Poisson rates")
    parser.add_argument(
        "--kv-cache", choices=["fp8", "int8"], help="keys and values in 8 bits; the check stays without"
    )
    parser.add_argument("--no-check", action="store_true", help="leave the comparison of tokens out")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--vocabulary", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _check(shape: str, device: torch.device) -> int:
    """How many requests get other tokens together than alone."""
    layers = {"num_hidden_layers": CHECK_LAYERS, "initializer_range": 0.08, "tie_word_embeddings": False}
    config = config_of(shape, **layers)
    drawn = random.Random(1)
    asked = [prompt(drawn.randint(1, 150), config.vocab_size, seed) for seed in range(CHECKED)]
    expected, written = [], {}
    model = random_model(config, device, torch.float32)
    loaded = Loaded(model, Process(device, torch.float32), {})
    with torch.inference_mode():
        for layer in model.model.layers.parameters():
            layer.normal_(0, 0.08) if layer.ndim == 2 else None
    alone = GraphEngine(loaded, shared_prefix=False, pad=0)
    alone.reserve([[each] for each in asked], NEW)
    alone.limit(NEW, [])
    expected = [alone.generate([each]).tokens[0] for each in asked]
    engine = GraphBatching(loaded, pad=0, slots=12, prefill_tokens=256)
    engine.reserve(150 + NEW)
    waiting = [Request(number, each, drawn.randint(1, NEW)) for number, each in enumerate(asked)]
    limits = {request.key: request.max_tokens for request in waiting}
    while waiting or engine.busy:
        for _ in range(min(len(waiting), drawn.choice([0, 0, 0, 1, 3]))):
            engine.submit(waiting.pop())
        for key, token, _ in engine.step():
            written.setdefault(key, []).append(token)
    return sum(written[number] != expected[number][: limits[number]] for number in range(CHECKED))


@torch.inference_mode()
def _graph_times(engine: GraphBatching, prompts: list[list[int]]) -> dict[str, dict[int, float]]:
    """Milliseconds of each graph, replayed again and again."""
    slots = engine.device_slots
    decode, prefill = {}, {}
    for rows in slots.row_counts:
        slots.positions.fill_(len(prompts[0]))
        decode[rows] = _replayed(lambda rows=rows: slots.decode(rows))
    for tokens in slots.token_counts:
        given, total = [], 0
        while total < tokens:
            row = prompts[len(given)][: tokens - total]
            given.append(np.array(row))
            total += len(row)
        prefill[tokens] = _replayed(lambda given=given: slots.prefill(given, list(range(len(given)))))
    mixed = {}
    for rows in slots.mixed_rows:
        for count in (1, 2, 4, 8):
            given = [np.array(prompts[number]) for number in range(count)]
            slots.positions.fill_(len(prompts[0]))
            work = functools.partial(slots.mix, rows, given, list(range(slots.slots - count, slots.slots)))
            mixed[f"{rows}+{sum(map(len, given))}"] = _replayed(work)
    print("decode step, ms by rows: " + ", ".join(f"{rows}: {ms:.2f}" for rows, ms in decode.items()))
    print("prefill, ms by tokens: " + ", ".join(f"{tokens}: {ms:.2f}" for tokens, ms in prefill.items()))
    print("mixed step, ms by rows and tokens: " + ", ".join(f"{shape}: {ms:.2f}" for shape, ms in mixed.items()))
    return {"decode_ms": decode, "prefill_ms": prefill, "mixed_ms": mixed}


def _replayed(work: Any) -> float:
    work()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(REPLAYS):
        work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / REPLAYS


def _closed_levels(engine: GraphBatching, prompts: list[list[int]], options: argparse.Namespace) -> list[dict]:
    print(f"\nclosed loop in this process, {options.prompt} tokens in, {NEW} out")
    print(
        " together  bound  requests/s  latency ms p50 / p99  first token ms p50 / p99   rows  prompts  host us a piece"
        "   mixed"
    )
    levels = [(each, options.prefill_tokens, mixes) for each in options.concurrency for mixes in (True, False)]
    levels += [(max(options.concurrency), bound, True) for bound in options.bounds if bound < options.prefill_tokens]
    found, mixing = [], engine.device_slots.mixes
    for together, bound, mixes in levels:
        engine.prefill_tokens = bound
        engine.device_slots.mixes = mixing if mixes else lambda tokens: False
        level = _closed(engine, prompts, together, options.seconds)
        level |= {"together": together, "bound": bound, "mixes": mixes}
        found.append(level)
        latency, first = level["latency_ms"], level["first_ms"]
        print(
            f"{together:9} {bound:6} {level['per_s']:11.1f} {latency[0]:12.1f} / {latency[1]:6.1f} {first[0]:15.1f} / "
            f"{first[1]:6.1f} {level['rows']:10.1f} {level['prompts']:8.1f} {level['host_us']:8.0f}"
            f"{level['counts']['mixed_steps']:18}"
        )
    engine.device_slots.mixes = mixing
    engine.prefill_tokens = options.prefill_tokens
    return found


def _closed(engine: GraphBatching, prompts: list[list[int]], together: int, seconds: float) -> dict[str, Any]:
    """Keep so many requests under way; the first fifth of the time is left out."""
    sent: dict[int, float] = {}
    ended: list[tuple[float, float]] = []  # when, and after how long
    firsts: list[float] = []
    number, host, pieces = 0, 0.0, 0
    started = set()
    before = dict(vars(engine.counts))
    began = time.perf_counter()
    for _ in range(together):
        sent[number] = time.perf_counter()
        engine.submit(Request(number, prompts[number % len(prompts)], NEW))
        number += 1
    while (now := time.perf_counter()) - began < seconds:
        flight = engine.counts.prefills + engine.counts.decode_steps
        events = engine.step()
        after = time.perf_counter()
        if events or engine.counts.prefills + engine.counts.decode_steps > flight:
            host += after - now
        pieces += engine.counts.prefills + engine.counts.decode_steps - flight
        for key, _, reason in events:
            if key not in started:
                started.add(key)
                firsts.append(after - sent[key])
            if reason:
                ended.append((after - began, after - sent.pop(key)))
                sent[number] = after
                engine.submit(Request(number, prompts[number % len(prompts)], NEW))
                number += 1
    for _ in engine.run():
        pass
    skipped = seconds / 5
    kept = [took for when, took in ended if when > skipped] or [float("nan")]
    grown = {key: value - before[key] for key, value in vars(engine.counts).items()}
    return {
        "per_s": len(kept) / (seconds - skipped),
        "latency_ms": _percentiles(kept),
        "first_ms": _percentiles(firsts[len(firsts) // 5 :] or [float("nan")]),
        "rows": grown["decode_rows"] / max(1, grown["decode_steps"]),
        "prompts": grown["requests"] / max(1, grown["prefills"]),
        "host_us": 1e6 * host / max(1, pieces),
        "counts": grown,
    }


def _percentiles(seconds: list[float]) -> list[float]:
    return [1e3 * float(value) for value in np.percentile(seconds, [50, 99])]


class _Server:
    """What the server's loop needs of an engine, around a model that is on no disk."""

    def __init__(self, batching: GraphBatching) -> None:
        from tokenizers import Tokenizer
        from tokenizers import models as kinds

        words = {f"w{token}": token for token in range(batching.vocabulary)}
        self.batching = batching
        self.info = {
            "names": ["random"], "max_length": batching.max_length, "vocabulary": batching.vocabulary, "ends": [],
            "tokenizer": Tokenizer(kinds.WordLevel(words, unk_token="w0")).to_str(), "special_tokens_are_text": True,
            "chat_template": None, "special_tokens": {}, "version": "0", "evidence": {}, "logprobs": False,
            "sampling": None,
        }  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Enough to see that it lives."""
        return {"requests_running": self.batching.running}


def _over_http(engine: GraphBatching, options: argparse.Namespace) -> list[dict[str, Any]]:
    from scripts.server.fronts import Fronts, listen
    from scripts.server.process import Loop

    sockets = listen("127.0.0.1", 0, options.fronts)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    fronts, server, found = Fronts(sockets), _Server(engine), []
    try:
        fronts.make_ready(server.info)
        print(f"\nover HTTP, {options.fronts} fronts, {options.clients} client processes")
        print(" arrivals         requests/s  latency ms p50 / p99  first token ms p50 / p99  errors")

        def ask() -> None:
            try:
                _ask_levels(url, engine.vocabulary, options, found)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=ask)
        before = signal.getsignal(signal.SIGTERM)
        thread.start()
        Loop(server, fronts).run()
        thread.join()
        signal.signal(signal.SIGTERM, before)
    finally:
        fronts.close()
    return found


def _ask_levels(url: str, vocabulary: int, options: argparse.Namespace, found: list[dict[str, Any]]) -> None:
    for together in [each for each in options.concurrency if each >= options.clients]:
        found.append(_asked(url, vocabulary, options, {"together": together}))
    best = max((level["per_s"] for level in found), default=0.0)
    for share in options.shares:
        found.append(_asked(url, vocabulary, options, {"rate": share * best}))


def _asked(url: str, vocabulary: int, options: argparse.Namespace, level: dict[str, float]) -> dict[str, Any]:
    """One level, by all clients; each writes what it saw as JSON."""
    clients = []
    for seed in range(options.clients):
        asked = {name: value / options.clients for name, value in level.items()}
        given = json.dumps({"url": url, "seed": seed, "seconds": options.seconds + 1} | asked)
        command = modules.command(
            "tests.performance.continuous", "--client", given, "--vocabulary", str(vocabulary), "--prompt",
            str(options.prompt), "--spread", str(options.spread),
        )  # fmt: skip
        clients.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=modules.environment()))
    answers = [answer for client in clients for answer in json.loads(client.communicate()[0])]
    good = [answer for answer in answers if not answer["error"]]
    # From when every client asks to when the first one no longer does.
    due: dict[int, list[float]] = {}
    for each in answers:
        due.setdefault(each["client"], []).append(each["due"])
    begin, end = max(map(min, due.values())), min(map(max, due.values()))
    begin += (end - begin) / 5
    kept = [each for each in good if begin < each["ended"] <= end]
    errors = [answer["error"] for answer in answers if answer["error"]]
    result = level | {
        "per_s": len(kept) / (end - begin),
        "latency_ms": _percentiles([each["ended"] - each["due"] for each in kept] or [float("nan")]),
        "first_ms": _percentiles([each["first"] - each["due"] for each in kept] or [float("nan")]),
        "late_ms": _percentiles([each["sent"] - each["due"] for each in kept] or [float("nan")]),
        "errors": len(errors),
        "first_error": errors[0] if errors else None,
    }
    name = f"{level['together']} together" if "together" in level else f"Poisson {level['rate']:.0f}/s"
    print(
        f" {name:15} {result['per_s']:11.1f} {result['latency_ms'][0]:12.1f} / {result['latency_ms'][1]:6.1f}"
        f" {result['first_ms'][0]:15.1f} / {result['first_ms'][1]:6.1f} {len(errors):7} {errors[:1] or ''}",
        flush=True,
    )
    return result


def _client(options: argparse.Namespace) -> None:
    """Ask for a while and print the answers as JSON."""
    import asyncio
    import gc

    from scripts.serving.api import Api, Ask
    from scripts.serving.client import Client

    given = json.loads(options.client)
    drawn = random.Random(given["seed"])
    lengths = range(options.prompt - options.spread, options.prompt + options.spread + 1)
    asks = [Ask(None, tuple(drawn.choices(range(1, options.vocabulary), k=drawn.choice(lengths))), NEW,
                extra={"ignore_eos": True}) for _ in range(256)]  # fmt: skip
    answers = []

    async def run() -> None:
        api = Api(
            given["url"], names={"prompt_tokens": "prompt", "stop_tokens": "stop_token_ids"}, token_ids="token_ids"
        )
        async with Client(api, limit_s=60) as client:
            began = time.perf_counter()

            async def one(due: float | None) -> None:
                answer = await client.send(drawn.choice(asks), due)
                answers.append(
                    {name: getattr(answer, name) for name in ("due", "sent", "first", "ended", "error")}
                    | {"client": given["seed"]}
                )

            async def again() -> None:
                while time.perf_counter() - began < given["seconds"]:
                    await one(None)

            if "together" in given:
                await asyncio.gather(*[again() for _ in range(max(1, round(given["together"])))])
                return
            tasks, due = set(), began
            while (due := due + drawn.expovariate(given["rate"])) - began < given["seconds"]:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                task = asyncio.create_task(one(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

    gc.disable()
    asyncio.run(run())
    print(json.dumps(answers))


if __name__ == "__main__":
    sys.exit(main())
