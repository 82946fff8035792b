"""Continuous batching: who is served when, what it costs to wait, and how it ends."""

import contextlib
import threading
from itertools import pairwise

import pytest
import torch

from scripts.inference import worker
from scripts.inference.loading import load
from scripts.runtime.models import Process
from scripts.runtime.serving import LENGTH, STOP, Request
from scripts.techniques.engine.transformers_continuous import loop as continuous
from scripts.techniques.engine.transformers_continuous.batching import ManagerBatching
from scripts.techniques.engine.transformers_continuous.loop import ContinuousEngine
from tests.support.tiny_checkpoint import variant, write_dataset
from tests.support.worker_runs import run_worker

END = 200
LONG, SHORT = [100, 101, 190], [120, 198]  # of a model that counts: ten tokens up to the end, and two
SLOTS = {"engine": {"name": "transformers_continuous", "slots": 2}, "batch_size": 3}


@pytest.fixture
def counting(chain):
    """An engine of two slots that is ready for five requests, over a model that counts."""
    loaded = load(chain, {"kv_cache": "dynamic"}, Process(torch.device("cpu"), torch.float32), None)
    engine = loaded.generator = ContinuousEngine(loaded, slots=2, pad=2)
    engine.reserve([[LONG] * 5], 12)
    engine.limit(12, [END, 7])
    yield engine
    engine.close()


def test_the_next_request_takes_a_place_as_soon_as_it_is_free(counting):
    seen = counting.observe([LONG, SHORT, SHORT, SHORT, SHORT])
    assert seen.trace.generated == [10, 2, 2, 2, 2]
    # The long request alone takes ten forwards, and the short ones share them; static pairs take 10 + 2 + 2.
    assert seen.forward_rows == [2] * 8 + [1] * 2
    assert seen.trace.given[:3] == [[3, 2], [1, 1], [1, 2]]


def test_what_is_run_does_not_depend_on_the_moment(counting):
    first, second = (counting.observe([SHORT, LONG, SHORT, LONG, SHORT]).trace for _ in range(2))
    assert first == second


def test_a_request_begins_when_one_before_it_has_ended(counting):
    out = counting.generate([LONG, SHORT, SHORT, SHORT, SHORT])
    assert [len(moments) for moments, _ in out.rows()] == [10, 2, 2, 2, 2]
    moments = out.own_moments
    for earlier, later in pairwise(moments[1:]):
        assert earlier[-1] < later[0]
    assert out.moments[-1] == moments[0][-1]


def test_any_of_several_tokens_stops_a_request(counting):
    assert [tokens[-1] for tokens in counting.generate([LONG, [5], [300], [6]]).tokens] == [END, 7, 312, 7]
    counting.limit(3, [])
    # The model's own end token, 1, comes second.
    assert counting.generate([[319], LONG]).tokens == [[0, 1, 2], [191, 192, 193]]


