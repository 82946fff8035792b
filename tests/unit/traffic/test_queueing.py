"""The theory that the load generator is held against agrees with a simulation of it."""

import itertools

import pytest

from scripts.traffic import arrivals
from tests.support import queueing


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_formulas_of_the_queue_are_those_of_its_simulation(load):
    due = itertools.islice(arrivals.moments("poisson", load, 1), 200_000)
    waited = sorted(queueing.waits(due, 1.0))
    assert sum(waited) / len(waited) == pytest.approx(queueing.mean_wait(load, 1.0), rel=0.05)
    for share in (0.5, 0.9, 0.99):
        assert waited[int(share * len(waited))] == pytest.approx(queueing.wait_quantile(load, 1.0, share), rel=0.06)


def test_an_empty_queue_has_its_known_share():
    assert queueing.wait_share(0.8, 0.0) == pytest.approx(0.2)
    assert queueing.wait_share(0.8, 1.0) == pytest.approx(0.2 * 2.718281828**0.8)
