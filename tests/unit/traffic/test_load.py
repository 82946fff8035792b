"""Load runs against a server in a process of its own, with known timings and faults."""

import statistics
import time
from collections import Counter

import pytest

from scripts.foundation.errors import StudyError
from scripts.serving.client import Api, Ask
from scripts.traffic.load import run_load
from tests.support import sse_server

NAMES = {"prompt_tokens": "prompt", "stop_tokens": "stop_token_ids"}
FAST = {"min_window_s": 0.1, "request_limit_s": 5, "processes": 1}


def asks(count=30):
    return [Ask(f"text {n}", (1, *((n * step) % 997 for step in range(3, 33))), 16, id=str(n)) for n in range(count)]


def load(server, settings, **options):
    records = []
    api = Api(server.url, names=NAMES, token_ids="token_ids")
    return run_load(api, asks(), FAST | settings, write=records.extend, **options), records


@pytest.fixture(scope="module")
def quick():
    """One run with two rates and a closed loop on a server that answers all at once, after 30 ms."""
    told, observed = [], iter(range(100))
    with sse_server.started(slots=0, service_s=0.03, first_s=0.01, token_ids="token_ids") as server:
        settings = {
            "rates": [50, 100], "requests": 60, "concurrency": [4], "limits": {"latency_ms": 2000, "percentile": 90},
            "processes": 2,
        }  # fmt: skip
        result, records = load(server, settings, progress=told.append, observe=lambda: next(observed))
        return result, records, server.requests(), told


def test_levels_have_what_was_asked_measured_and_answered(quick):
    result, records, served, _ = quick
    closed, slow, fast = result["levels"]
    assert [level["rate_per_s"] for level in result["levels"]] == [None, 50, 100]
    assert (closed["concurrency"], closed["arrivals"], slow["arrivals"]) == (4, "closed", "poisson")
    for level in result["levels"]:
        assert level["measured"] == 60
        assert level["completed"] == level["requests"] > 70  # the ramp-up's ten at least, and the cool-down
        assert (level["failed"], level["ended_early"], level["keeps_limits"]) == (0, None, True)
        assert level["latency_s"]["p50"] >= 0.03
        assert level["ttft_s"]["p50"] >= 0.01
        assert level["ttft_s"]["p50"] < level["latency_s"]["p50"]
        assert level["new_tokens_per_s"] == pytest.approx(16 * level["completed_per_s"])
    assert slow["completed_per_s"] < fast["completed_per_s"]
    capacity = result["capacity"]
    assert (capacity["keeps_at"], capacity["breaks_at"]) == (100, None)
    assert len(records) == len(served) == result["generator"]["requests"]
    assert result["generator"]["processes"] == 2
    assert {record["process"] for record in records} == {0, 1}
    assert 0 < result["generator"]["cpu_ms_per_request"] < 50


def test_no_prompt_is_sent_twice(quick):
    result, _, served, _ = quick
    prompts = Counter(tuple(one.prompt) for one in served)
    assert max(prompts.values()) == 1
    used = result["prompts"]
    assert (used["given"], used["varied"], used["repeated"]) == (30, len(served) - 30, 0)


def test_records_hold_each_request_with_its_phase(quick):
    _, records, _, _ = quick
    keys = {"level", "number", "id", "prompt", "phase", "due_s", "sent_s", "first_s", "last_s", "ended_s", "process"}
    assert all(keys < record.keys() for record in records)
    assert [record["phase"] for record in records if record["level"] == 0] == ["warm_up"] * 5
    third = [record for record in records if record["level"] == 3]
    phases = [record["phase"] for record in third]
    assert phases == sorted(phases, key=["ramp_up", "measured", "cool_down"].index)
    assert [record["due_s"] for record in third] == sorted(record["due_s"] for record in third)
    assert all(record["due_s"] <= record["sent_s"] < record["first_s"] <= record["last_s"] for record in third)
    given = [record for record in records if "text" in record]
    assert len(given) == 30
    assert given[0]["token_ids"] == list(range(16))
    # The first request that is measured was due when the tenth was answered: none of the load is missing before it.
    ended = sorted(record["ended_s"] for record in third)
    assert min(record["due_s"] for record in third if record["phase"] == "measured") >= ended[9]


