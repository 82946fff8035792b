"""The load generator against a queue whose waiting is known: one request at a time, a fixed time each (M/D/1).

    python -m tests.performance.load_generator
    python -m tests.performance.load_generator --against guidellm --tool-python /path/to/venv/bin/python

A server of a fixed service time is sent Poisson arrivals. The waiting time of a request is its latency, from when it
was due, less that of a lone request. It is held against the queue of the very same due moments, computed (Lindley's
recursion), which a faultless generator and server would have given, and against the formulas of the M/D/1 queue, from
which a finite run of correlated requests differs by chance. Intervals are of 95%: by batch means (20 batches) for the
means and the difference to the computed queue, by resampling the batches for P99.

With ``--against`` the same server is loaded at the same rate by GuideLLM, from a virtual environment of its own, and
its latencies are held against the computed queue of the moments at which its requests were due or were sent.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from scipy import stats

from scripts.serving.client import Api, Ask
from scripts.traffic import arrivals
from scripts.traffic.load import run_load
from tests.support import queueing, sse_server

BATCHES = 20
DRAWS = 2000
LONE = 50
PROMPT_WORDS = 40


@dataclass
class Waits:
    """Waiting times in seconds of requests in the order in which they were due.

    Attributes:
        name: of who measured.
        measured: as measured.
        computed: of the queue with the same due moments.
        failed: requests without an answer.
        cpu_s: processor time of the sending processes.
        seconds: that the load lasted.
        note: for the line.
    """

    name: str
    measured: np.ndarray
    computed: np.ndarray
    failed: int
    cpu_s: float
    seconds: float
    note: str = ""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second")
    parser.add_argument("--load", type=float, default=0.8, help="rate x service time")
    parser.add_argument("--requests", type=int, default=12_000, help="measured requests")
    parser.add_argument("--tokens", type=int, default=16, help="tokens of an answer, each a chunk")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, help="that send; without it as many as the rate needs")
    parser.add_argument("--against", choices=["guidellm"], help="another tool, on the same server")
    parser.add_argument("--tool-python", type=Path, help="the Python of the tool's virtual environment")
    parser.add_argument("--tool-workers", type=int, default=1, help="processes of the tool")
    arguments = parser.parse_args()
    if arguments.against and not arguments.tool_python:
        parser.error("--against needs --tool-python")
    service = arguments.load / arguments.rate
    print(
        f"{arguments.rate:g} requests/s of {arguments.tokens} chunks, {service * 1e3:g} ms each, load "
        f"{arguments.load:g}, on {psutil.cpu_count()} cores with {os.getloadavg()[0]:.1f} processes running before"
    )
    mean = queueing.mean_wait(arguments.load, service) * 1e3
    p99 = queueing.wait_quantile(arguments.load, service, 0.99) * 1e3
    print(f"M/D/1, formulas      mean {mean:6.2f} ms                    P99 {p99:6.1f} ms")
    ways = [ours] + ([guidellm] if arguments.against else [])
    for way in ways:
        with sse_server.started(slots=1, service_s=service, tokens=arguments.tokens) as server:
            report(way(server, arguments, service))


def ours(server: sse_server.Started, arguments: argparse.Namespace, service: float) -> Waits:
    """Load the server with this project's generator."""
    records: list[dict[str, Any]] = []
    api = Api(server.url)
    asks = [Ask(prompt, None, arguments.tokens) for prompt in texts(500)]
    lone = {"arrivals": "closed", "concurrency": [1], "requests": LONE, "processes": 1}
    run_load(api, asks, lone, write=records.extend)
    alone = np.median([record["last_s"] - record["due_s"] for record in records if record["error_kind"] is None])
    records.clear()
    served_before = len(server.requests())
    settings = {
        "rates": [arguments.rate], "requests": arguments.requests, "seed": arguments.seed,
        "time_limit_s": 10 * arguments.requests / arguments.rate + 100, "processes": arguments.processes,
    }  # fmt: skip
    result = run_load(api, asks, settings, write=records.extend)
    level = result["levels"][0]
    if level["ended_early"]:
        sys.exit(f"the level ended early: {level['ended_early']}")
    measured = [record for record in records if record["phase"] == "measured"]
    last = measured[-1]["number"]
    due = list(itertools.islice(arrivals.moments("poisson", arguments.rate, arguments.seed), last + 1))
    computed = np.array(queueing.waits(due, service))
    answered = [record for record in measured if record["error_kind"] is None]
    numbers = [record["number"] for record in answered]
    served = server.requests()[served_before:]
    by_server = np.array([one.ended - one.due_end for one in served if one.ended])
    lag = level["send_lag_s"]
    return Waits(
        "this generator", np.array([record["last_s"] - record["due_s"] for record in answered]) - alone,
        computed[numbers], len(measured) - len(answered), level["cpu_share"] * level["duration_s"], level["duration_s"],
        f"lone request {alone * 1e3:.2f} ms, send lag mean {lag['mean'] * 1e3:.2f} and P99 {lag['p99'] * 1e3:.2f} ms, "
        f"the server's own lateness mean {by_server.mean() * 1e3:.2f} and P99 "
        f"{np.quantile(by_server, 0.99) * 1e3:.2f} ms, {result['generator']['processes']} processes, flags "
        f"{level['flags'] or 'none'}",
    )  # fmt: skip


