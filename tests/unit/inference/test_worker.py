import errno

import pytest

from scripts.foundation import files
from scripts.inference import preparation
from scripts.inference.loading import load
from tests.support.tiny_checkpoint import END, make_checkpoint, variant, write_dataset
from tests.support.worker_runs import run_worker


def failing(monkeypatch, fail):
    """Let loading end with whatever ``fail`` raises."""
    monkeypatch.setattr(preparation, "load", lambda *arguments, **options: fail())


def raising(error):
    def fail():
        raise error

    return fail


def allocate_too_much():
    import torch

    return torch.empty(1 << 60, dtype=torch.uint8)


def test_the_allocators_own_error_is_out_of_memory(checkpoint, evaluation_set, monkeypatch):
    failing(monkeypatch, allocate_too_much)
    run = run_worker(checkpoint, evaluation_set, {})
    assert run.outcome["status"] == "out_of_memory"
    assert run.outcome["reason"].startswith("Out of memory: ")
    assert "\n" not in run.outcome["reason"]


def test_other_signs_of_exhausted_memory(checkpoint, evaluation_set, monkeypatch):
    import torch

    errors = [
        MemoryError(),
        MemoryError("std::bad_alloc"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation."),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ]
    for error in errors:
        failing(monkeypatch, raising(error))
        outcome = run_worker(checkpoint, evaluation_set, {}).outcome
        assert outcome["status"] == "out_of_memory"
        assert outcome["reason"].lower().count("out of memory") == 1  # said, and once
        assert "\n" not in outcome["reason"]


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), OSError(errno.EACCES, "Permission denied")])
def test_any_other_error_is_not_taken_for_it(checkpoint, evaluation_set, monkeypatch, error):
    failing(monkeypatch, raising(error))
    with pytest.raises(type(error)):
        run_worker(checkpoint, evaluation_set, {})


def refusal(checkpoint, dataset, **facets):
    run = run_worker(checkpoint, dataset, facets)
    assert run.outcome["status"] == "failed"
    return run.outcome["reason"]


@pytest.mark.parametrize("facets", [{}, {"pruning": "magnitude"}])
def test_a_checkpoint_that_lacks_a_weight_is_refused_not_filled_at_random(checkpoint, evaluation_set, tmp_path, facets):
    from safetensors.torch import load_file, save_file

    holed = variant(checkpoint, tmp_path / "holed")
    weights = load_file(checkpoint / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    (holed / "model.safetensors").unlink()
    save_file(weights, holed / "model.safetensors", metadata={"format": "pt"})
    reason = refusal(holed, evaluation_set, **facets)
    assert "lacks 1 of the model's weights, model.layers.1.mlp.down_proj.weight among them" in reason


@pytest.mark.parametrize("facets", [{}, {"pruning": "magnitude"}])
@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_an_incomplete_checkpoint_is_named(checkpoint, evaluation_set, tmp_path, file, facets):
    incomplete = variant(checkpoint, tmp_path / "incomplete")
    (incomplete / file).unlink()
    if file == "tokenizer.json":
        (incomplete / "tokenizer_config.json").unlink()
    assert str(incomplete) in refusal(incomplete, evaluation_set, **facets)


def test_a_pickled_checkpoint_is_not_loaded(checkpoint, evaluation_set, tmp_path):
    import torch

    pickled = variant(checkpoint, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    assert "holds no usable weights" in refusal(pickled, evaluation_set)


def test_a_model_that_does_not_write_is_refused(checkpoint, evaluation_set, tmp_path):
    other = variant(checkpoint, tmp_path / "other", config={"model_type": "vit"})
    assert "holds a 'vit' model, which does not write text" in refusal(other, evaluation_set)


def test_code_in_a_checkpoint_is_not_run(checkpoint, evaluation_set, tmp_path):
    config = files.read_json(checkpoint / "config.json")
    ran = tmp_path / "ran"
    config |= {"auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}}
    coded = variant(checkpoint, tmp_path / "coded", config=config)
    (coded / "code.py").write_text(f"open({str(ran)!r}, 'w')")
    run = run_worker(coded, evaluation_set, {})
    assert run.outcome["status"] == "ok"
    assert not ran.exists()


def test_a_model_without_any_end_is_refused(tmp_path, evaluation_set):
    checkpoint = make_checkpoint(tmp_path / "endless", generation={"eos_token_id": None})
    for name in ("tokenizer_config", "config"):
        content = files.read_json(checkpoint / f"{name}.json")
        files.write_json(checkpoint / f"{name}.json", content | {"eos_token": None, "eos_token_id": None})
    assert "generation.stop is 'end_token'; set it to 'line_break'" in refusal(checkpoint, evaluation_set)
    assert run_worker(checkpoint, evaluation_set, {}, stop="line_break").outcome["status"] == "ok"


def test_the_draft_has_no_facet_of_the_targets(checkpoint):
    import torch

    from scripts.runtime.layers import linear_layers
    from scripts.runtime.models import Process
    from tests.support.worker_runs import settings

    facets = settings(quantization="nf4", pruning="magnitude", speculation={"draft": "draft"})
    loaded = load(checkpoint, facets, Process(torch.device("cpu"), torch.bfloat16), checkpoint)
    assert {type(layer).__name__ for layer in linear_layers(loaded.model).values()} == {"Linear4bit"}
    assert {type(layer).__name__ for layer in linear_layers(loaded.draft).values()} == {"Linear"}
    assert {weight.dtype for weight in loaded.draft.parameters()} == {torch.bfloat16}
    assert not any(weight.requires_grad for weight in (*loaded.model.parameters(), *loaded.draft.parameters()))
    assert not any(model.training for model in (loaded.model, loaded.draft))


def test_a_prompt_longer_than_any_other_is_measured_like_them(checkpoint, tmp_path):
    data = write_dataset(tmp_path / "eval.jsonl", 1)
    rows = files.read_json_lines(data)
    files.write_json_lines(data, [*rows, rows[0] | {"id": "long", "summary": "river " * 75}])
    short, long = run_worker(checkpoint, data, {}).samples
    assert long["prompt_tokens"] > 4 * short["prompt_tokens"]


def test_a_special_token_spelled_in_a_summary_is_text(checkpoint, tmp_path):
    data = write_dataset(tmp_path / "eval.jsonl", 1)
    rows = files.read_json_lines(data)
    files.write_json_lines(data, [rows[0] | {"summary": "a"}, rows[0] | {"id": "spelled", "summary": "a" + END}])
    plain, spelled = run_worker(checkpoint, data, {}).samples
    assert spelled["prompt_tokens"] - plain["prompt_tokens"] == len(END)
