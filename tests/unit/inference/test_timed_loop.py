import gc
from itertools import pairwise

import pytest

from scripts.foundation import files
from scripts.inference import garbage, timed_loop
from scripts.inference.loading import load, load_tokenizer
from scripts.inference.timed_loop import Stops, generation_config, time_batch
from scripts.runtime import timing
from scripts.runtime.models import Loaded, Process
from tests.support.tiny_checkpoint import variant, write_dataset
from tests.support.worker_runs import run_worker

# What can be found in a checkpoint's generation_config.json and would change the output, or the way to it.
HOSTILE = {
    "sampling": {
        "do_sample": True, "temperature": 9.0, "top_k": 2, "top_p": 0.1, "typical_p": 0.2, "min_p": 0.5,
        "epsilon_cutoff": 0.01, "num_return_sequences": 2,
    },
    "penalties": {
        "repetition_penalty": 9.0, "no_repeat_ngram_size": 1, "encoder_repetition_penalty": 9.0, "guidance_scale": 5.0,
        "sequence_bias": [[[50], 99.0]], "exponential_decay_length_penalty": [1, 9.0], "renormalize_logits": True,
    },
    "at least": {"min_length": 300, "min_new_tokens": 300},
    "at most": {"max_length": 2, "max_new_tokens": 2, "max_time": 1e-6, "stop_strings": ["a"]},
    "forced": {"forced_bos_token_id": 9, "forced_eos_token_id": 7},
    "forbidden": {
        "bad_words_ids": [[272], [296]], "suppress_tokens": [272, 296, 79], "begin_suppress_tokens": [272, 296, 79],
    },
    "beams": {"num_beams": 3, "length_penalty": 9.0, "early_stopping": True},
    "contrastive": {"penalty_alpha": 0.6, "top_k": 4},
    "layers": {"dola_layers": "high"},
    "watermark": {"watermarking_config": {"bias": 9.0}},
    "cache": {"cache_implementation": "static", "use_cache": False},
    "lookup": {"prompt_lookup_num_tokens": 3},
}  # fmt: skip
SPECIAL = {"bos_token_id": 0, "eos_token_id": 1}


@pytest.fixture(scope="module")
def one_sample(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("one") / "eval.jsonl", 1)


@pytest.mark.parametrize("setting", [*HOSTILE, "all of them"])
def test_settings_hidden_in_a_checkpoint_have_no_effect(checkpoint, one_sample, greedy, tmp_path, setting):
    groups = HOSTILE if setting == "all of them" else [setting]
    hidden = {key: value for group in groups for key, value in HOSTILE[group].items()}
    hostile = variant(checkpoint, tmp_path / "hostile", generation_config=SPECIAL | hidden)
    run = run_worker(hostile, one_sample, {})
    assert run.tokens == greedy.tokens[:1]
    assert run.evidence["kv_cache"]["cache_class"] == "DynamicCache"


@pytest.mark.parametrize("cache", ["none", "dynamic"])
@pytest.mark.parametrize("generation_file", [True, False])
def test_settings_hidden_in_the_models_configuration_have_no_effect(
    checkpoint, one_sample, greedy, tmp_path, cache, generation_file
):
    hidden = {"do_sample": True, "temperature": 9.0, "repetition_penalty": 9.0, "min_length": 300, "use_cache": False}
    replaced = {"config": files.read_json(checkpoint / "config.json") | hidden}
    if not generation_file:
        replaced["generation_config"] = None
    run = run_worker(variant(checkpoint, tmp_path / "hostile", **replaced), one_sample, {"kv_cache": cache})
    assert run.tokens == greedy.tokens[:1]


