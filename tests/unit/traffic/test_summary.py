"""A level's figures, from requests whose times are made up."""

import pytest

from scripts.traffic import summary as summaries
from scripts.traffic.level import Held, Plan
from scripts.traffic.messages import CANCELLED
from scripts.traffic.records import COOL_DOWN, MEASURED, RAMP_UP, Record
from scripts.traffic.settings import Limits


def request(number, due, latency=0.1, phase=MEASURED, error=None, lag=0.0, tokens=5):
    answered = error is None
    return Record(
        level=1, number=number, id=str(number), prompt="given", phase=phase, due_s=due, sent_s=due + lag,
        first_s=due + latency / 2 if answered else None, last_s=due + latency if answered else None,
        ended_s=due + latency, prompt_tokens=9 if answered else None, new_tokens=tokens if answered else None,
        chunks=tokens, finish_reason="stop", error_kind=error, error=error, process=0,
    )  # fmt: skip


def held(records, limits=None, arrivals="poisson", window=(1.0, 11.0), concurrency=None, **facts):
    rate = None if concurrency else 10.0
    plan = Plan(1, "asked", arrivals, rate, concurrency, 0, 100, None, limits or Limits(latency_ms=200))
    return Held(plan, records, window, 12.0, **facts)


def hundred(slow=0, failed=0, **options):
    """A hundred measured requests, so many of them slow and so many failed."""
    kinds = [0.5] * slow + [0.1] * (100 - slow)
    errors = [None] * (100 - failed) + ["status"] * failed
    return [request(n, 1 + n / 10, kinds[n], error=errors[n], **options) for n in range(100)]


def test_times_count_from_due_over_the_measured_requests_alone():
    records = [request(0, 0, 9.0, RAMP_UP), *hundred(slow=50), request(101, 11.5, 9.0, COOL_DOWN)]
    level = summaries.summary(held(records))
    assert (level["requests"], level["completed"], level["measured"]) == (102, 102, 100)
    assert level["latency_s"] == pytest.approx(
        {"n": 100, "mean": 0.3, "p50": 0.1, "p90": 0.5, "p95": 0.5, "p99": 0.5, "max": 0.5}
    )
    assert level["ttft_s"]["p99"] == pytest.approx(0.25)
    assert level["tpot_s"]["p50"] == pytest.approx(0.05 / 4)
    assert level["scenario"] == "Server"


def test_a_send_that_was_late_counts_against_the_latency():
    level = summaries.summary(held([request(n, 1 + n / 10, 0.1, lag=0.04) for n in range(100)]))
    assert level["latency_s"]["p50"] == pytest.approx(0.1)
    assert level["send_lag_s"]["p50"] == pytest.approx(0.04)
    assert "late_sends" in level["flags"]


@pytest.mark.parametrize(("lag", "flagged"), [(0.001, False), (0.006, True)])
def test_lag_beyond_a_twentieth_of_a_time_is_flagged(lag, flagged):
    records = [request(n, 1 + n / 10, 0.2, lag=lag) for n in range(100)]  # the first token is there after 0.1 s
    assert ("late_sends" in summaries.summary(held(records))["flags"]) is flagged


def test_throughput_counts_what_ended_inside_the_window_whenever_it_was_due():
    records = [request(0, 0.9, 0.3, RAMP_UP), *hundred(), request(101, 10.9, 0.3, COOL_DOWN)]
    level = summaries.summary(held(records))
    # The last of the hundred is due at 10.9 and ends at 11.0; one of the ramp-up ends inside, the cool-down's after.
    assert level["completed_per_s"] == pytest.approx(101 / 10)
    assert level["new_tokens_per_s"] == pytest.approx(505 / 10)


