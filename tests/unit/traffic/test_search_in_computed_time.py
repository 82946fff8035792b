"""Whole searches against servers whose most is known, in computed time."""

import pytest

from tests.support import simulated_server
from tests.support.simulated_server import Server

FAST = {"slots": 256, "step_s": 0.001, "each_s": 0.017e-3, "tokens": 16}  # 2,990 requests/s
MIDDLE = {"slots": 32, "step_s": 0.005, "each_s": 0.00005, "tokens": 16}  # 303 requests/s
SLOW = {"slots": 1, "step_s": 0.2}  # 5 requests/s


def search(server, **settings):
    return simulated_server.run(Server(**server), {"limits": {"latency_ms": 500}, "seed": 1} | settings)


@pytest.mark.parametrize(("server", "most_s"), [(FAST, 60), (MIDDLE, 60)])
def test_a_search_reaches_its_resolution_in_a_minute_and_finds_what_is_served(server, most_s):
    found = search(server, time_limit_s=most_s)
    capacity = found["capacity"]
    assert capacity["note"] is None
    assert capacity["breaks_at"] <= 1.051 * capacity["keeps_at"]
    # Each keeps the limit until its queue grows, so what is served bounds it; a level of 3 s is no nearer than 10%.
    assert 0.85 * Server(**server).most < capacity["keeps_at"] < 1.1 * Server(**server).most
    assert found["duration_s"] < most_s


def test_closed_loops_grow_until_they_complete_no_more():
    closed = [level["concurrency"] for level in search(FAST)["levels"] if level["purpose"] == "estimate"]
    assert closed == [4, 16, 64, 256]
    closed = [level["concurrency"] for level in search(SLOW, time_limit_s=60)["levels"]]
    assert closed == [4]


def test_more_than_is_served_is_not_kept_while_the_queue_fills_up_to_the_limit():
    levels = search(MIDDLE, rates=[345.0], requests=1035)["levels"]
    assert levels[0]["latency_s"]["p99"] < 0.5
    assert (levels[0]["keeps_limits"], levels[0]["saturated"], levels[0]["bound"]) == (False, True, "saturated")


def test_a_lone_request_that_breaks_the_limit_ends_the_search_at_once_and_is_told():
    found = search(SLOW, limits={"latency_ms": 150})
    assert [level["purpose"] for level in found["levels"]] == ["alone"]
    capacity = found["capacity"]
    assert (capacity["per_s"], capacity["breaks_at"], capacity["bound"]) == (None, None, "latency_ms")
    assert capacity["alone_ms"] == pytest.approx(200)
    assert capacity["note"] == (
        "no rate keeps the limits: a lone request's latency is 200 ms, above the limit of 150 ms."
    )
    assert found["duration_s"] < 15
