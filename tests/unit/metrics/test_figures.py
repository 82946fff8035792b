import numpy as np
import pytest

from scripts.metrics import figures, resampling


def test_mean_has_interval_around_it_and_is_repeatable():
    values = np.random.default_rng(1).normal(2.0, 0.3, 80)
    first = figures.mean_figures({"x_s": (values, "s")})["x_s"]
    again = figures.mean_figures({"x_s": (values, "s")})["x_s"]
    assert first == again
    assert first["low"] < first["value"] < first["high"]
    expected = 1.96 * values.std(ddof=1) / np.sqrt(80)
    assert (first["high"] - first["low"]) / 2 == pytest.approx(expected, rel=0.1)
    assert (first["n"], first["unit"], first["interval"]) == (80, "s", "bootstrap")


def test_bootstrap_agrees_with_a_plain_one():
    values = np.random.default_rng(2).exponential(1.0, 60)
    mine = figures.mean_figures({"x": (values, "1")})["x"]
    draws = np.random.default_rng(3).choice(values, size=(20_000, 60)).mean(axis=1)
    assert [mine["low"], mine["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=0.02)


def test_too_few_prompts_give_a_value_and_say_why_there_is_no_interval():
    figure = figures.mean_figures({"x": (np.ones(resampling.MIN_PROMPTS - 1), "1")})["x"]
    assert figure["value"] == 1
    assert figure["low"] is None
    assert figure["interval"] is None
    assert "too few" in figure["note"]


def test_unknown_values_do_not_count():
    figure = figures.mean_figures({"x": (np.array([1.0, np.nan, 3.0] * 10), "s")})["x"]
    assert (figure["value"], figure["n"]) == (2.0, 20)


def test_ratio_is_of_sums_not_a_mean_of_ratios():
    figure = figures.ratio_figures({"r": (np.array([1.0, 8.0]), np.array([1.0, 2.0]), "1")})["r"]
    assert figure["value"] == 3.0


@pytest.mark.parametrize(("q", "expected"), [(0.5, 5), (0.9, 9), (0.99, 10), (0.1, 1)])
def test_nearest_rank(q, expected):
    assert figures.nearest_rank(list(range(1, 11)), q) == expected


def test_share_of_none_is_not_certain():
    figure = figures.share_figure(0, 100)
    assert figure["low"] == pytest.approx(0)
    assert 0.02 < figure["high"] < 0.05
