"""A prefix that is read once: the same tokens, less to read, and what it does not go with."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.techniques.prefix_cache.facet import FACET
from tests.support.tiny_checkpoint import write_dataset
from tests.support.worker_runs import run_worker

ON = {"prefix_cache": True}


def prefix_tokens(checkpoint):
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(checkpoint)("Write:")["input_ids"])


@pytest.mark.parametrize("facets", [{}, {"batch_size": 3}, {"batch_size": 2, "attention": "eager"}], ids=str)
def test_no_token_changes_and_no_prefix_is_read_again(checkpoint, evaluation_set, greedy, facets):
    fixed = {"new_tokens": 3, "samples": 2}
    run = run_worker(checkpoint, evaluation_set, ON | facets, fixed=fixed, thorough=True)
    assert run.tokens == greedy.tokens
    facts = run.evidence["prefix_cache"]
    tokens = facts["prefix_tokens"]
    assert tokens >= prefix_tokens(checkpoint) - 1  # a merge may reach into the summary
    assert facts["prefix_bytes"] == 2 * 2 * 2 * 32 * 4 * tokens  # keys and values, layers, heads, width, bytes
    assert facts["read_s"] > 0
    batches = {sample["batch"] for sample in run.samples}
    assert facts["first_forwards"] == len(batches)
    longest = max(sample["prompt_tokens"] for sample in run.samples)
    assert facts["first_forward_tokens"][1] == longest - tokens
    assert [sample["prefix_tokens"] for sample in run.samples if "prefix_tokens" in sample] == [tokens] * len(batches)
    assert run.evidence["kv_cache"]["cache_length_tokens"] >= longest


def test_prompts_of_a_set_length_share_theirs_too(checkpoint, evaluation_set):
    plain = run_worker(checkpoint, evaluation_set, {"prompt_tokens": 60})
    run = run_worker(checkpoint, evaluation_set, ON | {"prompt_tokens": 60})
    assert run.tokens == plain.tokens
    assert run.evidence["prefix_cache"]["observed_first_forward_tokens"] < 60
    assert run.evidence["prompt_tokens"] == {"prompt_tokens": 60}


def test_prompts_that_share_nothing_are_told(checkpoint, evaluation_set, tmp_path):
    outcome = run_worker(checkpoint, evaluation_set, ON, prompt="{summary}").outcome
    assert (outcome["status"], "finds nothing to share" in outcome["reason"]) == ("unsupported", True)
    outcome = run_worker(checkpoint, write_dataset(tmp_path / "one.jsonl", 1), ON).outcome
    assert (outcome["status"], "there is only one prompt" in outcome["reason"]) == ("unsupported", True)


def test_a_prompt_that_was_read_whole_is_invalid(checkpoint, evaluation_set, monkeypatch):
    from scripts.techniques.prefix_cache.prefix import Prefix

    monkeypatch.setattr(Prefix, "inputs", lambda *arguments: {})
    outcome = run_worker(checkpoint, evaluation_set, ON).outcome
    assert outcome["status"] == "invalid"
    assert "first forwards left out 0 of their prompts' tokens" in outcome["reason"]


def test_a_prompt_that_begins_otherwise_is_read_whole(checkpoint):
    import torch
    from transformers import AutoModelForCausalLM

    from scripts.runtime.models import Loaded, Process
    from scripts.techniques.prefix_cache.prefix import Prefix

    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    kept = Prefix(Loaded(model, Process(torch.device("cpu"), torch.float32), {}), [5, 6, 7], batched=True)
    for rows in ([[5, 6, 8, 9]], [[5, 6, 7]], [[2, 5, 6, 7, 8], [5, 6, 8, 9, 9]]):
        ids = torch.tensor(rows)
        assert kept.inputs(ids, (ids != 2).long()) == {}
    ids = torch.tensor([[2, 2, 5, 6, 7, 8], [5, 6, 7, 9, 10, 11]])
    given = kept.inputs(ids, (ids != 2).long())
    assert given["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 1], [1] * 6]
    assert given["input_ids"][:, [0, 1, 2, 5]].tolist() == [[5, 6, 7, 8], [5, 6, 7, 11]]
    before = kept.cache.layers[0].keys.clone()
    given["past_key_values"].layers[0].keys.zero_()
    assert torch.equal(kept.cache.layers[0].keys, before)


@pytest.mark.parametrize(
    ("facets", "sentence"),
    [
        ({"kv_cache": "none"}, "does not compose with kv_cache 'none'"),
        ({"engine": {"name": "graph"}}, "set engine: {name: graph, shared_prefix: true}"),
        ({"engine": {"name": "transformers_static"}}, "does not compose with engine 'transformers_static'"),
        ({"speculation": {"prompt_lookup": 4}}, "does not compose with speculation"),
        ({"parallel": {"tensor": 2}}, "does not compose with parallel"),
        ({"attention": "flash_attention_2", "batch_size": 2}, "'flash_attention_2' in batches"),
    ],
)
def test_what_does_not_compose_is_refused(facets, sentence):
    with pytest.raises(StudyError) as refused:
        FACET.check(True, {"kv_cache": "dynamic"} | facets)
    assert sentence in str(refused.value)


def test_off_is_no_change():
    assert FACET.resolve(False) is None
    with pytest.raises(StudyError, match="prefix_cache is 3; use true or false"):
        FACET.check(3, {"kv_cache": "dynamic"})
