"""The mapping ``load`` of a study."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.traffic.settings import read

LIMIT = {"limits": {"latency_ms": 300}}


def test_a_limit_alone_is_enough():
    settings = read({**LIMIT, "techniques": "auto"})
    assert settings.searches
    assert (settings.requests, settings.limits.percentile) == (400, 99)
    assert read({**LIMIT, "rates": [5, 2, 5]}).open_rates() == (2, 5)
    assert read({"duration_s": 30, "requests": 400, **LIMIT}).requests is None
    assert not read({"arrivals": "closed", "concurrency": [4], **LIMIT}).searches


@pytest.mark.parametrize(("percentile", "needed"), [(99, 299), (95, 59), (90, 29), (50, 5)])
def test_a_percentile_needs_so_many_requests_for_its_slowest_to_bound_it(percentile, needed):
    share = percentile / 100
    assert read({"limits": {"latency_ms": 1, "percentile": percentile}}).limits.needed == needed
    assert share**needed <= 0.05 < share ** (needed - 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "no limit is set"),
        ({"rate": [1], **LIMIT}, "perhaps 'rates' is meant"),
        ({"arrivals": "uniform", **LIMIT}, "load.arrivals"),
        ({"arrivals": "closed", **LIMIT}, "load.concurrency is empty"),
        ({"rates": [0], **LIMIT}, "load.rates"),
        ({"rates": [True], **LIMIT}, "load.rates"),
        ({"rates": float("nan"), **LIMIT}, "load.rates"),
        ({"rates": [float("inf")], **LIMIT}, "load.rates"),
        ({"concurrency": [1.5], **LIMIT}, "load.concurrency"),
        ({"requests": 0, **LIMIT}, "load.requests"),
        ({"duration_s": -1, **LIMIT}, "load.duration_s"),
        ({"limits": {"latency_ms": 0}}, "load.limits.latency_ms"),
        ({"limits": {"latency_ms": 5, "percentile": 100}}, "load.limits.percentile"),
        ({"limits": {"latency": 5}}, "perhaps 'latency_ms' is meant"),
        ({"limits": [1]}, "load.limits is [1]"),
        ({"processes": 0, **LIMIT}, "load.processes"),
        ({"seed": "a\x1b[31m", **LIMIT}, "load.seed"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_its_key(given, words):
    with pytest.raises(StudyError) as error:
        read(given)
    assert words in str(error.value)
    assert str(error.value).isprintable()
