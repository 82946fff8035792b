"""What a technique can't act on, or did not, is never shown as ok."""

import pytest
import torch

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.techniques.registry import load_facet
from tests.support.tiny_checkpoint import SUMMARIES, make_checkpoint, make_tokenizer, write_dataset
from tests.support.worker_runs import run_worker

CALIBRATION = [{"summary": text, "headline": "A headline"} for text in SUMMARIES]
EVERY_ENGINE = [
    {}, {"kv_cache": "none"}, {"engine": "transformers_static"}, {"engine": "graph"}, {"batch_size": 2},
    {"engine": "transformers_continuous", "batch_size": 2}, {"speculation": {"prompt_lookup": 3}},
    {"engine": "graph", "speculation": {"prompt_lookup": 3}},
]  # fmt: skip


def save(model, directory, tokenizer):
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    manifest = {"source": "train", "path": ".", "parameters": 1, "dtype": "float32", "architecture": {}}
    files.write_json(directory / "manifest.json", manifest)
    return directory


def gpt2(directory, positions=256):
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=positions, n_embd=128, n_layer=2, n_head=4,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return save(GPT2LMHeadModel(config), directory, tokenizer)


@pytest.fixture(scope="module")
def conv1d(tmp_path_factory):
    return gpt2(tmp_path_factory.mktemp("checkpoints") / "gpt2")


def test_the_linear_layers_of_gpt2_are_pruned(conv1d, evaluation_set):
    facts = run_worker(conv1d, evaluation_set, {"pruning": {"method": "magnitude", "scope": "layer"}}).evidence
    assert facts["pruning"]["linear_weights"] == 2 * 12 * 128 * 128
    assert facts["pruning"]["sparsity"] == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize("method", ["int8", "nf4", "int8_weight_only", "int4_weight_only", "fp8"])
def test_the_linear_layers_of_gpt2_are_quantised(conv1d, evaluation_set, method):
    facts = run_worker(conv1d, evaluation_set, {"quantization": method}, thorough=True).evidence["quantization"]
    assert facts["quantized_modules"] == 8
    assert facts["weights"] == 2 * 12 * 128 * 128


@pytest.mark.parametrize(
    ("facets", "sentence"),
    [
        ({"pruning": {"method": "structured"}}, "the 'gpt2' model has none"),
        ({"parallel": {"tensor": 2}}, "no plan to split a 'gpt2' model over ranks"),
        ({"parallel": {"pipeline": 2}}, "no plan to split a 'gpt2' model into pipeline stages"),
        ({"engine": "graph"}, "this is a 'gpt2' model."),
    ],
)
def test_what_does_not_fit_gpt2_is_named(conv1d, evaluation_set, facets, sentence):
    outcome = run_worker(conv1d, evaluation_set, facets, calibration=CALIBRATION).outcome
    assert outcome["status"] == "unsupported"
    assert sentence in outcome["reason"]


@pytest.mark.parametrize("method", ["magnitude", "wanda"])
def test_a_share_that_removes_no_weight_is_no_pruning(checkpoint, evaluation_set, method):
    pruning = {"method": method, "amount": 1e-7} | ({"calibration": 3} if method == "wanda" else {})
    outcome = run_worker(checkpoint, evaluation_set, {"pruning": pruning}, calibration=CALIBRATION).outcome
    assert outcome["status"] == "unsupported"
    assert "nothing is removed" in outcome["reason"]


def changed(checkpoint, directory, change):
    """The checkpoint with its weights changed in place."""
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(checkpoint, directory)
    weights = load_file(directory / "model.safetensors")
    change(weights)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def test_a_checkpoint_that_is_as_sparse_already_is_not_pruned(checkpoint, evaluation_set, tmp_path):
    def halve(weights):
        for name, weight in weights.items():
            if "_proj" in name:
                weight[:, ::2] = 0

    sparse = changed(checkpoint, tmp_path / "sparse", halve)
    outcome = run_worker(sparse, evaluation_set, {"pruning": {"amount": 0.3}}).outcome
    assert outcome["status"] == "unsupported"
    assert "50.0% of the checkpoint's linear weights are zero already" in outcome["reason"]


def test_a_cache_that_is_never_read_is_none(checkpoint, evaluation_set):
    outcome = run_worker(checkpoint, evaluation_set, {}, max_new_tokens=1).outcome
    assert (outcome["status"], "nothing was ever read" in outcome["reason"]) == ("unsupported", True)
    fixed = run_worker(checkpoint, evaluation_set, {}, max_new_tokens=1, fixed={"new_tokens": 3, "samples": 2})
    assert fixed.outcome["status"] == "ok"


def test_lookup_with_nothing_to_propose_is_no_speculation():
    from types import SimpleNamespace

    from scripts.runtime.errors import UnsupportedError
    from scripts.runtime.rounds import RoundCounter

    counter = RoundCounter(3)
    counter.generators = {"PromptLookup"}
    loaded = SimpleNamespace(notes={"round_counter": counter}, draft=None)
    with pytest.raises(UnsupportedError, match="found nothing to propose"):
        load_facet("speculation").evidence({"prompt_lookup": 3}, loaded, None)


