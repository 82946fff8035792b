"""Figures of a technique whose engine is a server: what it counted, what is not known, and a memory told as a whole."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.metrics.families import memory as memory_family
from scripts.metrics.recorded import Recorded
from tests.support import synthetic_runs as synthetic
from tests.support.analytic_runs import make_run

UNKNOWN = dict.fromkeys(synthetic.RUN_1_KEYS)


def served(dataset, **changes):
    """The samples of a server that gives text alone, with a stop token that it counts."""
    found = []
    for sample in synthetic.make_samples(dataset):
        kept = sample | {"tokens": "retokenised", "token_ids": sample["token_ids"][:-2], "token_times_s": None}
        found.append(kept | UNKNOWN | {"stop_reason": None} | changes)
    return found


def written(dataset, samples):
    """A run with these samples, and a fixed mode."""
    return synthetic.make_run("kv_cache"), samples, synthetic.make_fixed(synthetic.make_samples(dataset))


def test_what_a_server_counted_is_what_its_figures_count(metrics, dataset):
    plain = metrics(written(dataset, synthetic.make_samples(dataset)))
    found = metrics(written(dataset, served(dataset)))
    assert found["status"] == "ok"
    assert found["tokens_from"] == "text"
    assert plain["tokens_from"] is None
    for key in ("new_tokens", "latency_s", "ttft_s", "tpot_s", "throughput_tokens_per_s"):
        assert found["figures"][key]["value"] == plain["figures"][key]["value"], key
    for key in ("reference_nll_per_token", "greedy_agreement"):
        assert found["figures"][key]["note"] == "not measured: a server does not give the logits of its tokens"
    gaps = found["figures"]["inter_token_latency_s"]
    assert (gaps["value"], gaps["note"]) == (None, "the server's chunks do not tell when each token was out")
    assert found["samples"]["token_times_s"] == [None] * len(dataset)


def test_a_stop_that_a_server_does_not_tell_has_no_share(metrics, dataset):
    figures = metrics(written(dataset, served(dataset)))["figures"]
    assert figures["stop_length_share"]["value"] == 0
    for key in ("stop_end_share", "stop_line_break_share"):
        assert figures[key]["value"] is None
        assert "does not tell an end token from a line break in 12 of 12" in figures[key]["note"]


@pytest.mark.parametrize("changes", [{"tokens": "guessed"}, {"new_tokens": -1}, {"new_tokens": 2.5}])
def test_damaged_samples_of_a_server_are_refused(changes, metrics, dataset):
    with pytest.raises(StudyError, match=r"samples\.jsonl, line 1: 'tokens' is"):
        metrics(written(dataset, served(dataset, **changes)))


def test_only_a_server_may_leave_out_times_or_stops(metrics, dataset):
    for changes in ({"token_times_s": None}, {"stop_reason": None}):
        samples = [sample | changes for sample in synthetic.make_samples(dataset)]
        with pytest.raises(StudyError, match="delete the run and make it again"):
            metrics(written(dataset, samples))


def device(peak):
    keys = ("before_load_bytes", "load_peak_bytes", "peak_bytes", "process_peak_bytes")
    nothing = dict.fromkeys(("weight_bytes", "kv_cache_bytes", "kv_cache_positions"))
    return {"device": "server", "rank": 0} | dict.fromkeys(keys, peak) | nothing


@pytest.mark.parametrize(
    ("peak", "note"), [(10**9, "the server's whole processes"), (None, "not measured: the endpoint")]
)
def test_a_servers_memory_is_told_as_a_whole_or_not_at_all(peak, note):
    run = make_run()
    sums = {"peak_memory_bytes": peak, "load_peak_memory_bytes": peak, "weight_bytes": None}
    run.info["memory"] = {"method": "process_tree" if peak else None, "note": note, "devices": [device(peak)]} | sums
    figures = memory_family.compute(Recorded([run]))
    assert figures["peak_memory_bytes"]["value"] == peak
    assert figures["peak_memory_bytes"]["note"] == note
    assert figures["process_memory_bytes"]["value"] == peak
    for key in ("weight_bytes", "kv_cache_bytes", "activation_bytes", "needed_bytes_per_device"):
        assert figures[key]["value"] is None, key
