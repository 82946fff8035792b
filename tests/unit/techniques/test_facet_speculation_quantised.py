"""A draft whose linear layers are quantised: the target's tokens, evidence of the draft's own, and its bytes."""

import dataclasses

import pytest
import torch

from scripts.foundation.errors import StudyError
from scripts.hardware import sizes
from scripts.hardware.cost import Costs
from scripts.hardware.work import Batch, Model, batch_work
from scripts.inference.architecture import of_checkpoint
from scripts.inference.loading import load
from scripts.runtime.errors import EvidenceError
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Process
from scripts.runtime.tensors import module_bytes
from scripts.techniques.costs import costs_of
from scripts.techniques.speculation.facet import FACET
from tests.support.observations import observation
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import run_worker, settings

FLOAT32 = Process(torch.device("cpu"), torch.float32)
CLASSES = {
    "int8": "Linear8bitLt", "nf4": "Linear4bit", "int8_weight_only": "WeightOnlyLinear",
    "int4_weight_only": "WeightOnlyLinear", "fp8": "WeightOnlyLinear",
}  # fmt: skip
ENGINES = {"stock": {}, "graph": {"engine": "graph"}}


def drafted(method, **facets):
    return facets | {"speculation": {"draft": "draft", "tokens": 4, "draft_quantization": method}}


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    """Another random model than the target, of one layer."""
    return make_checkpoint(tmp_path_factory.mktemp("draft") / "model", seed=5, layers=1)