def guidellm(server: sse_server.Started, arguments: argparse.Namespace, service: float) -> Waits:
    """Load the server with GuideLLM."""
    with tempfile.TemporaryDirectory() as folder:
        prompts, written = Path(folder) / "prompts.jsonl", Path(folder) / "report.json"
        rows = [{"prompt": text, "output_tokens_count": arguments.tokens} for text in texts(arguments.requests + 1000)]
        prompts.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        lone, _, _ = tool(server, arguments, prompts, written, "kind=synchronous", LONE)
        alone = float(np.median([latency(entry, "request_start") for entry in lone]))
        profile = f"kind=poisson,rate={arguments.rate}"
        requests, failed, cpu_s = tool(server, arguments, prompts, written, profile, arguments.requests)
    requests.sort(key=lambda entry: entry["info"]["timings"]["targeted_start"])
    first = requests[0]["info"]["timings"]["targeted_start"]
    due = np.array([entry["info"]["timings"]["targeted_start"] - first for entry in requests])
    sent = np.array([entry["info"]["timings"]["request_start"] - first for entry in requests])
    lag = sent - due
    measured = np.array([latency(entry, "targeted_start") for entry in requests]) - alone
    reported = np.array([latency(entry, "request_start") for entry in requests]) - alone
    order = np.argsort(sent, kind="stable")
    by_sent = Waits(
        "GuideLLM as reported", reported[order], np.array(queueing.waits(sent[order], service)), failed, 0, 1
    )
    report(by_sent, cpu=False)
    return Waits(
        "GuideLLM from due", measured, np.array(queueing.waits(due, service)), failed, cpu_s, float(due[-1]),
        f"lone request {alone * 1e3:.2f} ms, send lag mean {lag.mean() * 1e3:.2f} and P99 "
        f"{np.quantile(lag, 0.99) * 1e3:.2f} ms, {len(due) / due[-1]:.1f} requests/s due",
    )  # fmt: skip


def tool(
    server: sse_server.Started, arguments: argparse.Namespace, prompts: Path, written: Path, profile: str, count: int
) -> tuple[list[dict[str, Any]], int, float]:
    """Run GuideLLM once; return its answered requests, the number of failed ones, and its processor time."""
    command = [
        arguments.tool_python, "-m", "guidellm", "run",
        "--backend", f"kind=openai_http,target={server.url},model=m,request_format=/v1/completions",
        "--profile", profile, "--constraint", f"kind=max_requests,count={count}",
        "--data", f"kind=json_file,path={prompts}", "--output", f"kind=json,path={written}", "--disable-console",
    ]  # fmt: skip
    environment = os.environ | {"GUIDELLM__MAX_WORKER_PROCESSES": str(arguments.tool_workers), "HF_HUB_OFFLINE": "1"}
    before = os.times()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        sys.exit(f"guidellm ended with status {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    found = json.loads(written.read_text(encoding="utf-8"))["benchmarks"][0]["requests"]
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return found["successful"], len(found["errored"]), cpu


def latency(entry: dict[str, Any], begin: str) -> float:
    """Return the seconds from a moment that GuideLLM notes of a request to its last token."""
    timings = entry["info"]["timings"]
    return timings["last_token_iteration"] - timings[begin]


def texts(count: int) -> list[str]:
    """Return so many different prompts."""
    draw = random.Random(0)
    return [" ".join(f"word{draw.randrange(1000)}" for _ in range(PROMPT_WORDS)) for _ in range(count)]


def report(waits: Waits, cpu: bool = True) -> None:
    """Print how far the measured waiting is from the computed."""
    print(f"{waits.name}, n = {len(waits.measured)}, {waits.failed} failed")
    for name, values in (("computed, same due", waits.computed), ("measured", waits.measured)):
        mean, p99 = (interval(values, one) for one in (np.mean, percentile))
        print(
            f"  {name:<18} mean {values.mean() * 1e3:6.2f} ms ({mean[0] * 1e3:.2f} to {mean[1] * 1e3:.2f})    "
            f"P99 {percentile(values) * 1e3:6.1f} ms ({p99[0] * 1e3:.1f} to {p99[1] * 1e3:.1f})"
        )
    both = np.stack([waits.measured, waits.computed])
    for name, figure in (("mean", np.mean), ("P99", percentile)):
        ratio = figure(both[0]) / figure(both[1]) - 1
        low, high = interval(both, lambda pair, figure=figure: figure(pair[0]) / figure(pair[1]) - 1)
        print(f"  {name:<4} measured over computed {ratio:+.1%} (95% {low:+.1%} to {high:+.1%})")
    share = f"; CPU {waits.cpu_s / waits.seconds:.0%} of a core" if cpu else ""
    print(f"  {waits.note}{share}" if waits.note else "", flush=True)


def percentile(values: np.ndarray) -> float:
    """Return the nearest-rank P99."""
    return float(np.sort(values)[math.ceil(0.99 * len(values)) - 1])


def interval(values: np.ndarray, figure: Any) -> tuple[float, float]:
    """Return the 95% interval of a figure: of the mean by batch means, of any other by resampling the batches."""
    batches = np.array_split(values, BATCHES, axis=-1)
    if figure is np.mean:
        means = np.array([batch.mean() for batch in batches])
        error = stats.t.ppf(0.975, BATCHES - 1) * means.std(ddof=1) / math.sqrt(BATCHES)
        return float(means.mean() - error), float(means.mean() + error)
    draw = np.random.default_rng(0)
    picked = [np.concatenate([batches[i] for i in draw.integers(BATCHES, size=BATCHES)], axis=-1) for _ in range(DRAWS)]
    low, high = np.quantile([figure(one) for one in picked], [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
