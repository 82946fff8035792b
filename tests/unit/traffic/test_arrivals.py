"""Arrivals, and queues that grow without bound."""

import itertools
import random
import statistics

import pytest

from scripts.traffic import arrivals, saturation


def due(kind, rate, seed, count):
    return list(itertools.islice(arrivals.moments(kind, rate, seed), count))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_poisson_gaps_are_exponential_and_independent(seed):
    gaps = [after - before for before, after in itertools.pairwise([0, *due("poisson", 50, seed, 20_000)])]
    assert statistics.fmean(gaps) == pytest.approx(1 / 50, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1 / 50, rel=0.04)
    assert sum(gap > 2 / 50 for gap in gaps) / len(gaps) == pytest.approx(0.1353, abs=0.008)  # exp(-2)
    assert statistics.correlation(gaps, gaps[1:] + gaps[:1]) == pytest.approx(0, abs=0.025)


def test_a_seed_has_one_pattern_for_every_rate_and_another_seed_another():
    slow, fast = due("poisson", 2, 7, 100), due("poisson", 20, 7, 100)
    assert [moment / 10 for moment in slow] == pytest.approx(fast)
    assert due("poisson", 20, 7, 100) == fast
    assert due("poisson", 20, 8, 100) != fast


def test_constant_arrivals_begin_at_once_with_equal_gaps():
    assert due("constant", 4, 0, 4) == [0, 0.25, 0.5, 0.75]


def queue(rate, seed, seconds, slots=1, service=0.01, noise=0.0):
    """Return due and end moments of a queue with so many places, first come first served."""
    draw = random.Random(seed)
    moments = list(itertools.takewhile(lambda moment: moment < seconds, arrivals.moments("poisson", rate, seed)))
    free, ended = [0.0] * slots, []
    for moment in moments:
        place = min(range(slots), key=free.__getitem__)
        free[place] = max(moment, free[place]) + service * (1 + noise * (draw.expovariate(1) - 1))
        ended.append(free[place])
    return moments, sorted(ended)


def alarms(moments, ended, seconds):
    """Ask five times a second as a level does, from when ten were answered."""
    begin = ended[9]
    times = [begin + step / 5 for step in range(1, int((seconds - begin) * 5))]
    return any(saturation.grows(moments, ended, begin, now, 0.05) for now in times)


@pytest.mark.parametrize(("load", "noise"), [(0.5, 0), (0.8, 0), (0.8, 1), (0.9, 1)])
def test_a_queue_that_keeps_up_is_not_called_saturated(load, noise):
    found = [alarms(*queue(100 * load, seed, 8, noise=noise), 8) for seed in range(30)]
    assert sum(found) <= 1


@pytest.mark.parametrize("load", [1.5, 2, 5])
def test_a_queue_that_gets_more_than_it_serves_is(load):
    assert all(alarms(*queue(100 * load, seed, 8), 8) for seed in range(10))


def test_many_requests_in_flight_are_no_queue():
    # All are served at once, for one second each: 100 in flight, which fill up at the begin.
    for seed in range(10):
        assert not alarms(*queue(100, seed, 8, slots=1000, service=1.0), 8)
