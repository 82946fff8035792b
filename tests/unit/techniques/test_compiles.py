"""Nothing is compiled or recorded while a technique is timed, or the row has no figures."""

import sys
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch

from scripts.foundation import files
from scripts.runtime import compiles
from scripts.runtime.errors import EvidenceError
from scripts.techniques.registry import load_facet
from tests.support.sabotage import applied
from tests.support.tiny_checkpoint import SUMMARIES
from tests.support.worker_runs import run_worker

STATIC = {"engine": "transformers_static"}
FIXED = {"new_tokens": 14, "samples": 2}
NOTHING = dict.fromkeys(compiles.KINDS, 0)


@pytest.fixture
def rising(tmp_path):
    """Prompts of which each is longer than those before it, so that a warm-up with the first ones sees the shortest."""
    summaries = sorted(SUMMARIES, key=len)
    rows = [{"id": f"{n:016x}", "summary": text, "headline": "A"} for n, text in enumerate(summaries)]
    files.write_json_lines(tmp_path / "rising.jsonl", rows)
    return tmp_path / "rising.jsonl"


@pytest.fixture
def compiling():
    """transformers compiles its decode step on a CPU too, with a backend that runs the graph as it is."""
    from transformers import CompileConfig

    engine = type(load_facet("engine"))
    original = engine.generation_options
    config = CompileConfig(backend="eager", mode=None, fullgraph=False)
    config._compile_all_devices = True
    torch._dynamo.reset()

    def compiled(self, value, loaded):
        return original(self, value, loaded) | {"compile_config": config}

    with patch.object(engine, "generation_options", compiled):
        yield
    torch._dynamo.reset()


def test_a_longer_prompt_is_compiled_for_before_it_is_timed(checkpoint, rising, compiling):
    before = compiles.compiled_graphs()
    run = run_worker(checkpoint, rising, STATIC, fixed=FIXED)
    facts = run.evidence["engine"]
    assert facts["compiled_graphs"] > before
    assert run.outcome["compiled_while_timed"] == {"natural": NOTHING, "fixed": NOTHING}
    # The longest prompt with the most tokens of either mode.
    assert facts["cache_positions"] == max(sample["prompt_tokens"] for sample in run.samples) + 14
    assert run.outcome["memory"]["kv_cache_positions"] == facts["cache_positions"]
    assert facts["caches"] == 1


def test_a_last_batch_of_fewer_requests_is_compiled_for_too(checkpoint, rising, compiling):
    run = run_worker(checkpoint, rising, STATIC | {"batch_size": 2})
    assert run.outcome["status"] == "ok", run.outcome["reason"]
    assert run.outcome["compiled_while_timed"] == {"natural": NOTHING}
    # One of two requests and one of a single one, each taken up again.
    assert run.evidence["engine"]["caches"] == 2


def test_a_row_that_was_compiled_for_while_it_was_timed_is_invalid(checkpoint, rising, compiling):
    with applied(["static_cache_grows", "unproved:engine"]):
        run = run_worker(checkpoint, rising, STATIC)
    assert run.outcome["status"] == "invalid"
    assert run.outcome["reason"].startswith(
        "Compiled or recorded while the natural mode was timed: graphs by torch.compile ("
    )


@pytest.mark.parametrize("facets", [{}, {"engine": "graph"}, {"engine": "transformers_continuous", "batch_size": 3}])
def test_it_is_so_for_every_engine(checkpoint, rising, facets):
    batches = 1 if "batch_size" in facets else 3
    with applied(["compiled_while_timed"]):
        run = run_worker(checkpoint, rising, facets, fixed=FIXED)
    assert run.outcome["status"] == "invalid"
    assert run.outcome["reason"] == (
        f"Compiled or recorded while the natural mode was timed: graphs by torch.compile ({batches}). "
        "Its times are not those of generating alone."
    )
    assert run_worker(checkpoint, rising, facets).outcome["compiled_while_timed"] == {"natural": NOTHING}


def test_kernels_and_recordings_are_counted_and_hooks_taken_back(monkeypatch):
    told = []
    runtime = SimpleNamespace(jit_post_compile_hook=lambda **kernel: told.append(kernel))
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(knobs=SimpleNamespace(runtime=runtime)))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", type("Graph", (), {"capture_begin": lambda self, pool: pool}))
    before = runtime.jit_post_compile_hook, torch.cuda.CUDAGraph.capture_begin
    with compiles.watched() as found:
        runtime.jit_post_compile_hook(key="a")
        runtime.jit_post_compile_hook(key="b")
        assert torch.cuda.CUDAGraph().capture_begin(pool=3) == 3
    assert found == {"torch_compile": 0, "triton": 2, "cuda_graphs": 1}
    assert told == [{"key": "a"}, {"key": "b"}]
    assert (runtime.jit_post_compile_hook, torch.cuda.CUDAGraph.capture_begin) == before
    with pytest.raises(EvidenceError, match=r"the fixed mode was timed: kernels by Triton \(2\), CUDA graphs \(1\)\."):
        compiles.refuse({"natural": NOTHING, "fixed": found})


@pytest.mark.parametrize("hook", ["compiled_hook", None])
def test_other_versions_of_triton_are_watched_where_they_can_be(monkeypatch, hook):
    function = type("JITFunction", (), {hook: None} if hook else {})
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(JITFunction=function))
    with compiles.watched() as found:
        if hook:
            function.compiled_hook(key="a")
    assert found["triton"] == (1 if hook else 0)


def test_this_version_of_triton_has_the_hook():
    pytest.importorskip("triton", reason="there is no Triton for this platform")
    holder, name = compiles._triton_hook()
    assert hasattr(holder, name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_what_a_gpu_compiles_and_records_is_counted():
    import triton
    import triton.language as tl

    @triton.jit
    def add_one(x, n: tl.constexpr):
        at = tl.arange(0, n)
        tl.store(x + at, tl.load(x + at) + 1)

    x = torch.zeros(64, device="cuda")
    with compiles.watched() as found:
        add_one[(1,)](x, 32)
        add_one[(1,)](x, 32)
        add_one[(1,)](x, 64)
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            x.add_(1)
    assert found == {"torch_compile": 0, "triton": 2, "cuda_graphs": 1}
    with compiles.watched() as found:
        add_one[(1,)](x, 32)
    assert found == NOTHING