def test_those_settings_would_have_an_effect(checkpoint, one_sample, greedy, tmp_path):
    """Else the tests above could not fail."""
    import torch

    hidden = HOSTILE["forbidden"] | {"max_new_tokens": 12}
    hostile = variant(checkpoint, tmp_path / "hostile", generation_config=SPECIAL | hidden)
    loaded = load(hostile, {"kv_cache": "dynamic"}, Process(torch.device("cpu"), torch.float32), None)
    summary = files.read_json_lines(one_sample)[0]["summary"]
    inputs = load_tokenizer(hostile)(f"Write: {summary}", return_tensors="pt")
    written = loaded.model.generate(**{name: inputs[name] for name in ("input_ids", "attention_mask")})
    assert written[0, inputs["input_ids"].shape[1] :].tolist() != greedy.tokens[0]


def test_the_resolved_settings_are_recorded(greedy):
    recorded = greedy.outcome["generation"]
    assert recorded["do_sample"] is False
    assert recorded["num_beams"] == 1
    assert recorded["max_new_tokens"] == 12
    assert recorded["use_cache"] is True
    assert recorded["eos_token_id"] == "1 stop tokens, [1] end"


def test_times_belong_to_tokens(greedy):
    for sample in greedy.samples:
        times = sample["token_times_s"]
        assert len(times) == sample["new_tokens"] == len(sample["token_ids"]) > 1
        assert 0 < times[0] == sample["ttft_s"]
        assert all(earlier < later for earlier, later in pairwise(times))
        assert times[-1] == sample["latency_s"] < sample["batch_time_s"]
        assert sample["prompt_tokens"] > 0


@pytest.mark.parametrize(
    "facets",
    [
        {},
        {"engine": "graph"},
        {"speculation": {"prompt_lookup": 3}},
        {"engine": "transformers_continuous", "batch_size": 2},
    ],
)
def test_a_request_ends_at_one_moment_whatever_generates(checkpoint, evaluation_set, facets):
    for sample in run_worker(checkpoint, evaluation_set, facets).samples:
        assert sample["latency_s"] == sample["token_times_s"][sample["new_tokens"] - 1] <= sample["batch_time_s"]


def test_garbage_is_collected_between_timed_batches_alone(checkpoint, evaluation_set, monkeypatch):
    on, collected = [], []
    original = timed_loop.time_batch

    def watched(*arguments):
        on.append(gc.isenabled())
        before = len(collected)
        lines = original(*arguments)
        assert len(collected) == before
        return lines

    monkeypatch.setattr(timed_loop, "time_batch", watched)
    monkeypatch.setattr(gc, "collect", lambda: collected.append(len(on)))
    run = run_worker(checkpoint, evaluation_set, {}, warmup=1, fixed={"new_tokens": 3, "samples": 2})
    assert run.outcome["garbage_collected"] == "between batches"
    # A warm-up, one more after the reset of the peak, three samples, one before the fixed mode, and its two.
    assert on == [True, True, False, False, False, True, False, False]
    assert {2, 3, 4, 5, 6, 7, 8} <= set(collected)
    assert gc.isenabled()


def test_the_collector_comes_back_after_an_error():
    with pytest.raises(ValueError, match="no"), garbage.paused():
        raise ValueError("no")
    assert gc.isenabled()


def test_libraries_are_not_looked_through_again():
    garbage.freeze_libraries()
    settled = gc.get_freeze_count()
    assert settled > 100_000
    later = [[] for _ in range(10)]
    garbage.freeze_libraries()
    assert gc.get_freeze_count() == settled
    assert all(gc.is_tracked(each) for each in later)


def test_samples_are_those_of_the_data_set_in_its_order_whatever_the_warm_up(checkpoint, evaluation_set, greedy):
    ids = [row["id"] for row in files.read_json_lines(evaluation_set)]
    for warmup in (0, 5):
        run = run_worker(checkpoint, evaluation_set, {}, warmup=warmup)
        assert [sample["id"] for sample in run.samples] == ids
        assert run.tokens == greedy.tokens


