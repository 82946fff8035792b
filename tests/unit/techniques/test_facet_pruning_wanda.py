import pytest
import torch

from scripts.foundation.errors import StudyError
from scripts.inference.loading import load
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.layers import linear_layers, stored_weight
from scripts.runtime.models import Process
from scripts.techniques.pruning.facet import FACET
from scripts.techniques.pruning.wanda import method as wanda
from tests.support.rank_group import run_group
from tests.support.tiny_checkpoint import SUMMARIES, make_checkpoint
from tests.support.worker_runs import request, run_worker, settings

ROWS = [
    list(range(3, 23)),
    list(range(40, 47)),
    [5, 9, 5, 200, 201, 7, 7, 7, 80, 81, 82, 83, 6],
    list(range(300, 270, -1)),
]
VALUE = {"method": "wanda", "amount": 0.5, "calibration": len(ROWS)}
TEXTS = [{"summary": text, "headline": "A headline"} for text in SUMMARIES]
TOLD = {"method": "wanda", "amount": 0.5, "calibration": len(TEXTS)}


def loaded(checkpoint, rows=None, dtype=torch.float32, **facets):
    return load(checkpoint, settings(**facets), Process(torch.device("cpu"), dtype), None, calibration=rows)


def by_the_paper(model, rows, amount):
    """Block after block: inputs of the model as pruned so far, norms, and the smallest products of each row."""
    layers = linear_layers(model)
    for block in range(len(model.model.layers)):
        names = [name for name in layers if f".layers.{block}." in name]
        inputs = {name: [] for name in names}
        hooks = [
            layers[name].register_forward_pre_hook(lambda _, given, kept=inputs[name]: kept.append(given[0][0]))
            for name in names
        ]
        for row in rows:
            model(torch.tensor([row]))
        for hook in hooks:
            hook.remove()
        for name in names:
            weight = layers[name].weight
            scores = weight.abs().float() * torch.cat(inputs[name]).float().norm(dim=0)
            smallest = scores.argsort(dim=1)[:, : round(amount * weight.shape[1])]
            weight.scatter_(1, smallest, 0)
    return layers