@pytest.fixture(scope="module")
def runs(checkpoint, evaluation_set):
    """The target drafts for itself, quantised."""
    return {
        (method, engine): run_worker(checkpoint, evaluation_set, drafted(method, **more), draft=checkpoint)
        for method in CLASSES
        for engine, more in ENGINES.items()
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", CLASSES)
def test_the_tokens_are_those_of_the_target_alone(runs, greedy, method, engine):
    assert runs[method, engine].tokens == greedy.tokens


@pytest.mark.parametrize("method", CLASSES)
def test_what_a_draft_of_other_numbers_proposes_is_refused_by_the_target(
    checkpoint, evaluation_set, greedy, draft, method
):
    run = run_worker(checkpoint, evaluation_set, drafted(method), draft=draft)
    assert run.tokens == greedy.tokens
    assert run.evidence["speculation"]["acceptance_rate"] < 0.1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", CLASSES)
def test_the_draft_proves_its_form(runs, method, engine):
    evidence = runs[method, engine].evidence
    facts = evidence["speculation"]["draft_quantization"]
    assert facts["module_class"] == CLASSES[method]
    assert facts["quantized_modules"] == facts["linear_modules"] == 14
    assert facts["stored_bytes"] == pytest.approx(facts["analytic_bytes"], rel=1e-3)
    assert "quantization" not in evidence
    assert 0 < evidence["speculation"]["acceptance_rate"] <= 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", CLASSES)
def test_weights_are_counted_as_they_are_stored(runs, checkpoint, method, engine):
    run, shape = runs[method, engine], of_checkpoint(checkpoint)
    facets = settings(**drafted(method, **ENGINES[engine]))
    repacked = run.evidence["speculation"]["draft_quantization"].get("repacked_for_cpu", False)
    computed = sizes.weight_bytes(shape, costs_of(facets), "float32", shape, repacked=repacked)
    assert run.outcome["memory"]["weight_bytes"] == computed
    assert computed < sizes.weight_bytes(shape, costs_of(settings()), "float32", shape)


def test_the_rounding_of_four_bits_is_seen_in_what_is_accepted(runs):
    exact, rounded = (
        runs[method, "stock"].evidence["speculation"] for method in ("int8_weight_only", "int4_weight_only")
    )
    assert rounded["draft_quantization"]["round_trip_error"] > 5 * exact["draft_quantization"]["round_trip_error"]
    assert rounded["acceptance_rate"] < 1


@pytest.mark.parametrize("engine", ENGINES)
def test_target_and_draft_are_each_of_their_own_form(checkpoint, evaluation_set, engine):
    alone = {"quantization": "int8_weight_only"} | ENGINES[engine]
    both = run_worker(checkpoint, evaluation_set, drafted("int4_weight_only", **alone), draft=checkpoint)
    assert both.tokens == run_worker(checkpoint, evaluation_set, alone).tokens
    own, draft = both.evidence["quantization"], both.evidence["speculation"]["draft_quantization"]
    assert (own["stored_dtypes"], draft["stored_dtypes"]) == (["int8"], ["uint8"])
    assert own["round_trip_error"] < 0.01 < draft["round_trip_error"]
    shape, facets = of_checkpoint(checkpoint), settings(**drafted("int4_weight_only", **alone))
    assert both.outcome["memory"]["weight_bytes"] == sizes.weight_bytes(shape, costs_of(facets), "float32", shape)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_target_stays_as_it_is(checkpoint, draft, dtype):
    process = dataclasses.replace(FLOAT32, dtype=getattr(torch, dtype))
    facets = settings(**drafted("int4_weight_only"))
    loaded = load(checkpoint, facets, process, draft)
    assert {type(layer).__name__ for layer in linear_layers(loaded.model).values()} == {"Linear"}
    assert {type(layer).__name__ for layer in linear_layers(loaded.draft).values()} == {"WeightOnlyLinear"}
    assert loaded.draft is loaded.companion.model
    assert "quantization_rows" not in loaded.notes
    assert not any(parameter.requires_grad for parameter in loaded.draft.parameters())
    computed = sizes.weight_bytes(of_checkpoint(checkpoint), costs_of(facets), dtype, of_checkpoint(draft))
    assert computed == module_bytes(loaded.model) + module_bytes(loaded.draft)


def test_a_draft_that_is_put_in_the_others_place_is_found(checkpoint, draft):
    value = settings(**drafted("int4_weight_only"))["speculation"]
    loaded = load(checkpoint, settings(**drafted("int4_weight_only")), FLOAT32, draft)
    loaded.notes["round_counter"] = Counter()
    assert FACET.evidence(value, loaded, observation())["draft_quantization"]["quantized_modules"] == 7
    loaded.draft = load(draft, settings(), FLOAT32, None).model
    with pytest.raises(
        EvidenceError, match=r"^speculation\.draft_quantization: quantization 'int4_weight_only' asks for"
    ):
        FACET.evidence(value, loaded, observation())


class Counter:
    """A few rounds in which all was well."""

    total_rounds, total_drafted, total_accepted, total_rejected, draft_calls = 3, 8, 4, 2, 9
    histogram, longest, generators = [1, 0, 0, 0, 1], 4, {"DraftModel"}


def test_a_draft_that_cant_take_the_form_is_a_row_that_says_so(checkpoint, evaluation_set, tmp_path):
    narrow = make_checkpoint(tmp_path / "narrow", intermediate=192)
    run = run_worker(checkpoint, evaluation_set, drafted("int4_weight_only"), draft=narrow)
    assert run.outcome == {
        "status": "unsupported",
        "reason": "The draft model can't be prepared: int4 weights need layers whose width is a multiple of 128; "
        "model.layers.0.mlp.down_proj is 192 wide here.",
    }
    assert run_worker(checkpoint, evaluation_set, drafted("int8_weight_only"), draft=narrow).outcome["status"] == "ok"


def test_drafting_reads_the_bytes_that_are_stored(checkpoint):
    shape = of_checkpoint(checkpoint)
    plain, quantised = (
        Model(shape, costs_of(settings(**drafted(method))).draft or Costs(), "bfloat16")
        for method in ("none", "int8_weight_only")
    )
    rows = 2 * (128 + 64 + 64 + 128 + 128 + 128 + 128)
    assert plain.weight_bytes - quantised.weight_bytes == 196608 - 4 * rows
    batch = Batch(requests=1, prompt_tokens=20, new_tokens=12, rounds=4, drafted=12)
    target = Model(shape, costs_of({}), "bfloat16")
    whole, less = (batch_work(target, batch, cache=True, draft=draft).total for draft in (plain, quantised))
    assert whole.bytes - less.bytes == pytest.approx(12 * (196608 - 4 * rows))
    assert whole.flops == less.flops


def test_values_are_spelled_out():
    given = {"draft": "small", "draft_quantization": "nf4"}
    nf4 = {"method": "nf4", "double_quantization": False, "compute_dtype": "model"}
    resolved = FACET.resolve(given)
    assert resolved == {"draft": "small", "tokens": 4, "draft_quantization": nf4}
    assert FACET.resolve(resolved) == resolved
    doubled = {"method": "nf4", "double_quantization": True}
    assert FACET.resolve(given | {"draft_quantization": doubled})["draft_quantization"] == nf4 | doubled
    assert FACET.companion_facets(resolved) == {"quantization": nf4}


@pytest.mark.parametrize("off", ["none", None])
def test_none_leaves_the_option_out(off):
    for value in ({"draft": "small", "tokens": 2}, {"prompt_lookup": 5}):
        assert FACET.resolve(value | {"draft_quantization": off}) == value
        assert FACET.companion_facets(value) == {}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            {"prompt_lookup": 4, "draft_quantization": "nf4"},
            "speculation.draft_quantization needs a draft model; remove it from prompt lookup.",
        ),
        (
            {"draft": "small", "draft_quantization": "int4"},
            "speculation.draft_quantization: quantization method 'int4' does not exist; use 'none', 'fp8', "
            "'int4_weight_only', 'int8', 'int8_weight_only' or 'nf4'.",
        ),
        (
            {"draft": "small", "draft_quantization": {"method": "fp8", "threshold": 6.0}},
            "speculation.draft_quantization: quantization 'fp8' has no option 'threshold'; it has method.",
        ),
    ],
)
def test_what_does_not_exist_is_refused_with_its_place(value, sentence):
    with pytest.raises(StudyError) as error:
        FACET.resolve(value)
    assert str(error.value) == sentence
