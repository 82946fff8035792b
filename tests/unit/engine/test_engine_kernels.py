"""The whole decode loop with a GPU's kernels: on a GPU as they are, on a CPU interpreted."""

import copy

import pytest
import torch
from transformers import LlamaForCausalLM

import tests.support.triton_device
from scripts.engine import decoder, slots
from scripts.engine.continuous import GraphBatching
from scripts.engine.engine import GraphEngine
from scripts.engine.speculation import SpeculativeEngine
from scripts.kernels import triton_ops
from scripts.runtime.models import Loaded, Process
from scripts.runtime.serving import Request
from scripts.techniques.registry import load_facet
from tests.support import families
from tests.support.tiny_checkpoint import make_checkpoint

PROMPTS, NEW = [[9, 4, 30, 7], [9, 4, 251]], 3
DRAFTS, LOOKS_UP = {"draft": "draft", "tokens": 2}, {"prompt_lookup": 3}
DRAFTS_INT4 = DRAFTS | {"draft_quantization": {"method": "int4_weight_only"}}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "one", layers=1)
    return LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


def written(model, device, quantization=None, speculation=None, shared_prefix=False, rows=1, kv_cache=None):
    """What the loop writes after the prompts, and what it proposes and accepts in each round."""
    process = Process(torch.device(device), torch.float32)
    facets = {"kv_cache": {"dtype": kv_cache} if kv_cache else "dynamic"}
    loaded = Loaded(copy.deepcopy(model).to(device), process, facets, draft=copy.deepcopy(model).to(device))
    if quantization is not None:
        load_facet("quantization").after_load({"method": quantization}, loaded)
    if "draft_quantization" in (speculation or {}):
        load_facet("quantization").after_load(speculation["draft_quantization"], Loaded(loaded.draft, process, {}))
    options = {"shared_prefix": shared_prefix, "pad": 2}
    engine = SpeculativeEngine(loaded, speculation, **options) if speculation else GraphEngine(loaded, **options)
    batches = [PROMPTS[first : first + rows] for first in range(0, len(PROMPTS), rows)]
    engine.reserve(batches, NEW)
    engine.limit(NEW, [])
    return [(engine.generate(batch).tokens, kept(engine.rounds()) if speculation else []) for batch in batches]


def kept(rounds):
    """Those before the end; how many are run beyond it depends on when the host looks."""
    found, out = [], 1
    for proposed, accepted in rounds:
        if out < NEW:
            found.append((proposed, accepted))
        out += accepted + 1
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rows": 2},
        {"shared_prefix": True},
        {"quantization": "int8_weight_only"},
        {"quantization": "int4_weight_only"},
        {"speculation": DRAFTS},
        {"speculation": DRAFTS_INT4},
        {"speculation": LOOKS_UP},
        {"kv_cache": "int8", "rows": 2},
        {"kv_cache": "fp8", "rows": 2},
        {"kv_cache": "fp8", "shared_prefix": True},
        {"kv_cache": "fp8", "speculation": LOOKS_UP},
    ],
    ids=str,
)
def test_the_kernels_write_the_tokens_of_plain_torch(model, options, monkeypatch):
    expected = written(model, "cpu", **options)
    monkeypatch.setattr(decoder, "operations", lambda device: triton_ops)
    assert written(model, tests.support.triton_device.DEVICE, **options) == expected


OWN_PARTS = [(name, way) for name in ("qwen3", "gemma2", "phi4") for way in ({"rows": 2}, {"speculation": LOOKS_UP})]


@pytest.mark.parametrize(("name", "options"), [*OWN_PARTS, ("gemma2", {"rows": 2, "kv_cache": "int8"})], ids=str)
def test_the_kernels_run_layers_with_parts_of_their_own(name, options, monkeypatch):
    layer_types = ["sliding_attention"] if name == "gemma2" else None
    model = families.model_of(name, num_hidden_layers=1, layer_types=layer_types, sliding_window=3)
    expected = written(model, "cpu", **options)
    monkeypatch.setattr(decoder, "operations", lambda device: triton_ops)
    assert written(model, tests.support.triton_device.DEVICE, **options) == expected


def served(model, device, kv_cache=None):
    """What requests that join and leave are answered."""
    facets = {"kv_cache": {"dtype": kv_cache} if kv_cache else "dynamic"}
    loaded = Loaded(copy.deepcopy(model).to(device), Process(torch.device(device), torch.float32), facets)
    engine = GraphBatching(loaded, pad=2, slots=2, prefill_tokens=16)
    engine.reserve(16)
    written = {}
    for number, prompt in enumerate(PROMPTS):
        engine.submit(Request(number, prompt, NEW - number % 2))
    for events in engine.run():
        for key, token, _ in events:
            written.setdefault(key, []).append(token)
    return written, engine.counts.mixed_steps


@pytest.mark.parametrize("kv_cache", [None, "int8", "fp8"])
def test_the_kernels_answer_requests_that_join_and_leave(model, monkeypatch, kv_cache):
    expected, mixed = served(model, "cpu", kv_cache)
    assert expected[0] == written(model, "cpu", kv_cache=kv_cache)[0][0][0]
    assert mixed, "prompts were read beside requests under way"
    monkeypatch.setattr(decoder, "operations", lambda device: triton_ops)
    monkeypatch.setattr(slots, "captures", lambda device: True)
    assert served(model, tests.support.triton_device.DEVICE, kv_cache) == (expected, mixed)
