import csv
import gzip
import json
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from scripts.inference import profiling
from scripts.inference.profiling import busy_seconds, operator_share, profile_samples


class Prepared:
    """Stands for a loaded technique: every prompt costs a product of matrices and some Python."""

    def __init__(self, batch_size=None):
        self.loaded, self.batch_size = SimpleNamespace(generator=None), batch_size or 1
        self.batches = []

    def generate(self, prompts, *, counted):
        assert counted is False
        self.batches.append(prompts)
        for _ in prompts:
            torch.mm(torch.ones(800, 800), torch.ones(800, 800)).relu()


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    directory = tmp_path_factory.mktemp("profile") / "technique"
    return profile_samples(Prepared(), ["a", "b", "c"], directory), directory


def rows(directory):
    with (directory / "operators.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_table_has_every_operator_the_costliest_first(profiled):
    table = rows(profiled[1])
    by_name = {row["name"]: row for row in table}
    assert table[0]["name"] == "aten::mm"
    assert by_name["aten::mm"]["calls"] == "3"
    assert by_name["aten::ones"]["calls"] == "6"
    times = [float(row["cpu_self_s"]) for row in table]
    assert times == sorted(times, reverse=True)
    # ones() fills: the time of what it calls is in its total, not in its own.
    assert float(by_name["aten::ones"]["cpu_total_s"]) > float(by_name["aten::ones"]["cpu_self_s"])
    assert all(row["kind"] == "operator" for row in table)


def test_times_are_in_seconds_and_within_the_whole(profiled):
    summary, directory = profiled
    total = sum(float(row["cpu_self_s"]) for row in rows(directory))
    assert 1e-5 < total <= summary["elapsed_s"]


def test_the_summary_names_the_ten_costliest_operators(profiled):
    summary, directory = profiled
    assert (summary["samples"], summary["device"]) == (3, "cpu")
    assert summary["top"][0]["name"] == "aten::mm"
    assert [row["name"] for row in summary["top"]] == [row["name"] for row in rows(directory)][:10]
    json.dumps(summary, allow_nan=False)


def test_the_trace_is_one_that_trace_viewers_read(profiled):
    with gzip.open(profiled[1] / "trace.json.gz", "rt") as handle:
        events = json.load(handle)["traceEvents"]
    products = [event for event in events if event.get("name") == "aten::mm" and event["ph"] == "X"]
    assert len(products) == 3
    assert all(event["dur"] > 0 for event in products)


def test_nothing_half_written_is_left(profiled, tmp_path, monkeypatch):
    assert sorted(path.name for path in profiled[1].iterdir()) == ["operators.csv", "trace.json.gz"]

    def fail(self, path):
        open(path, "w").close()
        raise OSError("disk full")

    monkeypatch.setattr(torch.profiler.profile, "export_chrome_trace", fail)
    with pytest.raises(OSError, match="disk full"):
        profile_samples(Prepared(), ["a"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["operators.csv"]


def test_operators_of_another_thread_count_where_they_are_asked_for():
    def multiply():
        thread = threading.Thread(target=lambda: torch.mm(torch.ones(800, 800), torch.ones(800, 800)))
        thread.start()
        thread.join()

    assert operator_share(multiply)[0] == 0
    inside, elapsed = operator_share(multiply, all_threads=True)
    assert 0 < inside < elapsed


def test_prompts_go_in_batches_of_the_technique():
    prepared = Prepared(batch_size=2)
    profile_samples(prepared, ["a", "b", "c"], None)
    assert prepared.batches == [["a", "b"], ["c"]]


def test_a_rank_that_only_generates_along_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert profile_samples(Prepared(), ["a"], None)["samples"] == 1
    assert list(tmp_path.iterdir()) == []


def multiply():
    for _ in range(20):
        torch.mm(torch.ones(300, 300), torch.ones(300, 300))


def test_the_share_of_operators_tells_products_from_python():
    inside, elapsed = operator_share(multiply)
    assert 0.5 < inside / elapsed <= 1
    inside, elapsed = operator_share(lambda: time.sleep(0.2))
    assert elapsed >= 0.2
    assert inside < 0.02


class Slow(torch.autograd.Function):
    """A function of Python around an operator, as bitsandbytes has them."""

    @staticmethod
    def forward(context, given):
        time.sleep(0.2)
        return given.relu()


def test_python_inside_a_function_that_autograd_names_is_no_operator():
    inside, _ = operator_share(lambda: Slow.apply(torch.ones(3, requires_grad=True)))
    assert 0 < inside < 0.02


def test_on_a_gpu_kernels_count_once_and_the_operators_that_start_them_do_not(monkeypatch):
    from torch.autograd import DeviceType

    def event(key, device, cpu, cuda, annotation=False, start=0.0):
        span = SimpleNamespace(start=start * 1e6, end=(start + cuda) * 1e6)
        return SimpleNamespace(
            key=key, device_type=device, count=1, is_user_annotation=annotation, self_cpu_time_total=cpu * 1e6,
            cpu_time_total=cpu * 1e6, self_device_time_total=cuda * 1e6, device_time_total=cuda * 1e6, time_range=span,
        )  # fmt: skip

    events = [
        event("aten::mm", DeviceType.CPU, 0.5, 0.2),
        event("sm90_gemm", DeviceType.CUDA, 0, 0.2),
        event("Memcpy DtoH", DeviceType.CUDA, 0, 0.1, start=0.5),
        event("ProfilerStep*", DeviceType.CUDA, 0, 9, annotation=True),
    ]

    class Profiler:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def key_averages(self):
            return events

        events = key_averages

    monkeypatch.setattr(profiling, "_profiler", lambda **_: Profiler())
    monkeypatch.setattr(profiling, "_synchronise", lambda: None)
    monkeypatch.setattr(profiling, "_has_gpu", lambda: True)
    assert operator_share(lambda: None)[0] == pytest.approx(0.3)
    summary = profile_samples(Prepared(), [], None)
    assert [row["name"] for row in summary["top"]] == ["aten::mm"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_kernels_of_a_real_gpu_are_in_the_table(tmp_path):
    class OnGpu(Prepared):
        def generate(self, prompts, *, counted):
            ones = torch.ones(4096, 4096, device="cuda")
            torch.mm(ones, ones)

    OnGpu().generate(["a"], counted=False)
    summary = profile_samples(OnGpu(), ["a", "b"], tmp_path)
    table = rows(tmp_path)
    kernels = sum(float(row["device_self_s"]) for row in table if row["kind"] == "kernel")
    operators = sum(float(row["device_self_s"]) for row in table if row["kind"] == "operator")
    assert kernels == pytest.approx(operators, rel=0.1)
    assert summary["top"][0]["name"] == "aten::mm"
    inside, elapsed = operator_share(lambda: OnGpu().generate(["a"], counted=False))
    assert 0 < inside <= elapsed


def test_time_in_which_kernels_overlap_counts_once():
    assert busy_seconds([]) == 0
    # The second was launched early and waited for the first; the third lies within the second.
    assert busy_seconds([(0.0, 1.0), (0.4, 2.0), (1.2, 1.5), (3.0, 3.5)]) == pytest.approx(2.5)