def test_goodput_is_of_what_ended_inside_the_window_and_never_above_the_throughput():
    """Arrivals that come densely at the window's end are due inside of it, and answered after it."""
    late = [request(200 + n, 10.95, 0.1) for n in range(5)]
    level = summaries.summary(held([request(0, 0.9, 0.15, RAMP_UP), *hundred(slow=2), *late]))
    assert level["completed_per_s"] == pytest.approx(101 / 10)
    assert level["goodput_per_s"] == pytest.approx(99 / 10)
    assert level["within_limits_share"] == pytest.approx(103 / 105)


@pytest.mark.parametrize(("slow", "failed", "kept"), [(0, 0, True), (1, 0, True), (0, 1, True), (1, 1, False)])
def test_failures_break_every_limit_and_count_in_the_percentile(slow, failed, kept):
    level = summaries.summary(held(hundred(slow, failed)))
    assert level["keeps_limits"] is kept
    assert level["within_limits_share"] == pytest.approx((100 - slow - failed) / 100)
    assert level["goodput_per_s"] == pytest.approx((100 - slow - failed) / 10)
    assert (level["failed"], level["measured_failed"]) == (failed, failed)
    assert level["errors"] == ({"status": failed} if failed else {})
    assert ("failures" in level["flags"]) is bool(failed)


def test_goodput_needs_every_limit_and_the_one_furthest_behind_is_named():
    limits = Limits(ttft_ms=100, tpot_ms=20, latency_ms=300, percentile=90)
    level = summaries.summary(held(hundred(slow=20), limits))
    assert level["within_limits_share"] == pytest.approx(0.8)
    assert not any(level["limits"][name]["keeps"] for name in ("ttft_ms", "tpot_ms", "latency_ms"))
    assert level["bound"] == "tpot_ms"  # 62.5 of 20 ms, where the others are 2.5 and 1.7 times too long
    assert level["limits"]["ttft_ms"] == {"limit": 100, "at_percentile": pytest.approx(250), "keeps": False}


def test_too_many_failures_are_what_bounds():
    level = summaries.summary(held(hundred(failed=2)))
    assert level["bound"] == "failures"
    assert level["limits"]["latency_ms"]["at_percentile"] is None


def test_a_level_without_limits_has_no_goodput():
    level = summaries.summary(held(hundred(), Limits()))
    assert level["keeps_limits"] is level["goodput_per_s"] is level["within_limits_share"] is None
    assert level["scenario"] is None


def test_one_token_has_no_time_per_token_and_keeps_its_limit():
    records = [request(n, 1 + n / 10, tokens=1) for n in range(100)]
    level = summaries.summary(held(records, Limits(tpot_ms=1)))
    assert level["tpot_s"] is None
    assert level["within_limits_share"] == 1


def test_a_level_that_ended_early_is_judged_by_why():
    records = [*hundred()[:40], *(request(n, 1 + n / 10, error=CANCELLED) for n in range(40, 60))]
    over = summaries.summary(held(records, ended_early="the time for the load run was over."))
    assert over["keeps_limits"] is over["goodput_per_s"] is None
    assert (over["cancelled"], over["failed"]) == (20, 0)
    grown = summaries.summary(held(records, ended_early="the queue grew.", saturated=True))
    assert grown["keeps_limits"] is False
    assert grown["within_limits_share"] == pytest.approx(40 / 60)
    broken = summaries.summary(held(records, ended_early="5 of 100 broke latency_ms.", broken="latency_ms"))
    assert (broken["keeps_limits"], broken["bound"]) == (False, "latency_ms")


def test_few_requests_and_a_busy_generator_are_flagged():
    level = summaries.summary(held(hundred(), shares_of_a_core=[0.2, 0.8]))
    assert level["flags"] == ["busy_generator", "too_few_requests"]


@pytest.mark.parametrize(("concurrency", "scenario"), [(1, "SingleStream"), (8, None), (100, "Offline")])
def test_closed_loops_have_the_names_of_mlperf_where_they_fit(concurrency, scenario):
    assert summaries.summary(held(hundred(), arrivals="closed", concurrency=concurrency))["scenario"] == scenario
