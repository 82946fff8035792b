import pytest
import torch

from scripts.hardware import sizes
from scripts.inference.architecture import of_checkpoint
from scripts.inference.loading import load
from scripts.runtime.models import Process
from scripts.runtime.tensors import module_bytes
from scripts.techniques.costs import costs_of
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import settings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkpoints")
    return {
        "plain": make_checkpoint(root / "plain"),
        "tied": make_checkpoint(root / "tied", tied=True, layers=3),
        "bias": make_checkpoint(root / "bias", bias=True),
        "one_group": make_checkpoint(root / "one_group", kv_heads=1, intermediate=320),
    }


def loaded(directory, dtype, **facets):
    return load(directory, settings(**facets), Process(CPU, getattr(torch, dtype)), None).model


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["plain", "tied", "bias", "one_group"])
def test_plain_weights_are_computed_to_the_byte(checkpoints, name, dtype):
    shape = of_checkpoint(checkpoints[name])
    assert sizes.weight_bytes(shape, costs_of(settings()), dtype) == module_bytes(loaded(checkpoints[name], dtype))


@pytest.mark.parametrize(
    "quantization",
    ["int8", "nf4", {"method": "nf4", "double_quantization": True}, "int8_weight_only", "fp8"],
    ids=["int8", "nf4", "nf4_double", "int8_weight_only", "fp8"],
)
@pytest.mark.parametrize("name", ["plain", "tied", "one_group"])
def test_quantised_weights_with_their_scales_are_computed_to_the_byte(checkpoints, name, quantization):
    shape, facets = of_checkpoint(checkpoints[name]), {"quantization": quantization}
    model = loaded(checkpoints[name], "float32", **facets)
    assert sizes.weight_bytes(shape, costs_of(settings(**facets)), "float32") == module_bytes(model)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["plain", "bias"])
def test_groups_of_four_bits_have_scales_and_minima_of_the_models_type(checkpoints, name, dtype):
    shape, facets = of_checkpoint(checkpoints[name]), settings(quantization="int4_weight_only")
    model = loaded(checkpoints[name], dtype, quantization="int4_weight_only")
    assert sizes.weight_bytes(shape, costs_of(facets), dtype) == module_bytes(model)


@pytest.mark.parametrize("double", [False, True])
def test_after_their_first_use_too(checkpoints, double):
    shape = of_checkpoint(checkpoints["plain"])
    facets = {"quantization": {"method": "nf4", "double_quantization": double}}
    model = loaded(checkpoints["plain"], "float32", **facets)
    model(torch.tensor([[5, 6, 7]]))
    state = model.model.layers[0].mlp.up_proj.weight.quant_state
    repacked = bool(getattr(state, "packing_format_for_cpu", False))
    assert sizes.weight_bytes(shape, costs_of(settings(**facets)), "float32", repacked=repacked) == module_bytes(model)


@pytest.mark.parametrize("amount", [0.25, 0.5])
def test_structured_pruning_makes_the_feed_forward_narrower(checkpoints, amount):
    shape, facets = (
        of_checkpoint(checkpoints["one_group"]),
        {"pruning": {"method": "structured", "amount": amount}},
    )
    model = loaded(checkpoints["one_group"], "float32", **facets)
    assert model.model.layers[0].mlp.up_proj.out_features < 320
    assert sizes.weight_bytes(shape, costs_of(settings(**facets)), "float32") == module_bytes(model)


def test_zeros_take_the_bytes_of_any_other_number(checkpoints):
    shape = of_checkpoint(checkpoints["plain"])
    pruned = settings(pruning={"method": "magnitude", "amount": 0.5})
    assert sizes.weight_bytes(shape, costs_of(pruned), "float32") == sizes.weight_bytes(
        shape, costs_of(settings()), "float32"
    )


def test_a_draft_is_held_beside_its_target(checkpoints):
    target, draft = of_checkpoint(checkpoints["plain"]), of_checkpoint(checkpoints["tied"])
    both = sizes.weight_bytes(target, costs_of(settings(quantization="int8")), "float32", draft)
    alone = sizes.weight_bytes(target, costs_of(settings(quantization="int8")), "float32")
    assert both - alone == module_bytes(loaded(checkpoints["tied"], "float32"))


LLAMA_8B = {
    "layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8, "head_dim": 128, "intermediate": 14336,
    "vocabulary": 128256, "tied_embeddings": False,
}  # fmt: skip


def test_a_known_model_has_its_known_size():
    # meta-llama/Llama-3.1-8B: 8,030,261,248 parameters.
    assert sizes.weight_bytes(LLAMA_8B, costs_of({}), "bfloat16") == pytest.approx(2 * 8_030_261_248, rel=1e-6)
    # 128 KiB a token, as its model card's grouped-query attention gives.
    assert sizes.kv_cache_bytes(LLAMA_8B, costs_of({"kv_cache": "dynamic"}), "bfloat16", 1000) == 1000 * 128 * 1024


@pytest.mark.parametrize("name", ["plain", "tied"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_cache_is_computed_to_the_byte(checkpoints, name, dtype):
    model = loaded(checkpoints[name], dtype)
    output = model.generate(
        input_ids=torch.randint(5, 300, (3, 17)), attention_mask=torch.ones(3, 17, dtype=torch.int64),
        max_new_tokens=6, min_new_tokens=6, do_sample=False, return_dict_in_generate=True,
    )  # fmt: skip
    layers = output.past_key_values.layers
    held = sum(tensor.nbytes for layer in layers for tensor in (layer.keys, layer.values))
    positions = layers[0].keys.shape[0] * layers[0].keys.shape[2]
    assert positions == 3 * (17 + 5)
    assert sizes.kv_cache_bytes(of_checkpoint(checkpoints[name]), costs_of(settings()), dtype, positions) == held


def test_without_a_cache_nothing_is_kept(checkpoints):
    shape = of_checkpoint(checkpoints["plain"])
    assert sizes.kv_cache_bytes(shape, costs_of(settings(kv_cache="none")), "float32", 100) == 0


# What two ranks of this very checkpoint (4 layers, tied or not) were seen to hold: norms and rotary frequencies on both
# shards; embedding on the first stage, last norm and head on the last, a tied matrix therefore on both.
SEEN = [
    ("tensor", None, False, [955008, 955008]),
    ("tensor", "int8", False, [373376, 373376]),
    ("tensor", "nf4", False, [280960, 280960]),
    ("tensor", None, True, [873088, 873088]),
    ("pipeline", None, False, [952448, 952960]),
    ("pipeline", None, True, [952448, 952960]),
    ("pipeline", "int8", True, [368768, 369280]),
    ("pipeline", "nf4", True, [277504, 278016]),
]


@pytest.mark.parametrize(("kind", "quantization", "tied", "held"), SEEN)
def test_each_rank_of_a_group_holds_its_share(kind, quantization, tied, held):
    shape = {
        "layers": 4, "hidden": 128, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 128, "vocabulary": 320,
        "tied_embeddings": tied,
    }  # fmt: skip
    facets = settings(parallel={kind: 2}, **({"quantization": quantization} if quantization else {}))
    assert sizes.weight_bytes_per_device(shape, costs_of(facets), "float32") == held


def test_the_last_stage_takes_the_layers_that_are_left_over():
    first, last = sizes.weight_bytes_per_device(
        LLAMA_8B | {"layers": 5}, costs_of({"parallel": {"pipeline": 2}}), "bfloat16"
    )
    layer = 2 * (4096 * (2 * 4096 + 2 * 1024 + 3 * 14336) + 2 * 4096)
    assert last - first == layer + 4096 * 2
