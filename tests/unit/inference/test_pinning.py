"""Which CPUs a run keeps to."""

import contextlib
import os
import subprocess
import sys

import pytest

from scripts.inference import pinning


@pytest.fixture
def four(monkeypatch, tmp_path):
    """Four CPUs; 0 and 2 are threads of one core, 1 and 3 of another."""
    monkeypatch.setattr(pinning.os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    monkeypatch.setattr(pinning, "TOPOLOGY", tmp_path)
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(f"{siblings}\n")
    (tmp_path / "locks").mkdir()
    return tmp_path / "locks"


def test_cores_come_before_their_second_threads_and_the_first_core_last(four):
    assert pinning.by_preference({0, 1, 2, 3}) == [1, 0, 3, 2]
    (pinning.TOPOLOGY / "cpu1" / "topology" / "thread_siblings_list").write_text("0-1\n")
    assert pinning.by_preference({0, 1, 2, 3}) == [0, 3, 2, 1]


def test_cores_that_save_power_come_last(four):
    for cpu, speed in enumerate((5_500_000, 5_800_000, 5_500_000, 4_300_000)):
        (pinning.TOPOLOGY / f"cpu{cpu}" / "cpufreq").mkdir()
        (pinning.TOPOLOGY / f"cpu{cpu}" / "cpufreq" / "cpuinfo_max_freq").write_text(f"{speed}\n")
    assert pinning.by_preference({0, 1, 2, 3}) == [1, 0, 2, 3]


def test_without_a_topology_the_last_cpus_are_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(pinning, "TOPOLOGY", tmp_path)
    assert pinning.by_preference({4, 5, 6}) == [6, 5, 4]


def test_two_runs_have_cpus_of_their_own_and_a_third_has_none(four):
    with pinning.reserved(2, four) as first, pinning.reserved(1, four) as second:
        assert (first, second) == ([0, 1], [3])
        with pinning.reserved(2, four) as third:
            assert third is None
            # What it could not use is left to others.
            with pinning.reserved(1, four) as fourth:
                assert fourth == [2]
    with pinning.reserved(3, four) as later:
        assert later == [0, 1, 3]


def test_where_there_can_be_no_locks_no_cpus_are_held(four):
    (four / "file").write_text("")
    with pinning.reserved(1, four / "file") as cpus:
        assert cpus is None


def test_a_run_that_wants_all_of_them_is_left_alone(four):
    with pinning.reserved(4, four) as cpus:
        assert cpus is None
    pinning.pin(None, 0, 4)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_a_rank_keeps_to_its_share_and_so_do_the_threads_that_it_starts():
    cpus = sorted(os.sched_getaffinity(0))[:2]
    code = (
        "import os, threading; from scripts.inference import pinning\n"
        f"pinning.pin({cpus}, 1, 1)\n"
        "thread = threading.Thread(target=lambda: print(*os.sched_getaffinity(0)))\n"
        "thread.start(); thread.join()\n"
        f"pinning.pin({cpus}, 2, 1); pinning.pin({cpus}, 0, 4); print(*os.sched_getaffinity(0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(cpus[1])] * 2


def test_a_run_is_told_its_cpus_and_records_them(monkeypatch):
    from scripts.inference import launch

    asked = []
    monkeypatch.setattr(pinning, "reserved", lambda count: contextlib.nullcontext([7, 8][:count]))
    monkeypatch.setattr(
        launch, "run_group", lambda request, environment: (asked.append(request["cpus"]) or [{"status": "ok"}], {})
    )
    outcome = launch.measure({"processes": 1, "threads_per_process": 2}, [])
    assert asked == [[7, 8]]
    assert outcome.conditions["during"]["cpus"] == [7, 8]