def test_warm_up_and_evidence_are_no_part_of_the_timed_samples(checkpoint, evaluation_set, monkeypatch):
    timed, generated = [], []
    original, synchronise = timed_loop.time_batch, timing.synchronise

    def counted(*arguments):
        timed.append(arguments[0])
        return original(*arguments)

    monkeypatch.setattr(timed_loop, "time_batch", counted)
    for module in (timed_loop, timing):
        monkeypatch.setattr(module, "synchronise", lambda device: (generated.append(device), synchronise(device)))
    run = run_worker(checkpoint, evaluation_set, {}, warmup=2)
    assert len(timed) == 2 + 1 + 3  # one more behind the reset of the memory peak
    assert len(run.samples) == 3
    # Once after loading, and at both ends of every sample.
    assert len(generated) == 1 + 2 * 6


@pytest.mark.parametrize(
    ("generation", "config", "tokens", "reason"),
    [
        # The chain writes 17, 18, 19, … after the full stop that ends each prompt.
        ({"max_new_tokens": 5}, SPECIAL, [17, 18, 19, 20, 21], "length"),
        ({"max_new_tokens": 1}, SPECIAL, [17], "length"),
        ({}, SPECIAL | {"eos_token_id": [1, 20]}, [17, 18, 19, 20], "end"),
        ({}, SPECIAL | {"eos_token_id": 17}, [17], "end"),
        ({"max_new_tokens": 3}, SPECIAL | {"eos_token_id": 19}, [17, 18, 19], "end"),
    ],
)
def test_a_sample_says_why_it_ended(chain, one_sample, tmp_path, generation, config, tokens, reason):
    run = run_worker(
        variant(chain, tmp_path / "chain", generation_config=config), one_sample, {"kv_cache": "none"}, **generation
    )
    [sample] = run.samples
    assert sample["token_ids"] == tokens
    assert sample["stop_reason"] == reason


@pytest.mark.parametrize(("stop", "tokens", "reason"), [("line_break", 5, "line_break"), ("end_token", 8, "length")])
def test_the_first_line_break_ends_a_headline_where_the_study_says_so(chain, one_sample, stop, tokens, reason):
    # The line break is token 201, and this prompt ends with token 196.
    prompt = "Write: {summary}\x05"
    run = run_worker(chain, one_sample, {}, stop=stop, prompt=prompt, max_new_tokens=8)
    [sample] = run.samples
    assert sample["token_ids"] == list(range(197, 197 + tokens))
    assert sample["stop_reason"] == reason
    assert "\n" in sample["text"]


class Overshooting:
    """Puts out more than was asked for, as a technique may that verifies several tokens at once."""

    def __init__(self, steps):
        self.steps = steps

    def generate(self, input_ids, streamer, **options):
        streamer.put(input_ids)
        for step in self.steps:
            streamer.put(step)
        streamer.end()


def test_what_comes_after_the_first_stop_token_is_neither_kept_nor_timed(checkpoint):
    import torch

    model = Overshooting([torch.tensor([40]), torch.tensor([[41, 42, 43, 44]]), torch.tensor([[45]])])
    loaded = Loaded(model, Process(torch.device("cpu"), torch.float32), {})
    [sample] = time_batch(["A"], load_tokenizer(checkpoint), loaded, {}, Stops([42, 44], {44}))
    assert sample["token_ids"] == [40, 41, 42]
    assert sample["new_tokens"] == len(sample["token_times_s"]) == 3
    assert sample["stop_reason"] == "line_break"
    assert sample["text"] == load_tokenizer(checkpoint).decode([40, 41, 42])
    # Tokens of one step came out at one time.
    assert sample["token_times_s"][1] == sample["token_times_s"][2] > sample["token_times_s"][0]


def test_decoding_is_greedy_in_writing():
    config = generation_config(7, Stops([3, 5], {3}), 2)
    assert (config.do_sample, config.num_beams, config.max_new_tokens) == (False, 1, 7)
    assert (config.eos_token_id, config.pad_token_id) == ([3, 5], 2)