def test_a_prefix_that_no_prompts_share_is_no_shared_prefix(checkpoint, evaluation_set):
    facets = {"engine": {"name": "graph", "shared_prefix": True}}
    assert run_worker(checkpoint, evaluation_set, facets).outcome["status"] == "ok"
    outcome = run_worker(checkpoint, evaluation_set, facets, prompt="{summary}").outcome
    assert (outcome["status"], "finds nothing to share" in outcome["reason"]) == ("unsupported", True)


@pytest.mark.parametrize(("samples", "sentence"), [(1, "there is one sample;"), (3, "there are 3 samples;")])
def test_a_batch_of_more_than_all_samples_is_another_batch(checkpoint, tmp_path, samples, sentence):
    outcome = run_worker(checkpoint, write_dataset(tmp_path / "few.jsonl", samples), {"batch_size": 4}).outcome
    assert (outcome["status"], f"batch_size is 4, but {sentence}" in outcome["reason"]) == ("unsupported", True)


def test_one_prompt_shares_its_beginning_with_none(checkpoint, tmp_path):
    facets = {"engine": {"name": "graph", "shared_prefix": True}}
    outcome = run_worker(checkpoint, write_dataset(tmp_path / "one.jsonl", 1), facets).outcome
    assert (outcome["status"], "there is only one prompt" in outcome["reason"]) == ("unsupported", True)


def test_a_batch_is_not_cut_into_more_parts_than_it_has_requests():
    facets = {"engine": {"name": "graph"}, "batch_size": 3}
    parallel = {"tensor": 1, "pipeline": 2, "micro_batches": 4}
    with pytest.raises(StudyError, match="'micro_batches' is 4, but a batch of 3 has no more parts"):
        load_facet("parallel").check(parallel, facets)
    load_facet("parallel").check(parallel | {"micro_batches": 3}, facets)


@pytest.mark.parametrize("facets", EVERY_ENGINE, ids=str)
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_invalid_under_every_engine(
    checkpoint, evaluation_set, tmp_path, facets, number
):
    def spoil(weights):
        weights["lm_head.weight"][5, 3] = number

    broken = changed(checkpoint, tmp_path / "broken", spoil)
    outcome = run_worker(broken, evaluation_set, facets).outcome
    assert outcome["status"] == "invalid"
    assert "technique 'tested' computes NaN or infinity in its logits (sample 'sample-" in outcome["reason"]


def test_one_sample_alone_with_such_logits_is_named(checkpoint, tmp_path):
    """No look at the longest batch finds it."""
    tokenizer, rows = make_tokenizer(), files.read_json_lines(write_dataset(tmp_path / "eval.jsonl", 3))
    rows[1]["summary"] = "Zq"
    files.write_json_lines(tmp_path / "eval.jsonl", rows)
    [token] = tokenizer("Z")["input_ids"]

    def spoil(weights):
        weights["model.embed_tokens.weight"][token] = float("nan")

    broken = changed(checkpoint, tmp_path / "broken", spoil)
    outcome = run_worker(broken, tmp_path / "eval.jsonl", {}, thorough=True).outcome
    assert (outcome["status"], "sample 'sample-1'" in outcome["reason"]) == ("invalid", True)


def test_a_calibration_that_is_no_numbers_is_invalid(checkpoint, evaluation_set, tmp_path):
    def spoil(weights):
        weights["model.layers.0.mlp.up_proj.weight"][0, 0] = float("nan")

    broken = changed(checkpoint, tmp_path / "broken", spoil)
    facets = {"pruning": {"method": "wanda", "amount": 0.3, "calibration": 3}}
    outcome = run_worker(broken, evaluation_set, facets, calibration=CALIBRATION).outcome
    assert (outcome["status"], "NaN or infinity in its calibration" in outcome["reason"]) == ("invalid", True)


LONGEST = max(len(ids) for ids in make_tokenizer()([f"Write: {text}" for text in SUMMARIES])["input_ids"])
NEEDED = LONGEST + 12 - 1  # the last of twelve new tokens is never fed back


@pytest.mark.parametrize("positions", [NEEDED - 1, 12])
def test_prompts_beyond_a_models_positions_are_refused_before_it_is_loaded(tmp_path, evaluation_set, positions):
    outcome = run_worker(gpt2(tmp_path / "short", positions), evaluation_set, {}).outcome
    assert outcome["status"] == "unsupported"
    assert f"but the 'gpt2' model has {positions}; shorten prompts" in outcome["reason"]


def test_the_same_holds_for_rotary_models(tmp_path, evaluation_set):
    model = make_checkpoint(tmp_path / "llama")
    config = files.read_json(model / "config.json")
    files.write_json(model / "config.json", config | {"max_position_embeddings": NEEDED - 1})
    assert run_worker(model, evaluation_set, {}).outcome["status"] == "unsupported"


def test_prompts_that_just_fit_are_measured_and_judged(tmp_path, evaluation_set):
    """Also where a reference headline would not fit."""
    rows = [row | {"headline": "river " * 60} for row in files.read_json_lines(evaluation_set)]
    files.write_json_lines(tmp_path / "eval.jsonl", rows)
    run = run_worker(gpt2(tmp_path / "fitting", NEEDED), tmp_path / "eval.jsonl", {}, max_new_tokens=12, thorough=True)
    assert run.outcome["status"] == "ok"
