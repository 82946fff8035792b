"""Which techniques are tested under load."""

import copy

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import configuration, expected, layers, load, plan


@pytest.fixture(scope="module")
def built_in():
    return layers.read([], []).config


def selected(config, **settings):
    config = copy.deepcopy(config)
    config["load"] |= settings
    config["select"] = []
    return [technique.name for technique in load.selected(config, configuration.check(config))]


def test_none_is_tested_unless_a_study_asks_for_it(built_in):
    assert selected(built_in) == []


def test_auto_takes_what_can_serve_and_batch_sizes_once(built_in):
    assert selected(built_in, techniques="auto") == [
        "continuous_batch", "graph", "graph_int8", "graph_int4", "graph_target",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["graf"], "load.techniques names 'graf', which is none of the study's techniques; perhaps 'graph' is meant"),
        (["kv_cache"], "'kv_cache', which can't serve: transformers' generate answers one batch after another; leave"),
        (["graph_speculative"], "does not serve requests as they come with speculation; leave"),
    ],
)
def test_a_name_that_can_not_serve_is_one_sentence(built_in, names, said):
    with pytest.raises(StudyError, match=said):
        selected(built_in, techniques=names)


def test_a_search_needs_a_limit(built_in):
    none = {"ttft_ms": None, "tpot_ms": None, "latency_ms": None, "percentile": 99}
    with pytest.raises(StudyError, match=r"load.rates is 'search', but load.limits sets none"):
        selected(built_in, techniques="auto", limits=none)
    assert selected(built_in, techniques=["graph"], limits=none, rates=[5]) == ["graph"]
    assert selected(built_in, techniques=["graph"], limits=none, arrivals="closed", concurrency=[1]) == ["graph"]


def test_closed_arrivals_need_a_concurrency(built_in):
    with pytest.raises(StudyError, match=r"load.arrivals is 'closed', but load.concurrency is empty"):
        selected(built_in, techniques="auto", arrivals="closed")


def test_settings_of_load_make_load_runs_stale_and_no_others(built_in):
    def requests(**settings):
        config = copy.deepcopy(built_in)
        config["load"] |= {"techniques": ["graph"], **settings}
        techniques = {each.name: each for each in configuration.check(config)}
        made = plan.Plan(config, techniques, [])
        graph = techniques["graph"]
        return made.run_request(graph, 1), made.load_request(graph, 1)

    (timed, under_load), (timed_too, under_other) = requests(), requests(requests=500)
    assert timed == timed_too
    assert under_load != under_other
    # Adding a technique to the list leaves the others' runs as they are.
    assert requests(techniques=["graph", "graph_target"])[1] == under_load


def test_load_runs_can_be_more_or_fewer_than_timed_ones(built_in):
    def made(**settings):
        config = copy.deepcopy(built_in)
        config["load"] |= {"techniques": ["graph"], **settings}
        return plan.Plan(config, {each.name: each for each in configuration.check(config)}, [])

    as_timed, fewer = made(), made(repeats=2)
    assert (list(as_timed.load_runs), list(fewer.load_runs)) == ([1, 2, 3], [1, 2])
    assert list(fewer.runs) == [1, 2, 3]
    # Another run changes nothing in those that are there.
    graph = fewer.techniques["graph"]
    assert fewer.load_request(graph, 1) == as_timed.load_request(graph, 1)
    jobs = [(rule, wildcards) for rule, wildcards, _ in expected.jobs(fewer) if wildcards.get("technique") == "graph"]
    assert [wildcards["run"] for rule, wildcards in jobs if rule == "measure_load"] == ["1", "2"]
    assert [wildcards["run"] for rule, wildcards in jobs if rule == "generate"] == ["1", "2", "3"]
