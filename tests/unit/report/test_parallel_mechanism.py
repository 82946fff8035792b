from typing import Any

from scripts.report import words_facets
from scripts.report.mechanisms import FASTER, mechanism

PARENT = {"label": "One GPU", "processes": 1}


def technique(rank: dict[str, Any], speedup: float, **settings: Any) -> dict[str, Any]:
    return {
        "difference": ["parallel"], "processes": 2, "settings": settings, "measured_speedup": {"value": speedup},
        "figures": {"throughput_samples_per_s": {"value": 88.0}}, "evidence": {"parallel": {"ranks": [rank, rank]}},
    }  # fmt: skip


def test_sums_and_scaling_of_tensor_parallelism():
    rank = {"collectives": {"one_shot_allreduce": 1040}, "communication_share": 0.21}
    found = mechanism(technique(rank, 1.4, parallel={"tensor": 2, "pipeline": 1}), PARENT, {})
    assert found.work == (
        "rank 0 made 1,040 collective calls in the observed batch, 21.0% of a decode step; "
        "44.0 samples a second a device, a scaling efficiency of 70.0%"
    )


def test_a_pipeline_is_what_was_seen_in_flight():
    settings = {"parallel": {"tensor": 1, "pipeline": 2}, "engine": {"name": "graph"}, "batch_size": 64}
    full = mechanism(technique({"micro_batches_in_flight": 2}, 1.8, **settings), PARENT, {})
    assert full.text.endswith("which work on 2 micro-batches at the same time")
    assert (full.work.split(", ")[1], full.expected) == ("a scaling efficiency of 90.0%", FASTER)
    turns = mechanism(technique({"micro_batches_in_flight": 1}, 0.9, **settings), PARENT, {})
    assert "take turns" in turns.text


def test_a_pipeline_of_single_requests_is_explained_as_layer_sharding():
    settings = {"parallel": {"pipeline": 2}, "engine": {"name": "graph"}}
    assert "take turns" in words_facets.facet_sentences("parallel", settings)[0]
    assert "micro-batches" in words_facets.facet_sentences("parallel", settings | {"batch_size": 8})[0]
