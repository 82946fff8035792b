"""The parent of a run: devices, workers and what becomes of their ends. The workers here are stand-ins."""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scripts import generate
from scripts.foundation import failures, files
from scripts.foundation.errors import StudyError
from scripts.inference import launch, leases, machine
from tests.support.worker_runs import GENERATION, settings

GPU = {"name": "NVIDIA T", "memory_bytes": 8, "driver": "1", "power_limit_w": 300.0}
GPUS = [GPU | {"uuid": f"GPU-{letter}"} for letter in ("aaaa", "bbbb")]
REPORT = {
    "status": "ok", "reason": None, "load_time_s": 1.0, "warmup_time_s": 1.0, "compile_time_s": 0.0,
    "generation_time_s": 1.0, "generation": {"do_sample": False}, "threads": 1, "evidence": {"kv_cache": {}},
}  # fmt: skip

# What a stand-in does: report with a status, end with an exit status or a signal, or hang.
STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path
scratch, rank, act, report = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
(Path(sys.argv[5]) / f"rank-{rank}-{os.getpid()}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
if act == "hang":
    time.sleep(30)
if act.startswith("write"):
    Path(act.split()[1]).write_text(act.split(maxsplit=2)[2])
    os.abort()
if act.startswith("signal"):
    os.kill(os.getpid(), int(act.split()[1]))
if act.startswith("exit"):
    sys.exit(int(act.split()[1]))
if report["status"] == "ok":
    report["memory"] = {
        "method": "resident_set", "peak_is_exact": True, "device": f"cpu process {rank}", "rank": rank,
        "before_load_bytes": 1, "load_peak_bytes": 5 + rank, "after_load_bytes": 3, "peak_bytes": 10 + rank,
        "weight_bytes": 2 + rank,
    }
    report["evidence"]["parallel"] = {"rank": rank}
else:
    report = {key: report[key] for key in ("status", "reason", "unforeseen_at") if key in report}
(scratch / f"rank-{rank}.json").write_text(json.dumps(report))
if rank == 0:
    (scratch / "samples.jsonl").write_text('{"id": "sample-0"}\\n')
"""


@pytest.fixture
def arguments(checkpoint, evaluation_set, tmp_path):
    """Command-line arguments; ``arguments(parallel=...)`` sets facets."""

    def make(**facets):
        return argparse.Namespace(
            technique="tested", run=1, settings=settings(**facets), generation=dict(GENERATION),
            target=checkpoint / "manifest.json", draft=None, dataset=evaluation_set, rows=None,
            fixed={"new_tokens": 4, "samples": 0}, warmup=1,
            threads=1, device="auto", output=tmp_path / "run-1", reference_technique=None, reference=None,
        )  # fmt: skip

    return make


@pytest.fixture
def workers(monkeypatch, tmp_path):
    """Replaces each rank's worker: ``workers(("hang", {}), ("signal 9", {}))``; returns the folder of their traces."""
    traces = tmp_path / "traces"
    traces.mkdir()

    def replace(*acts, signs=False):
        def stand_in(scratch, rank, processes, environment):
            act, report = acts[rank]
            command = [sys.executable, "-c", STAND_IN, str(scratch), str(rank), act, json.dumps(REPORT | report)]
            environment = os.environ | environment
            stdout = subprocess.PIPE if signs else None
            return subprocess.Popen([*command, str(traces)], env=environment, stdin=subprocess.PIPE, stdout=stdout)

        monkeypatch.setattr(launch, "_start_worker", stand_in)
        return traces

    return replace


@pytest.fixture(autouse=True)
def no_gpus(monkeypatch):
    """A machine without GPUs, whatever the tests run on."""
    monkeypatch.setattr(machine, "gpus", lambda: [])


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    (tmp_path / "leases").mkdir()
    monkeypatch.setattr(machine, "gpus", lambda: GPUS)
    monkeypatch.setattr(leases, "lock_directory", lambda of="gpu": tmp_path / ("leases" if of == "gpu" else of))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / "leases"


@pytest.fixture
def scratch(monkeypatch, tmp_path):
    """Where runs make their temporary folders."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(launch.tempfile, "tempdir", str(folder))
    return folder


def ended(traces):
    """Whether every worker that was started has ended."""
    return all(not psutil.pid_exists(int(trace.name.split("-")[-1])) for trace in traces.iterdir())


def left(scratch):
    """What a run left; the locks of leased CPUs stay, on machines that have more than it takes."""
    return [path for path in scratch.iterdir() if not path.name.endswith("-leases")]


def test_what_all_ranks_report_is_one_record(arguments, workers, scratch):
    workers(("report", {}), ("report", {}))
    outcome, samples = generate.run(arguments(parallel={"tensor": 2}))
    assert outcome["status"] == "ok"
    assert samples == {"natural": [{"id": "sample-0"}], "fixed": []}
    memory = outcome["memory"]
    assert memory["peak_memory_bytes"] == 10 + 11
    assert memory["load_peak_memory_bytes"] == 5 + 6
    assert memory["weight_bytes"] == 2 + 3
    assert [device["device"] for device in memory["devices"]] == ["cpu process 0", "cpu process 1"]
    assert outcome["evidence"]["parallel"] == {"ranks": [{"rank": 0}, {"rank": 1}]}
    assert outcome["processes"] == 2
    assert left(scratch) == []


@pytest.mark.parametrize("status", ["unsupported", "out_of_memory", "invalid", "failed"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_cannot_go_on_ends_the_others_at_once(arguments, workers, scratch, status, rank):
    acts = [("hang", {}), ("hang", {})]
    acts[rank] = ("report", {"status": status, "reason": "A sentence."})
    traces = workers(*acts)
    began = time.monotonic()
    outcome, samples = generate.run(arguments(parallel={"tensor": 2}))
    assert time.monotonic() - began < 10
    assert (outcome["status"], outcome["reason"]) == (status, "A sentence.")
    assert samples == {"natural": [], "fixed": []}
    assert outcome["evidence"] == {}
    assert outcome["memory"] is outcome["load_time_s"] is outcome["generation_time_s"] is None
    assert ended(traces)
    assert left(scratch) == []


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (
            "signal 9",
            r"rank 1 was killed \(signal 9\), .* memory .*; see the kernel's log, and give the run more memory",
        ),
        ("signal 11", r"the worker of rank 1 ended with signal 11 \(Segmentation fault\)"),
        ("exit 3", "the worker of rank 1 ended with status 3"),
    ],
)
def test_a_rank_that_dies_ends_the_others_at_once(arguments, workers, scratch, act, sentence):
    traces = workers(("hang", {}), (act, {}))
    began = time.monotonic()
    outcome, samples = generate.run(arguments(parallel={"tensor": 2}))
    assert (outcome["status"], samples) == ("failed", {"natural": [], "fixed": []})
    assert re.search(sentence, outcome["reason"])
    assert outcome["evidence"] == {}
    assert outcome["memory"] is outcome["generation_time_s"] is None
    assert time.monotonic() - began < 10
    assert ended(traces)
    assert left(scratch) == []


@pytest.mark.parametrize(
    ("acts", "sentence"),
    [
        ([("exit 1", {}), ("signal 9", {})], "rank 1 was killed"),
        ([("exit 1", {}), ("report", {"status": "failed", "reason": "models.small is broken."})], "models.small is br"),
        (
            [
                ("report", {"status": "failed", "reason": "Connection closed.", "unforeseen_at": 2.0}),
                ("report", {"status": "failed", "reason": "KeyError: 'a fault'.", "unforeseen_at": 1.0}),
            ],
            "KeyError",
        ),
    ],
)
def test_the_rank_at_fault_is_named_not_the_one_that_lost_its_peer(arguments, workers, acts, sentence):
    workers(*acts)
    outcome, _ = generate.run(arguments(parallel={"tensor": 2}))
    assert outcome["status"] == "failed"
    assert sentence in outcome["reason"]


def test_out_of_memory_of_one_rank_counts_though_its_peer_fails_too(arguments, workers):
    workers(("exit 1", {}), ("report", {"status": "out_of_memory", "reason": "Out of memory: x"}))
    outcome, _ = generate.run(arguments(parallel={"pipeline": 2}))
    assert outcome["status"] == "out_of_memory"


def test_too_few_gpus_is_a_row_and_no_wait(arguments, workers, two_gpus):
    traces = workers()
    with leases.lease(["GPU-aaaa", "GPU-bbbb"], 2, two_gpus):
        began = time.monotonic()
        outcome, samples = generate.run(arguments(parallel={"tensor": 4}))
    assert time.monotonic() - began < 5
    assert outcome["status"] == "unsupported"
    assert outcome["reason"] == "Needs 4 GPUs; this machine has 2 GPUs to use."
    assert samples == {"natural": [], "fixed": []}
    assert list(traces.iterdir()) == []


def test_gpus_that_are_hidden_do_not_count(arguments, workers, two_gpus, monkeypatch):
    workers()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    outcome, _ = generate.run(arguments(parallel={"tensor": 2}))
    assert outcome["reason"] == "Needs 2 GPUs; this machine has 1 GPU to use."


def test_workers_see_the_leased_gpus_and_no_others(arguments, workers, two_gpus):
    traces = workers(("report", {}))
    with leases.lease(["GPU-aaaa"], 1, two_gpus):
        outcome, _ = generate.run(arguments())
    assert [trace.read_text() for trace in traces.iterdir()] == ["GPU-bbbb"]
    assert outcome["leased_gpus"] == ["GPU-bbbb"]
    # Given back.
    with leases.lease(["GPU-aaaa", "GPU-bbbb"], 2, two_gpus):
        pass


def test_on_cpus_workers_see_no_gpu(arguments, workers, two_gpus):
    traces = workers(("report", {}))
    on_cpu = arguments()
    on_cpu.device = "cpu"
    generate.run(on_cpu)
    assert [trace.read_text() for trace in traces.iterdir()] == [""]
    assert list(two_gpus.iterdir()) == []


def test_asking_for_cuda_without_a_gpu_is_refused(arguments):
    on_gpu = arguments()
    on_gpu.device = "cuda"
    with pytest.raises(StudyError, match=r"measurement\.device is 'cuda', but no NVIDIA GPU is visible"):
        generate.run(on_gpu)


@pytest.mark.parametrize("rows", [None, 1])
def test_too_few_rows_for_the_examples_is_refused(arguments, tmp_path, rows):
    asked = arguments()
    asked.generation["shots"] = 2
    if rows is not None:
        asked.rows = tmp_path / "train.jsonl"
        files.write_json_lines(asked.rows, [{"summary": "s", "headline": "h"}] * rows)
    with pytest.raises(StudyError, match=r"generation\.shots asks for 2 rows, but"):
        generate.run(asked)


def test_a_failed_run_is_a_record_with_its_log_and_another_attempt_to_tell(arguments, workers, monkeypatch, tmp_path):
    workers(("exit 1", {}))
    asked = arguments()
    asked.log = Path("logs/tested-1.log")
    monkeypatch.setattr(generate, "_arguments", lambda: asked)
    seen = set()
    for _ in range(2):
        generate.main()
        record = files.read_json(tmp_path / "run-1" / "run.json")
        assert record["status"] == "failed"
        assert record["reason"] == "the worker of rank 0 ended with status 1; the log is logs/tested-1.log."
        seen.add((tmp_path / "run-1" / failures.ATTEMPTS).read_text(encoding="utf-8"))
    assert len(seen) == 2


def test_a_number_that_is_none_makes_the_run_a_failed_one(arguments, workers, monkeypatch, tmp_path):
    workers(("report", {"generation_time_s": float("nan")}))
    monkeypatch.setattr(generate, "_arguments", arguments)
    generate.main()
    record = files.read_json(tmp_path / "run-1" / "run.json")
    assert (record["status"], record["generation_time_s"]) == ("failed", None)
    assert "generation_time_s is nan" in record["reason"]
    assert (tmp_path / "run-1" / "samples.jsonl").read_bytes() == b""


@pytest.mark.parametrize("sign", ["terminate called after throwing an instance of 'std::bad_alloc'", "MemoryError"])
def test_a_worker_that_ends_for_want_of_memory_is_out_of_memory(arguments, workers, tmp_path, sign):
    asked = arguments()
    asked.log = tmp_path / "run.log"
    workers((f"write {asked.log} {sign}", {}))
    outcome, _ = generate.run(asked)
    assert outcome["status"] == "out_of_memory"
    assert outcome["reason"].startswith("Out of memory: the worker of rank 0")


def test_what_was_written_before_the_run_is_not_held_against_it(arguments, workers, tmp_path):
    asked = arguments()
    asked.log = tmp_path / "run.log"
    asked.log.write_text("MemoryError\n", encoding="utf-8")
    workers(("signal 6", {}))
    assert generate.run(asked)[0]["status"] == "failed"


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_rank_that_is_stopped_is_noticed_and_named(arguments, workers, stopped):
    acts = [("hang", {}), ("hang", {})]
    acts[stopped] = ("signal 19", {})
    traces = workers(*acts, signs=True)
    asked = arguments(parallel={"tensor": 2})
    asked.time_limit = 1.0
    began = time.monotonic()
    outcome, _ = generate.run(asked)
    assert time.monotonic() - began < 10
    assert outcome["status"] == "failed"
    assert f"rank {stopped} gave no sign of life" in outcome["reason"]
    assert "stopped" in outcome["reason"]
    assert ended(traces)


def test_a_run_that_could_not_be_made_writes_an_empty_list_of_samples(arguments, workers, monkeypatch, tmp_path):
    workers(("report", {"status": "unsupported", "reason": "A sentence."}))
    monkeypatch.setattr(generate, "_arguments", arguments)
    generate.main()
    assert sorted(path.name for path in (tmp_path / "run-1").iterdir()) == [
        "distributions.npz",
        "fixed.jsonl",
        "run.json",
        "samples.jsonl",
    ]
    assert (tmp_path / "run-1" / "samples.jsonl").read_bytes() == b""
    assert files.read_json(tmp_path / "run-1" / "run.json")["reason"] == "A sentence."


def test_samples_stand_before_the_record_that_vouches_for_them(arguments, workers, monkeypatch, tmp_path):
    workers(("report", {}))
    monkeypatch.setattr(generate, "_arguments", arguments)

    def full_disk(*unused):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_json", _failing_for("run.json", files.write_json, full_disk))
    with pytest.raises(OSError, match="No space"):
        generate.main()
    assert sorted(path.name for path in (tmp_path / "run-1").iterdir()) == [
        "distributions.npz",
        "fixed.jsonl",
        "samples.jsonl",
    ]


def _failing_for(name, original, fail):
    return lambda path, value: fail() if Path(path).name == name else original(path, value)


def test_cores_are_shared_out_between_the_processes(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    assert [generate._threads(0, processes) for processes in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert generate._threads(3, 2) == 3


def workers_of(process):
    """The parent starts others too, such as git, which end by themselves."""
    found = []
    for child in process.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child] if "scripts.inference.worker" in child.cmdline() else []
    return found


@contextlib.contextmanager
def parent_of_a_hanging_worker(tmp_path, checkpoint, evaluation_set):
    """A real parent, whose real worker waits for a peer that never comes."""
    command = [
        sys.executable, "-c",
        "import sys; from scripts import generate; from scripts.foundation import entry\n"
        "from scripts.inference import launch\n"
        "start = launch._start_worker\n"
        "launch._start_worker = lambda scratch, rank, *rest: start(scratch, 0, *rest)\n"
        "entry.run(generate.main)",
        "--technique", "tested", "--run", "1", "--settings", json.dumps(settings(parallel={"tensor": 2})),
        "--generation", json.dumps(GENERATION), "--target", str(checkpoint / "manifest.json"),
        "--dataset", str(evaluation_set), "--device", "cpu", "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        process = psutil.Process(parent.pid)
        deadline = time.monotonic() + 60
        while len(workers_of(process)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        yield parent, workers_of(process)
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_workers_do_not_outlive_their_parent(tmp_path, checkpoint, evaluation_set, way):
    """Else they would go on using a GPU whose lease has ended with the parent."""
    with parent_of_a_hanging_worker(tmp_path, checkpoint, evaluation_set) as (parent, workers):
        assert len(workers) == 2
        getattr(parent, way)()
        gone, alive = psutil.wait_procs(workers, timeout=20)
        assert len(gone) == 2
        assert alive == []
        parent.wait(timeout=20)
    if way == "terminate":
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("udaciheadline-run-")] == []
    assert not (tmp_path / "out").exists()
