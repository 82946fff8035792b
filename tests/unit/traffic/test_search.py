"""The search for the capacity, against servers of known verdicts."""

import math
import random

import pytest

from scripts.traffic import search as searching
from scripts.traffic.search import Search


def level(rate, kept, flags=()):
    return {"rate_per_s": rate, "keeps_limits": kept, "bound": None if kept else "latency_ms", "flags": list(flags)}


def searched(keeps, first=50.0, lowest=0.1, resolution=0.05, most=16, served=math.inf):
    """Search with a function of rate and number of the test that says whether the limits are kept."""
    search, levels = Search(first, lowest, resolution, served), []

    def test(rate, again):
        kept = keeps(rate, again)
        if kept is not None:
            levels.append(level(rate, kept))
        return kept

    ended = searching.run(search, test, most)
    return searching.capacity(search, levels, resolution, ended), levels


@pytest.mark.parametrize("edge", [3.0, 26.0, 49.9, 50.1, 77.0, 180.0, 2000.0])
def test_the_edge_is_found_within_the_resolution_and_both_ends_are_tested_twice(edge):
    capacity, levels = searched(lambda rate, again: rate <= edge)
    assert capacity["keeps_at"] <= edge < capacity["breaks_at"] <= capacity["keeps_at"] * 1.05
    assert (capacity["per_s"], capacity["bound"], capacity["note"]) == (capacity["keeps_at"], "latency_ms", None)
    for end in ("keeps_at", "breaks_at"):
        assert sum(one["rate_per_s"] == capacity[end] for one in levels) == 2


def test_limits_that_no_rate_keeps():
    capacity, levels = searched(lambda rate, again: False, lowest=1.0)
    assert capacity["per_s"] is None
    assert capacity["breaks_at"] == 1.0
    assert "broken at the lowest rate tried" in capacity["note"]
    assert len(levels) <= 8


def test_limits_that_every_rate_keeps_end_with_the_levels():
    capacity, levels = searched(lambda rate, again: True, most=5)
    assert (capacity["breaks_at"], len(levels)) == (None, 5)
    assert capacity["keeps_at"] > 400  # from 50 on by growing steps
    assert "the capacity is above it" in capacity["note"]
    assert "its 5 levels" in capacity["note"]


def test_one_lucky_level_beyond_the_edge_is_found_out():
    # The first test of every rate up to 70 keeps; only up to 40 it does for good.
    capacity, _ = searched(lambda rate, again: rate <= 40 or (rate <= 70 and again == 0), most=60)
    assert 40 / 1.06 < capacity["keeps_at"] <= 40
    assert capacity["note"] is None


def test_one_unlucky_level_below_the_edge_does_not_bound_it():
    capacity, levels = searched(lambda rate, again: rate < 80 and not (rate == 50 and again == 0), most=40)
    assert 80 / 1.06 < capacity["keeps_at"] < 80
    assert sum(one["rate_per_s"] == 50 for one in levels) == 3


def test_one_stall_far_below_what_is_served_costs_one_level():
    """A server that stands still once, as while it compiles something, broke the first rate of the search."""
    stalled, most = searched(lambda rate, again: rate < 160 and (rate, again) != (55.0, 0), first=55.0, served=180.0)
    without, fewer = searched(lambda rate, again: rate < 160, first=55.0, served=180.0)
    assert stalled == without | {"levels": stalled["levels"]}
    assert len(most) == len(fewer) + 2  # the second test disagrees, and a third decides


def test_limits_that_break_far_below_what_is_served_are_believed_after_two_levels():
    capacity, levels = searched(lambda rate, again: rate < 20, first=55.0, served=180.0)
    assert 20 / 1.06 < capacity["keeps_at"] < 20
    assert sum(one["rate_per_s"] == 55 for one in levels) == 2


def test_the_lowest_rate_that_breaks_bounds_whatever_higher_rates_did():
    search = Search(0, 0, 0)
    for rate, kept in ((10.0, True), (20.0, False), (40.0, True)):
        search.add(rate, kept)
    capacity = searching.capacity(search, [level(10, True), level(20, False), level(40, True)], 0.05, None)
    assert (capacity["keeps_at"], capacity["breaks_at"]) == (10, 20)
    assert "40 requests/s kept them all the same" in capacity["note"]


def test_noise_near_the_edge_moves_the_result_by_little():
    def keeps_by_chance(draw):
        # The share of late requests grows from 0.1% at 0.8 of the edge to 10% at 1.25 of it.
        return lambda rate, again: sum(draw.random() < 0.01 * (rate / 60) ** 10 for _ in range(400)) <= 4

    found = [searched(keeps_by_chance(random.Random(seed)))[0]["keeps_at"] for seed in range(30)]
    assert min(found) > 54
    assert max(found) < 69


def test_a_search_that_can_not_go_on_says_so():
    capacity, _ = searched(lambda rate, again: None if rate > 60 else True)
    assert (capacity["keeps_at"], capacity["breaks_at"]) == (57.5, None)
    assert "ended before its resolution was reached" in capacity["note"]


def test_given_rates_have_a_capacity_too():
    search = Search(0, 0, 0)
    for rate, kept in ((10.0, True), (20.0, True), (40.0, False)):
        search.add(rate, kept)
    levels = [level(10, True), level(20, True), level(40, False, ["late_sends"])]
    capacity = searching.capacity(search, levels, None, None)
    assert (capacity["keeps_at"], capacity["breaks_at"], capacity["resolution"]) == (20, 40, None)
    assert "generator itself was late" in capacity["note"]


def test_what_a_saturated_level_completed_draws_the_next_rate_to_it():
    search = Search(50.0, 0.1, 0.05)
    search.add(50.0, True)
    search.add(400.0, False)
    assert search.next() == pytest.approx(141.4)  # the geometric middle
    search.most = 80.0
    assert search.next() == pytest.approx(63.25)
    search.add(63.25, True)
    search.add(78.0, True)
    assert search.next() == pytest.approx(81.51)  # just beyond it, to close the bracket
    search.add(81.51, True)
    assert search.next() > 100  # it serves more than was thought


def test_a_first_rate_near_the_edge_needs_few_levels():
    _, levels = searched(lambda rate, again: rate <= 104, first=100.0)
    assert len(levels) <= 6
