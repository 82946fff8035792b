"""Head widths that are no power of two, on an NVIDIA GPU: what the interpreter can't say of compiled kernels."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from scripts.engine.engine import GraphEngine
from scripts.engine.speculation import SpeculativeEngine
from scripts.runtime.models import Loaded, Process

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU; there is none here"),
]
NEW = 24
LENGTHS = (9, 40, 700, 17, 33)
PROMPTS = [[7, 8, 9, *(5 + (7 * place + 3 * length) % 480 for place in range(length))] for length in LENGTHS]
# Eight heads, two of them for keys and values; of each width.
WIDTHS = [8, 16, 24, 64, 80, 96, 112, 128, 192, 256]


def model_of(width, config_class=LlamaConfig, **options):
    shape = {
        "vocab_size": 499, "hidden_size": 8 * width, "intermediate_size": 6 * width, "num_hidden_layers": 2,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": width, "max_position_embeddings": 1024,
        # Wide enough for logits that rounding can't reorder.
        "initializer_range": 1.7 / (8 * width) ** 0.5, "pad_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(width)
    config = config_class(**shape | options)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval().to("cuda")


def by_transformers(model):
    found = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt], device="cuda")
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False,
            eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        found.append(out[0, len(prompt) :].tolist())
    return found


def by_engine(model, rows=1, shared_prefix=False, speculation=None):
    model = copy.deepcopy(model)  # fusing changes where its weights lie
    loaded = Loaded(model, Process(torch.device("cuda", 0), model.dtype), {})
    options = {"shared_prefix": shared_prefix, "pad": 0}
    engine = SpeculativeEngine(loaded, speculation, **options) if speculation else GraphEngine(loaded, **options)
    batches = [PROMPTS[first : first + rows] for first in range(0, len(PROMPTS), rows)]
    engine.reserve(batches, NEW)
    engine.limit(NEW, [])
    tokens = [row[:NEW] for batch in batches for row in engine.generate(batch).tokens]
    assert engine.facts()["device_graphs"] > 1
    return tokens


WAYS = [{}, {"rows": 5}, {"shared_prefix": True}, {"speculation": {"prompt_lookup": 4}}]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_graph_engine_writes_the_tokens_of_transformers(width):
    model = model_of(width)
    expected = by_transformers(model)
    for way in WAYS:
        assert by_engine(model, **way) == expected, way


def test_seven_query_heads_a_key_value_head_and_odd_sizes():
    options = {
        "hidden_size": 448, "num_attention_heads": 14, "head_dim": 32, "intermediate_size": 333, "vocab_size": 501,
    }  # fmt: skip
    model = model_of(32, Qwen2Config, **options)
    expected = by_transformers(model)
    for way in WAYS:
        assert by_engine(model, **way) == expected, way


@pytest.mark.parametrize("width", [80, 96, 112, 192])
@pytest.mark.parametrize("rows", [1, 5])
def test_sixteen_bits_run_too(width, rows):
    """Rounding decides more there, and texts part; under a fault hardly a token would be the same."""
    model = model_of(width).bfloat16()
    pairs = zip(by_engine(model, rows=rows), by_transformers(model), strict=True)
    same = sum(sum(mine == other for mine, other in zip(*pair, strict=True)) for pair in pairs)
    assert same > 0.25 * NEW * len(PROMPTS)


@pytest.mark.parametrize("new", [1, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("width", [192, 256])
def test_wide_heads_fit_a_multiprocessor(width, dtype, new):
    """As many new tokens as it takes, of as many query heads a key-value head as models have."""
    from scripts.kernels import reference, triton_attention
    from scripts.kernels.reference import Heads, Rope

    heads = Heads(8, 1, width)
    torch.manual_seed(0)
    with torch.device("cuda"):
        keys, values = torch.randn(2, 1, 1, 1024, width).to(dtype)
        halves = torch.randn(2, 1024, width // 2)
        rope = Rope(halves[0].repeat(1, 2), halves[1].repeat(1, 2))
        qkv = torch.randn(new, 10 * width).to(dtype)
        positions = torch.tensor([900], dtype=torch.int32)
        expected = reference.decode_attention(qkv, keys.clone(), values.clone(), positions, heads, rope).float()
        found = triton_attention.decode_attention(qkv, keys, values, positions, heads, rope).float()
    assert (found - expected).norm() / expected.norm() < (1e-5 if dtype == torch.float32 else 2e-2)
