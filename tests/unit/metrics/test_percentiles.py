from types import SimpleNamespace

import numpy as np
import pytest

from scripts.metrics import percentiles


def drawn(draw, prompts, runs=3, prompt_sd=0.3, process_sd=0.0, noise_sd=0.0):
    """Latencies of shape (runs, prompts), log-normal in prompts, processes and requests."""
    logs = draw.normal(0, prompt_sd, prompts) + draw.normal(0, process_sd, (runs, 1))
    return np.exp(logs + draw.normal(0, noise_sd, (runs, prompts)))


@pytest.mark.parametrize(("n", "bounded"), [(298, False), (299, True)])
def test_p99_has_an_upper_bound_only_from_299_prompts_on(n, bounded):
    figure = percentiles.percentile_figure(np.arange(1.0, n + 1)[None], 0.99, "s")
    assert (figure["high"] is not None) is bounded
    assert figure["n"] == n
    assert ("299" in figure["note"]) is not bounded
    # More runs of the same prompts are no more prompts.
    again = percentiles.percentile_figure(np.tile(np.arange(1.0, n + 1), (3, 1)), 0.99, "s")
    assert (again["high"], again["n"], again["requests"]) == (figure["high"], n, 3 * n)


def test_a_percentile_is_that_of_all_requests_and_not_of_averages():
    times = np.ones((3, 20))
    times[1, :7] = 9.0
    assert percentiles.percentile_figure(times, 0.9, "s")["value"] == 9.0
    assert percentiles.percentile_figure(times, 0.5, "s")["runs"] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("q", "z"), [(0.5, 0.0), (0.9, 1.2816)])
@pytest.mark.parametrize("chance", [{}, {"noise_sd": 0.2}, {"process_sd": 0.05}, {"runs": 1}])
def test_bounds_cover_as_often_as_they_say_where_runs_repeat_the_prompts(q, z, chance):
    draw = np.random.default_rng(0)
    spread = np.sqrt(0.3**2 + chance.get("process_sd", 0) ** 2 + chance.get("noise_sd", 0) ** 2)
    found = [percentiles.percentile_figure(drawn(draw, 80, **chance), q, "s") for _ in range(300)]
    true = np.exp(z * spread)
    assert np.mean([figure["low"] <= true <= figure["high"] for figure in found]) > 0.93


def test_processes_that_differ_widen_the_interval():
    alike = drawn(np.random.default_rng(1), 80)
    apart = alike * np.array([[0.9], [1.0], [1.1]])
    widths = [
        figure["high"] / figure["low"]
        for figure in (percentiles.percentile_figure(t, 0.5, "s") for t in (alike, apart))
    ]
    assert widths[1] > 1.3 * widths[0]


def ran(times, runaways=()):
    """Runs with these latencies; ``runaways`` are the prompts that only the length limit ends."""
    samples = [
        SimpleNamespace(id=f"{prompt:04x}", new_tokens=40 if prompt in runaways else 9,
                        stop_reason="length" if prompt in runaways else "end")
        for prompt in range(times.shape[1])
    ]  # fmt: skip
    return [SimpleNamespace(passes=lambda: [samples]) for _ in times]


def test_below_299_prompts_the_slowest_request_is_named_and_is_no_p99():
    times = drawn(np.random.default_rng(2), 100, noise_sd=0.01)
    times[1, 17] = 9.0
    times[:, 17] = np.maximum(times[:, 17], 8.0)
    figure = percentiles.tail_figure(ran(times, runaways=[17, 40]), times[:, None], "s")
    assert (figure["value"], figure["statistic"], figure["n"], figure["requests"]) == (9.0, "slowest", 100, 300)
    assert (figure["low"], figure["high"], figure["interval"]) == (None, None, None)
    assert figure["slowest"] == {"prompt": 17, "id": "0011", "run": 2, "new_tokens": 40, "runaway": True}
    assert figure["runaways"] == 6
    assert figure["slowest_ended_s"] == np.delete(times, [17, 40], axis=1).max()
    assert figure["runs"] == times.max(axis=1).tolist()
    # 1 - 0.99^100
    assert "the slowest of 300 requests, not P99" in figure["note"]
    assert "63% confidence" in figure["note"]


def test_from_299_prompts_on_it_is_p99_with_its_runaways_beside_it():
    times = drawn(np.random.default_rng(3), 300)
    figure = percentiles.tail_figure(ran(times), times[:, None], "s")
    assert (figure["statistic"], figure["n"], figure["requests"]) == ("percentile", 300, 900)
    assert figure["value"] == np.sort(times, axis=None)[890]
    assert figure["low"] < figure["value"] < figure["high"]
    assert (figure["runaways"], figure["slowest"]["runaway"]) == (0, False)


def test_where_every_headline_runs_away_none_ended_by_itself():
    times = drawn(np.random.default_rng(4), 12, runs=1)
    figure = percentiles.tail_figure(ran(times, runaways=range(12)), times[:, None], "s")
    assert (figure["runaways"], figure["slowest_ended_s"]) == (12, None)
