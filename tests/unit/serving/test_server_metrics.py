"""Counters of a server are read as Prometheus writes them, whatever else stands on the page."""

from scripts.serving import metrics

PAGE = r"""
# HELP vllm:prefix_cache_hits_total Hits.
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{engine="0",model_name="a \"b\" {c}, d"} 3.0
vllm:prefix_cache_hits_total{engine="1",model_name="m"} 4
vllm:cache_config_info{block_size="16",num_gpu_blocks="2048",other="x"} 1.0
sglang:max_total_num_tokens 4096.0 1700000000
broken{ 1
one 2 3 4
endless NaN
up +Inf
"""


def test_a_metric_is_summed_over_its_labels():
    samples = metrics.parse(PAGE)
    assert metrics.total(samples, "vllm:prefix_cache_hits_total") == 7
    assert metrics.total(samples, "vllm:prefix_cache_hits") == 7
    assert samples[0].labels == {"engine": "0", "model_name": 'a "b" {c}, d'}


def test_what_is_not_there_or_not_finite_has_no_value():
    samples = metrics.parse(PAGE)
    for name in ("absent", "endless", "up", "broken", "one"):
        assert metrics.total(samples, name) is None


def test_a_counter_grows_from_zero_where_it_appears_late_and_never_shrinks():
    before, after = metrics.parse("a 2\nb 5\n"), metrics.parse("a 7\nb 1\nc 3\n")
    assert metrics.increase(before, after, "a") == 5
    assert metrics.increase(before, after, "b") is None
    assert metrics.increase(before, after, "c") == 3
    assert metrics.increase(before, after, "d") is None


def test_labels_that_are_numbers_are_multiplied():
    samples = metrics.parse(PAGE)
    assert metrics.product_of_labels(samples, "vllm:cache_config_info", ["num_gpu_blocks", "block_size"]) == 32768
    assert metrics.product_of_labels(samples, "vllm:cache_config_info", ["other"]) is None
    assert metrics.product_of_labels(samples, "sglang:max_total_num_tokens", []) == 4096
    assert metrics.product_of_labels(samples, "absent", []) is None