def test_prompts_are_read_in_parts_where_they_do_not_fit(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(continuous, "PROMPT_TOKENS", 1)
    samples = write_dataset(tmp_path / "eval.jsonl", 5)
    run = run_worker(checkpoint, samples, SLOTS)
    assert run.tokens == run_worker(checkpoint, samples, {}).tokens
    assert run.evidence["engine"]["most_sequences"] == 2


def test_latency_counts_from_the_hand_over(checkpoint, evaluation_set):
    run = run_worker(checkpoint, evaluation_set, SLOTS)
    first, second, waiting = sorted(run.samples, key=lambda sample: sample["ttft_s"])
    assert min(first["latency_s"], second["latency_s"]) < waiting["ttft_s"] == waiting["token_times_s"][0]
    for sample in run.samples:
        assert sample["latency_s"] == sample["token_times_s"][-1] <= sample["batch_time_s"]


def test_the_fixed_mode_has_no_stop_token_and_gives_the_stops_back(chain, evaluation_set, tmp_path):
    ending = variant(chain, tmp_path / "ending", generation_config={"bos_token_id": 0, "eos_token_id": [1, 20]})
    run = run_worker(ending, evaluation_set, SLOTS, fixed={"new_tokens": 9, "samples": 3})
    assert [sample["new_tokens"] for sample in run.samples] == [4, 4, 4]
    assert {sample["stop_reason"] for sample in run.samples} == {"end"}
    assert [sample["new_tokens"] for sample in run.fixed] == [9, 9, 9]
    assert run.evidence["engine"]["forwards"] == 8  # four of two requests, four of the third


def test_the_cache_is_as_large_as_the_slots_need(checkpoint, evaluation_set):
    run = run_worker(checkpoint, evaluation_set, SLOTS)
    facts = run.evidence["engine"]
    longest = max(sample["prompt_tokens"] for sample in run.samples) + 12
    assert facts["pages"] * facts["page_tokens"] == 2 * -(-longest // 16) * 16
    # Two pages more, which no request uses; keys and values of 2 layers x 2 heads x 32 numbers of 4 bytes.
    positions = (facts["pages"] + 2) * facts["page_tokens"]
    assert run.outcome["memory"]["kv_cache_positions"] == positions
    assert run.outcome["memory"]["kv_cache_bytes"] == positions * 2 * 2 * 2 * 32 * 4


def test_time_in_the_other_thread_is_seen(checkpoint, evaluation_set):
    spent = run_worker(checkpoint, evaluation_set, SLOTS, thorough=True).outcome["time"]
    assert spent["operators_s"] > 0
    assert 0 < spent["target_forward_s"] < spent["sample_s"]
    assert spent["host_bound_share"] is None or 0 <= spent["host_bound_share"] < 1


@pytest.mark.parametrize("count", [1, 2])
def test_operators_have_the_threads_that_the_run_asks_for(chain, request, count):
    request.addfinalizer(lambda: torch.set_num_threads(1))
    torch.set_num_threads(count)
    engine = ContinuousEngine(load(chain, {}, Process(torch.device("cpu"), torch.float32), None), slots=2, pad=2)
    request.addfinalizer(engine.close)
    engine.reserve([[LONG, SHORT]], 4)
    engine.limit(4, [END])
    engine.observe([LONG, SHORT])
    assert (engine.facts()["threads"], engine.facts()["threads_asked"]) == (count, count)


@pytest.mark.parametrize("handed_over", [1, 2])
def test_an_error_in_the_thread_is_an_error_of_the_call(counting, handed_over):
    def fail(module, args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    counting.loaded.model.register_forward_pre_hook(fail)
    sentence = "transformers' continuous batching stopped before all requests had ended: CUDA out of memory"
    # The second time there is no thread any more that could fail.
    for _ in range(handed_over):
        with pytest.raises(RuntimeError, match=sentence) as error:
            counting.generate([LONG, SHORT, SHORT])
    assert worker.is_out_of_memory(error.value)


def test_a_thread_that_ends_without_a_word_is_found(counting, monkeypatch):
    counting.manager.stop()
    monkeypatch.setattr(counting.manager, "pause", contextlib.nullcontext)
    with pytest.raises(RuntimeError, match="its thread ended"):
        counting.generate([LONG])


@pytest.mark.parametrize("stops", [False, True])
def test_no_thread_outlives_the_run(checkpoint, evaluation_set, monkeypatch, stops):
    def stop(self, prompts):
        raise ZeroDivisionError

    before = set(threading.enumerate())
    if stops:
        monkeypatch.setattr(ContinuousEngine, "observe", stop)
        with pytest.raises(ZeroDivisionError):
            run_worker(checkpoint, evaluation_set, SLOTS)
    else:
        assert run_worker(checkpoint, evaluation_set, SLOTS).outcome["status"] == "ok"
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if "generation_loop" in thread.name]


@pytest.fixture
def serving(chain):
    """The same model, for requests as they come."""
    loaded = load(chain, {"kv_cache": "dynamic"}, Process(torch.device("cpu"), torch.float32), None)
    batching = ManagerBatching(loaded, slots=2, pad=2)
    batching.reserve(40)
    yield batching
    batching.close()


def collected(batching, keys):
    written = {}
    while not keys <= {key for key, (_, reason) in written.items() if reason}:
        for key, token, reason in batching.step():
            tokens, ended = written.setdefault(key, ([], None))
            assert ended is None
            written[key] = ([*tokens, token], reason)
    return written


def test_requests_as_they_come_get_their_own_tokens_and_ends(serving):
    serving.submit(Request("stops", [100, 101], 12, frozenset({105})))
    serving.submit(Request("limited", [50], 3))
    serving.submit(Request("third", [60], 2, frozenset({300})))
    serving.submit(Request("gone", [70], 30))
    serving.cancel("gone")
    written = collected(serving, {"stops", "limited", "third"})
    assert written == {
        "stops": ([102, 103, 104, 105], STOP), "limited": ([51, 52, 53], LENGTH), "third": ([61, 62], LENGTH),
    }  # fmt: skip
    assert (serving.running, serving.waiting, serving.busy) == (0, 0, False)
    with pytest.raises(ValueError, match="at most 40"):
        serving.submit(Request("long", [5] * 30, 11))


def test_a_thread_that_ended_is_said_to_those_who_wait(serving):
    serving.submit(Request("never", [5], 30))
    serving.close()
    with pytest.raises(RuntimeError, match="continuous batching stopped"):
        collected(serving, {"never"})
