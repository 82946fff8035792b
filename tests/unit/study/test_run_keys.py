"""Which of all techniques an edit of a file makes stale, read from the digests of their code."""

import functools

import pytest

from scripts.metrics import families
from scripts.study import configuration, layers, sources
from scripts.study.plan import Plan


@functools.cache
def plan() -> Plan:
    config = layers.read([], ["select=[]"], False).config
    return Plan(config, {technique.name: technique for technique in configuration.check(config)}, [])


@functools.cache
def codes() -> dict[str, set[str]]:
    """By technique, the files that its runs depend on, without those of the reference that takes turns with it."""
    return {
        name: set(sources.digests("scripts.generate", "scripts.inference.worker", *technique.code_modules))
        for name, technique in plan().techniques.items()
    }


def using(*facets: str, **values: str) -> set[str]:
    """Techniques that have one of those facets on, or one of those methods of a facet."""
    found = set()
    for name, technique in plan().techniques.items():
        settings = technique.settings
        drafted = (settings.get("speculation") or {}).get("draft_quantization")
        for facet, value in [*settings.items(), *([("quantization", drafted)] if drafted else [])]:
            method = (value.get("method") or value.get("name")) if isinstance(value, dict) else None
            if facet in facets or (facet in values and method == values[facet]):
                found.add(name)
    return found


ALL = "all"
EDITS = {
    "inference/timed_loop.py": ALL, "inference/loading.py": ALL, "inference/memory.py": ALL, "generate.py": ALL,
    "runtime/generation.py": ALL, "techniques/registry.py": ALL, "techniques/kv_cache/facet.py": ALL,
    "techniques/batch_size/facet.py": ["batch_size"], "techniques/parallel/facet.py": ["parallel"],
    "techniques/speculation/facet.py": ["speculation"], "techniques/prompt_tokens/facet.py": ["prompt_tokens"],
    "techniques/pruning/facet.py": ["pruning"], "techniques/pruning/base.py": ["pruning"],
    "techniques/quantization/facet.py": ["quantization"], "techniques/engine/base.py": ["engine"],
}  # fmt: skip


def edited(path: str) -> set[str]:
    return {name for name, code in codes().items() if f"scripts/{path}" in code}


@pytest.mark.parametrize("path", EDITS)
def test_an_edit_reruns_the_techniques_that_use_the_facet(path):
    facets = EDITS[path]
    assert edited(path) == (set(codes()) if facets == ALL else using(*facets)), path


@pytest.mark.parametrize("method", ["magnitude", "wanda", "structured"])
def test_an_edit_of_one_pruning_method_reruns_no_other(method):
    assert edited(f"techniques/pruning/{method}/method.py") == using(pruning=method) != set()


@pytest.mark.parametrize("method", ["int8", "nf4", "int8_weight_only", "int4_weight_only", "fp8"])
def test_an_edit_of_one_quantization_method_reruns_no_other(method):
    assert edited(f"techniques/quantization/{method}/method.py") == using(quantization=method)


@pytest.mark.parametrize("path", ["engine/session.py", "engine/decoder.py", "techniques/engine/graph/method.py"])
def test_an_edit_of_the_decode_loop_reruns_no_technique_of_transformers(path):
    assert edited(path) == using(engine="graph") != set()


def test_an_edit_of_continuous_batching_reruns_what_is_batched_so():
    assert edited("techniques/engine/transformers_continuous/loop.py") == {"continuous_batch"}


def test_an_edit_of_a_kernel_reruns_what_multiplies_by_it():
    by_kernels = using(engine="graph") | set().union(
        *(using(quantization=method) for method in ("int8_weight_only", "int4_weight_only", "fp8"))
    )
    assert edited("kernels/triton_ops.py") == by_kernels
    assert "nf4" not in by_kernels


def test_costs_words_and_figures_rerun_no_technique():
    every = set().union(*codes().values())
    assert not [path for path in every if path.startswith(("scripts/metrics/", "scripts/report/"))]
    assert not [path for path in every if path.endswith(("/cost.py", "/costs.py", ".yaml"))]
    assert "scripts/hardware/sizes.py" not in every


def test_the_reference_is_part_of_each_run():
    nf4 = plan().techniques["nf4"]
    assert {"scripts.inference.reference_worker", *plan().reference.code_modules} <= set(plan().run_modules(nf4))


@pytest.mark.parametrize(
    ("path", "techniques"),
    [
        ("techniques/quantization/nf4/cost.py", lambda: using(quantization="nf4")),
        ("techniques/pruning/structured/cost.py", lambda: using(pruning="structured")),
        ("techniques/parallel/cost.py", lambda: using("parallel")),
        ("hardware/sizes.py", lambda: set(codes())),
    ],
)
def test_an_edit_of_a_cost_computes_the_figures_of_its_techniques_again(path, techniques):
    scored = {
        name for name, each in plan().techniques.items()
        if f"scripts/{path}" in sources.digests(*plan().score_modules(each))
    }  # fmt: skip
    assert scored == techniques() != set()
    assert families.modules()  # what is computed is part of the key too
