import numpy as np
import pytest

from scripts.metrics.rounding import FALSE_ALARM_RATE, Rounding, measured


def rounding(gaps, scale=1e-5):
    return Rounding(scale, 5 * scale, tuple(gaps))


def test_the_bound_is_that_of_the_largest_of_so_many_normal_movements():
    draw = np.random.default_rng(0)
    shifts = draw.normal(0, 1e-5, (2000, 500))
    kept = [measured([[1.0]], [row.tolist()]) for row in shifts[:1000]]
    others = shifts[1000:]
    beyond = sum(np.abs(row).max() > each.bound for each, row in zip(kept, others, strict=True))
    assert beyond / 1000 < 5 * FALSE_ALARM_RATE
    assert all(each.bound < 7e-5 for each in kept)


def test_a_movement_that_was_seen_is_within_the_bound():
    known = measured([[0.1]], [[1e-6] * 50 + [-1e-3]])
    assert known.ties(1e-3)
    assert known.ties(-1e-3)
    assert not known.ties(1.1e-3)


def test_nothing_is_a_tie_where_no_gap_or_no_rounding_was_recorded():
    assert measured([[0.1]], None) is None
    assert measured([[0.1]], [None]) is None
    assert not rounding([0.1]).ties(None)


@pytest.mark.parametrize(("gap", "chance"), [(0.0, 0.5), (1e-5, 0.1587), (-1e-5, 0.1587), (4e-5, 3.2e-5)])
def test_the_chance_of_a_turn_falls_with_the_gap(gap, chance):
    assert rounding([gap]).flip_chances() == [pytest.approx(chance, rel=0.02)]


def test_so_many_turned_tokens_are_as_rare_as_draws_say():
    gaps = [0.0, 2e-6, 5e-6, 1e-5, 2e-5, 3e-5, 0.4, 2.0]
    known = rounding(gaps)
    draw = np.random.default_rng(1)
    turned = (draw.normal(0, 1e-5, (200_000, len(gaps))) > np.array(gaps)).sum(axis=1)
    for count in range(len(gaps) + 1):
        share = (turned >= count).mean()
        if not 0.5 * FALSE_ALARM_RATE < share < 2 * FALSE_ALARM_RATE:
            assert known.explains(count) == (share >= FALSE_ALARM_RATE), count
    assert known.explains(3)
    assert not known.explains(6)