def test_requests_arrive_as_they_were_due_and_as_the_server_measured(quick):
    _, records, served, _ = quick
    third = [record for record in records if record["level"] == 3]
    arrived = sorted(one.arrived for one in served)[-len(third) :]
    begin = statistics.median(at - record["sent_s"] for at, record in zip(arrived, third, strict=True))
    late = sorted(at - begin - record["due_s"] for at, record in zip(arrived, third, strict=True))
    assert abs(late[len(late) // 2]) < 0.01


def test_progress_is_told_and_the_server_observed_around_each_level(quick):
    result, _, _, told = quick
    assert [level["observed"] for level in result["levels"]] == [[0, 1], [2, 3], [4, 5]]
    assert {"level", "of", "sent", "answered", "phase"} == told[-1].keys()
    assert {entry["level"] for entry in told} == {0, 1, 2, 3}


def test_failures_are_counted_by_kind_and_break_the_limits():
    with sse_server.started(slots=0, service_s=0.01, fault="status500", fault_every=5) as server:
        result, records = load(server, {"rates": [100], "requests": 100, "limits": {"latency_ms": 4000}})
    level = result["levels"][0]
    assert level["errors"] == {"status": level["failed"]}
    assert level["failed"] == pytest.approx(level["requests"] / 5, abs=1)
    assert (level["keeps_limits"], level["bound"]) == (False, "failures")
    assert level["within_limits_share"] == pytest.approx(0.8, abs=0.02)
    assert result["capacity"]["note"].startswith("the limits are broken at the lowest rate tried")
    failed = [record for record in records if record["error_kind"]]
    assert all("status 500" in record["error"] and record["last_s"] is None for record in failed)


def test_a_queue_that_grows_ends_the_level_early_and_the_next_one_waits_for_the_server():
    with sse_server.started(slots=1, service_s=0.01, tokens=2) as server:
        settings = {"rates": [300], "requests": 600, "limits": {"latency_ms": 10_000}, "request_limit_s": 60}
        result, records = load(server, settings)
        served = server.requests()
    level = result["levels"][0]
    assert level["saturated"]
    assert level["keeps_limits"] is False
    assert "grew without bound" in level["ended_early"]
    assert level["cancelled"] > 0
    assert level["measured"] < 600
    # The level after it begins when what was given up is through: the lone request that shows it came last.
    assert records[-1]["phase"] == "warm_up"
    assert served[-1].due_begin == served[-1].arrived


def test_more_than_the_generator_can_send_is_flagged_and_not_the_servers_fault():
    with sse_server.started(slots=0, service_s=0.0, tokens=1) as server:
        settings = {"arrivals": "constant", "rates": [2000], "requests": 300, "limits": {"latency_ms": 60_000}}
        result, _ = load(server, settings)
    level = result["levels"][0]
    assert "late_sends" in level["flags"]
    assert level["measured"] == 300 or level["ended_early"]


def test_a_closed_loop_keeps_so_many_requests_going():
    with sse_server.started(slots=0, service_s=0.05, tokens=2) as server:
        settings = {"arrivals": "closed", "concurrency": [8], "duration_s": 0.5, "processes": 2}
        result, records = load(server, settings)
    level = result["levels"][0]
    assert level["window_s"][1] - level["window_s"][0] == pytest.approx(0.5)
    # Little's law: what is going on is the rate times the latency.
    assert level["completed_per_s"] * level["latency_s"]["mean"] == pytest.approx(8, rel=0.3)
    assert level["latency_s"]["p50"] >= 0.05
    assert result["capacity"] is None
    begun = sorted(record["sent_s"] for record in records if record["level"] == 1)
    assert begun[7] < begun[8] - 0.01  # eight at once, and the ninth when one of them is answered


def test_the_search_finds_the_capacity_of_a_server_of_known_speed():
    # One at a time, 10 ms each: constant arrivals meet no queue up to 100 requests/s, and one that grows above that.
    with sse_server.started(slots=1, service_s=0.01, tokens=2) as server:
        settings = {
            "arrivals": "constant", "requests": 30, "resolution": 0.3,
            "limits": {"latency_ms": 25, "percentile": 50},
        }  # fmt: skip
        result, _ = load(server, settings)
    capacity = result["capacity"]
    assert 100 / 1.5 < capacity["keeps_at"] < 100 * 1.15
    assert capacity["keeps_at"] < capacity["breaks_at"] <= capacity["keeps_at"] * 1.31
    assert capacity["bound"] == "latency_ms"
    assert result["levels"][0]["purpose"] == "estimate"
    assert "again" in {level["purpose"] for level in result["levels"]}


def test_a_server_that_dies_ends_the_run_and_leaves_what_was_measured():
    with sse_server.started(slots=0, service_s=0.01, tokens=2, dies_after=60) as server:
        settings = {"rates": [200, 400], "requests": 1000, "limits": {"latency_ms": 1000}}
        result, _ = load(server, settings)
    assert len(result["levels"]) == 1
    assert result["levels"][0]["completed"] > 30
    assert "requests in a row failed" in result["stopped"]
    assert result["levels"][0]["keeps_limits"] is False


def test_a_server_that_answers_nothing_is_one_sentence():
    with sse_server.started(fault="html") as server, pytest.raises(StudyError, match="none of the first 5 requests"):
        load(server, {"rates": [10], "limits": {"latency_ms": 1}})


def test_what_the_api_can_not_express_is_one_sentence():
    api = Api("http://127.0.0.1:9")
    with pytest.raises(StudyError, match="no field for them"):
        run_load(api, [Ask("a b c d", stop_tokens=(1,))], FAST | {"rates": [1]})


def test_time_that_is_over_ends_the_run_with_a_sentence():
    with sse_server.started(slots=0, service_s=0.01, tokens=2) as server:
        began = time.perf_counter()
        result, _ = load(server, {"rates": [1], "requests": 100, "time_limit_s": 10})
        assert time.perf_counter() - began < 10
    assert "would not have fitted into load.time_limit_s" in result["stopped"]
    assert result["levels"] == []


def test_what_a_callback_raises_ends_the_run():
    def interrupt(told):
        raise KeyboardInterrupt

    with sse_server.started(slots=0, service_s=0.01) as server, pytest.raises(KeyboardInterrupt):
        load(server, {"rates": [10], "requests": 100}, progress=interrupt)