@pytest.mark.parametrize("amount", [0.3, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_zeros_are_those_of_the_paper(checkpoint, dtype, amount):
    expected = by_the_paper(loaded(checkpoint, dtype=dtype).model, ROWS, amount)
    model = loaded(checkpoint, ROWS, dtype, pruning=VALUE | {"amount": amount}).model
    for name, layer in linear_layers(model).items():
        same = (layer.weight == expected[name].weight).float().mean()
        # In bfloat16 scores are often equal, and either of them may go.
        assert same == 1.0 if dtype == torch.float32 else same > 0.995


def test_each_output_row_loses_the_same_share(checkpoint):
    model = loaded(checkpoint, ROWS, pruning=VALUE | {"amount": 0.3}).model
    for layer in linear_layers(model).values():
        assert set((layer.weight == 0).sum(dim=1).tolist()) == {round(0.3 * layer.in_features)}


def test_all_but_linear_layers_is_as_it_was(checkpoint):
    whole, model = loaded(checkpoint).model, loaded(checkpoint, ROWS, pruning=VALUE).model
    linear = {f"{name}.weight" for name in linear_layers(model)}
    assert list(model.state_dict()) == list(whole.state_dict())
    for name, weight in model.state_dict().items():
        kept = weight != 0 if name in linear else torch.ones_like(weight, dtype=torch.bool)
        assert torch.equal(weight[kept], whole.state_dict()[name][kept])


def test_what_the_rows_say_decides(checkpoint):
    one = loaded(checkpoint, ROWS, pruning=VALUE).model.state_dict()
    other = loaded(checkpoint, [[7] * 30] * 4, pruning=VALUE).model.state_dict()
    name = "model.layers.0.mlp.down_proj.weight"
    assert not torch.equal(one[name] == 0, other[name] == 0)


def test_only_as_many_rows_as_were_asked_for_count(checkpoint):
    two = VALUE | {"calibration": 2}
    few = loaded(checkpoint, ROWS[:2], pruning=two)
    many = loaded(checkpoint, [ROWS[0], [], *ROWS[1:]], pruning=two)  # an empty row is none
    for name, weight in few.model.state_dict().items():
        assert torch.equal(weight, many.model.state_dict()[name])
    assert few.notes["pruning"]["tokens"] == 27


@pytest.mark.parametrize("rows", [None, [], ROWS[:3], [*ROWS[:3], []]])
def test_too_few_rows_are_unsupported(checkpoint, rows):
    with pytest.raises(UnsupportedError, match=r"needs 4 training rows for its calibration, but got [03]; lower"):
        loaded(checkpoint, rows, pruning=VALUE)


def test_ties_and_parts_do_not_change_how_many_are_zeroed(monkeypatch):
    weight = torch.ones(6, 10)
    monkeypatch.setattr(wanda, "_PART", 25)  # two rows at a time
    wanda.prune_rows(weight, torch.ones(10), 0.34)
    assert weight.tolist() == [[0.0] * 3 + [1.0] * 7] * 6


def test_evidence_names_the_rows_and_the_order(checkpoint, evaluation_set, greedy):
    run = run_worker(checkpoint, evaluation_set, {"pruning": TOLD}, calibration=TEXTS)
    facts = run.evidence["pruning"]
    assert (facts["method"], facts["sparsity"], facts["calibration_rows"]) == ("wanda", 0.5, 3)
    assert facts["calibration_tokens"] > 60
    assert facts["criterion"]["groups"] == 2 * (128 + 64 + 64 + 128 + 128 + 128 + 128)
    assert facts["criterion"]["smallest_margin"] >= 0
    assert set(facts["layer_sparsity"].values()) == {0.5}
    # Zeros in dense tensors save nothing.
    assert run.outcome["memory"]["weight_bytes"] == greedy.outcome["memory"]["weight_bytes"]


@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_pruned_weights_stay_zero_when_they_are_quantised(checkpoint, method):
    pruned = linear_layers(loaded(checkpoint, ROWS, pruning=VALUE).model)
    packed = linear_layers(loaded(checkpoint, ROWS, pruning=VALUE, quantization=method).model)
    for name, layer in packed.items():
        assert not stored_weight(layer).reshape(pruned[name].weight.shape)[pruned[name].weight == 0].any()


def test_it_damages_less_than_magnitude_where_inputs_differ_in_size(tmp_path):
    """What the method is for: features with large inputs keep their weights."""
    checkpoint = make_checkpoint(tmp_path / "model")
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith("layernorm.weight"):
            weight[:16] *= 20  # outlier features
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    ids = torch.tensor([ROWS[2]])
    whole = loaded(checkpoint).model(ids).logits

    def damage(rows=None, **pruning):
        return float((loaded(checkpoint, rows, pruning=pruning).model(ids).logits - whole).norm())

    assert damage(ROWS, **VALUE) < 0.8 * damage(method="magnitude", amount=0.5, scope="layer")


@pytest.fixture(scope="module")
def groups(checkpoint, evaluation_set, tmp_path_factory):
    ways = {"tensor": {"parallel": {"tensor": 2}}, "pipeline": {"parallel": {"pipeline": 2}}}
    requests = {
        name: request(checkpoint, evaluation_set, way | {"pruning": TOLD}, processes=2, calibration=TEXTS)
        for name, way in ways.items()
    }
    return run_group(requests, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("way", ["tensor", "pipeline"])
def test_two_processes_prune_what_one_does(checkpoint, evaluation_set, groups, way):
    single = run_worker(checkpoint, evaluation_set, {"pruning": TOLD}, calibration=TEXTS)
    assert groups[way][0].tokens == single.tokens
    for run in groups[way]:
        assert run.evidence["pruning"]["sparsity"] == 0.5
        assert run.evidence["pruning"]["linear_weights"] == 196608


def test_a_model_that_is_not_a_run_of_blocks_is_unsupported(checkpoint, monkeypatch):
    monkeypatch.setattr(wanda, "_linear", lambda block: iter(()))
    with pytest.raises(UnsupportedError, match="layers one after another; the 'llama' model is built otherwise"):
        loaded(checkpoint, ROWS, pruning=VALUE)


def test_a_checkpoint_that_lacks_an_embedding_is_named(tmp_path):
    from safetensors.torch import load_file, save_file

    checkpoint = make_checkpoint(tmp_path / "model")
    weights = load_file(checkpoint / "model.safetensors")
    del weights["model.embed_tokens.weight"]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StudyError, match=r"lacks 1 weights, embed_tokens\.weight among them"):
        loaded(checkpoint, ROWS, pruning=VALUE)


def test_calibration_rows_are_counted_by_the_facet():
    assert FACET.calibration_rows(FACET.resolve({"method": "wanda", "calibration": 5})) == 5
