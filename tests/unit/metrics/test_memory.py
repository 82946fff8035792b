import copy
import json

import pytest

from scripts.foundation.errors import StudyError
from scripts.hardware import fit, sizes
from scripts.metrics import memory
from scripts.metrics.families.memory import FIGURES, compute
from scripts.metrics.recorded import Recorded
from scripts.techniques.costs import costs_of
from tests.support.analytic_runs import GB, KV, ROTARY, SHAPE, WEIGHTS, device, make_run

FULL = WEIGHTS + ROTARY


def memory_figures(runs):
    return compute(Recorded(runs))


def value(figures, key):
    return figures[key]["value"]


def against_shape(runs):
    return {key: found for key, found in memory.check(runs).items() if key != "unexplained_share"}


def test_the_peak_is_taken_apart():
    run = make_run(devices=[device(before_load_bytes=7, peak_bytes=FULL + 110 * KV + GB)])
    figures = memory_figures([run])
    assert value(figures, "base_memory_bytes") == 7
    assert value(figures, "weight_bytes") == FULL
    assert value(figures, "kv_cache_bytes") == 110 * KV
    assert value(figures, "activation_bytes") == GB
    assert value(figures, "peak_memory_bytes") == FULL + 110 * KV + GB
    assert {key: figure["unit"] for key, figure in figures.items()} == {entry.key: entry.unit for entry in FIGURES}


def resident(**changes):
    """A process on a CPU: 1 GB before loading, weights mapped from their file, a cache, and 1 GB of activations."""
    values = {
        "device": "cpu process 0", "before_load_bytes": GB, "peak_bytes": FULL + 110 * KV + GB, "library_bytes": 0,
        "stale_file_bytes": 0, "unread_weight_bytes": 0, "held_bytes": FULL,
    } | changes  # fmt: skip
    added = ("before_load_bytes", "peak_bytes", "library_bytes", "stale_file_bytes")
    process = sum(values[key] for key in added) - values["unread_weight_bytes"]
    return device(**({"process_peak_bytes": process} | values))


def on_cpu(**changes):
    return make_run(devices=[resident(**changes)], method="resident_set")


def test_libraries_that_a_technique_imports_cost_it_nothing():
    """They stand in the whole process, before loading or later, and not in what is scored."""
    plain, heavy = on_cpu(), on_cpu(before_load_bytes=2 * GB, library_bytes=GB // 4)
    few, many = (memory_figures([run]) for run in (plain, heavy))
    assert value(few, "peak_memory_bytes") == value(many, "peak_memory_bytes")
    assert value(many, "process_memory_bytes") - value(few, "process_memory_bytes") == GB + GB // 4
    assert value(many, "base_memory_bytes") == 2 * GB
    assert value(many, "outside_bytes") == GB // 4
    assert memory.unexplained([heavy]) == 0


def test_pages_of_a_checkpoint_that_nothing_needs_are_told_apart():
    run = on_cpu(stale_file_bytes=GB, unread_weight_bytes=GB // 2)
    figures = memory_figures([run])
    assert value(figures, "stale_file_bytes") == GB
    assert value(figures, "peak_memory_bytes") == FULL + 110 * KV + GB
    assert memory.unexplained([run]) == 0


def test_what_stays_in_a_process_and_is_neither_weights_nor_cache_is_the_rest():
    run = on_cpu(held_bytes=FULL + 110 * KV + GB)
    figures = memory_figures([run])
    assert (value(figures, "rest_bytes"), value(figures, "activation_bytes")) == (GB, 0)
    assert memory.unexplained([run]) == pytest.approx(GB / value(figures, "process_memory_bytes"))


CONTEXT = GB // 2


def on_gpu(**changes):
    """A process that NVML sees: a context of 0.5 GB, weights, cache, 1 GB of activations, and what is changed."""
    values = {
        "before_load_process_bytes": CONTEXT, "process_peak_bytes": CONTEXT + FULL + 110 * KV + GB,
        "reserved_peak_bytes": FULL + 110 * KV + GB, "allocated_peak_bytes": FULL + 110 * KV + GB,
    }  # fmt: skip
    return make_run(devices=[device(**(values | changes))])


def test_what_a_graph_uses_is_scored_though_the_allocator_is_not_asked_while_it_runs():
    """Live tensors stay where they were; the pool is reserved, in the peak and in what a GPU must have."""
    pool = 3 * GB
    held = FULL + 110 * KV + GB + pool
    run = on_gpu(
        peak_bytes=held, reserved_peak_bytes=held, graph_pool_bytes=pool, process_peak_bytes=CONTEXT + held,
        allocated_peak_bytes=FULL + 110 * KV + GB + GB // 4, graph_pool_used_bytes=GB // 4,
    )  # fmt: skip
    figures = memory_figures([run])
    assert value(figures, "peak_memory_bytes") == held
    assert value(figures, "graph_pool_bytes") == pool
    assert value(figures, "activation_bytes") == GB
    assert value(figures, "allocator_bytes") == 0
    assert value(figures, "needed_bytes_per_device") == CONTEXT + held
    assert memory.unexplained([run]) == 0


def test_what_the_allocator_rounds_up_is_a_part_of_its_own():
    held = FULL + 110 * KV + 2 * GB
    run = on_gpu(peak_bytes=held, reserved_peak_bytes=held, process_peak_bytes=CONTEXT + held)
    figures = memory_figures([run])
    assert (value(figures, "activation_bytes"), value(figures, "allocator_bytes")) == (GB, GB)
    assert memory.unexplained([run]) == 0


def test_what_is_outside_the_allocator_is_open_in_one_process_and_communication_in_several():
    more = {"process_peak_bytes": CONTEXT + FULL + 110 * KV + 2 * GB}
    alone = on_gpu(**more)
    figures = memory_figures([alone])
    assert value(figures, "outside_bytes") == GB
    assert memory.unexplained([alone]) == pytest.approx(GB / more["process_peak_bytes"])
    rank = alone.info["memory"]["devices"][0]
    assert memory.unexplained([make_run(devices=[rank, rank | {"rank": 1}])]) == 0


def test_parts_that_hold_more_than_the_process_are_found():
    run = on_gpu(process_peak_bytes=FULL)
    assert value(memory_figures([run]), "rest_bytes") < 0
    assert memory.unexplained([run]) > memory.TOLERANCE


def test_a_gpu_must_hold_the_whole_process():
    gpu = memory.smallest_gpu([on_gpu(process_peak_bytes=17 * GB)])
    assert gpu["needed_bytes"] == 17 * GB
    assert "NVML" in gpu["note"]


def test_parts_are_summed_over_devices_and_averaged_over_runs():
    def two(extra):
        return make_run(devices=[device(0), device(1, peak_bytes=FULL + 110 * KV + GB + extra)])

    runs = [two(0), two(2 * GB)]
    figure = memory_figures(runs)["activation_bytes"]
    assert figure["runs"] == [2 * GB, 4 * GB]
    rows = memory.anatomy(runs)
    assert [row["activation_bytes"] for row in rows] == [GB, 2 * GB]
    assert [row["rank"] for row in rows] == [0, 1]
    assert rows[0]["load_peak_bytes"] == FULL


def test_a_peak_below_what_is_named_leaves_no_negative_part():
    run = make_run(devices=[device(peak_bytes=FULL)])
    assert value(memory_figures([run]), "activation_bytes") == 0


def test_a_part_that_was_not_read_is_missing_and_so_is_what_follows_from_it():
    run = make_run(devices=[device(kv_cache_bytes=None, kv_cache_positions=None)])
    figures = memory_figures([run])
    for key in ("kv_cache_bytes", "activation_bytes", "process_memory_bytes", "analytic_kv_cache_bytes"):
        assert figures[key]["value"] is None
        assert figures[key]["note"]
    assert value(figures, "weight_bytes") == FULL
    assert against_shape([run]) == {"weights_ratio": 1.0, "kv_cache_ratio": None, "agrees": True}


def test_a_sum_that_is_not_the_sum_of_its_devices_is_refused():
    run = make_run(devices=[device(0), device(1)])
    run.info["memory"]["weight_bytes"] += 1
    with pytest.raises(StudyError, match="weight_bytes"):
        memory_figures([run])


def test_measured_and_computed_bytes_are_held_against_each_other():
    run = make_run()
    figures = memory_figures([run])
    assert value(figures, "analytic_weight_bytes") == FULL
    assert value(figures, "analytic_kv_cache_bytes") == 110 * KV
    assert against_shape([run]) == {"weights_ratio": 1.0, "kv_cache_ratio": 1.0, "agrees": True}


@pytest.mark.parametrize(
    ("changes", "agrees"),
    [
        ({"weight_bytes": int(1.04 * FULL)}, True),
        ({"weight_bytes": int(1.06 * FULL)}, False),
        ({"weight_bytes": int(0.94 * FULL)}, False),
        ({"kv_cache_bytes": 111 * KV}, True),
        # A cache twice as large as its positions need, say one in another dtype.
        ({"kv_cache_bytes": 220 * KV}, False),
    ],
)
def test_five_percent_off_is_no_agreement(changes, agrees):
    assert memory.check([make_run(devices=[device(**changes)])])["agrees"] is agrees


def test_a_cache_where_there_should_be_none_is_no_agreement():
    kept = make_run(settings={"kv_cache": "none"})
    assert memory.check([kept])["agrees"] is False
    json.dumps(memory.check([kept]), allow_nan=False)
    empty = make_run(settings={"kv_cache": "none"}, devices=[device(kv_cache_bytes=0, kv_cache_positions=0)])
    assert against_shape([empty]) == {"weights_ratio": 1.0, "kv_cache_ratio": None, "agrees": True}
    assert value(memory_figures([empty]), "analytic_kv_cache_bytes") == 0


def test_shards_are_checked_in_sum():
    norms = 2 * 21 * 4096
    half = device(weight_bytes=(WEIGHTS - norms) // 2 + norms + ROTARY, kv_cache_bytes=55 * KV)
    run = make_run(devices=[half, half | {"rank": 1}], settings={"parallel": {"tensor": 2, "pipeline": 1}})
    assert against_shape([run]) == {"weights_ratio": 1.0, "kv_cache_ratio": 1.0, "agrees": True}


def test_weights_that_the_library_laid_out_anew_still_agree():
    settings = {"kv_cache": "dynamic", "quantization": {"method": "nf4", "double_quantization": False}}
    for repacked in (False, True):
        held = sizes.weight_bytes(SHAPE, costs_of(settings), "bfloat16", repacked=repacked)
        run = make_run(devices=[device(weight_bytes=held)], settings=settings)
        assert memory.check([run])["weights_ratio"] == 1.0
        assert value(memory_figures([run]), "analytic_weight_bytes") == held


@pytest.mark.parametrize("repacked", [False, True])
@pytest.mark.parametrize("method", ["nf4", "int4_weight_only"])
def test_a_draft_is_computed_in_the_form_in_which_it_is_stored(method, repacked):
    draft = SHAPE | {"layers": 5}
    quantised = {"quantization": {"method": method, "double_quantization": True}}
    held = FULL + sizes.weight_bytes(draft, costs_of(quantised), "bfloat16", repacked=repacked)
    models = {"target": {"dtype": "bfloat16", "architecture": SHAPE}, "draft": {"architecture": draft}}
    speculation = {"draft": "small", "tokens": 4, "draft_quantization": quantised["quantization"]}
    run = make_run(devices=[device(weight_bytes=held)], models=models, settings={"speculation": speculation})
    assert memory.check([run])["weights_ratio"] == 1.0
    assert value(memory_figures([run]), "analytic_weight_bytes") == held
    del speculation["draft_quantization"]
    assert memory.check([run])["agrees"] is False


@pytest.mark.parametrize("models", [{}, {"target": {"dtype": "bfloat16", "architecture": None}},
                                    {"target": {"dtype": "float8", "architecture": SHAPE}}])  # fmt: skip
def test_a_model_of_unknown_shape_is_measured_and_not_computed(models):
    run = make_run(models=models)
    figures = memory_figures([run])
    assert value(figures, "analytic_weight_bytes") is None
    assert value(figures, "weight_bytes") == FULL
    assert against_shape([run]) == {"weights_ratio": None, "kv_cache_ratio": None, "agrees": None}


def test_the_smallest_gpu_holds_the_fullest_device_with_a_context_and_headroom():
    runs = [make_run(devices=[device(0), device(1, peak_bytes=FULL + 110 * KV + 3 * GB)])]
    needed = FULL + 110 * KV + 3 * GB + fit.CONTEXT_BYTES  # NVML showed no process
    assert value(memory_figures(runs), "needed_bytes_per_device") == needed
    gpu = memory.smallest_gpu(runs)
    assert gpu["needed_bytes"] == needed
    assert gpu["devices"] == 2
    assert gpu["memory_bytes"] * 0.95 >= needed
    assert gpu["name"] == "RTX 4070 12GB"
    assert "0.5 GB" in gpu["note"]
    assert "processor" not in gpu["note"]


def test_the_run_that_needed_most_decides():
    runs = [make_run(devices=[device(peak_bytes=FULL + 110 * KV + extra * GB)]) for extra in (1, 20, 2)]
    assert memory.smallest_gpu(runs)["needed_bytes"] == FULL + 110 * KV + 20 * GB + fit.CONTEXT_BYTES


def test_no_gpu_may_be_large_enough():
    gpu = memory.smallest_gpu([make_run(devices=[device(peak_bytes=400 * GB)])])
    assert (gpu["name"], gpu["memory_bytes"]) == (None, None)
    assert gpu["needed_bytes"] > 390 * GB


def test_what_was_held_before_the_run_is_not_asked_of_a_gpu():
    gpu = memory.smallest_gpu([make_run(devices=[resident(before_load_bytes=9 * GB)], method="resident_set")])
    assert gpu["needed_bytes"] == FULL + 110 * KV + GB + fit.CONTEXT_BYTES
    assert "processor" in gpu["note"]


def test_a_peak_that_was_not_reset_is_said_to_be_the_whole_processs():
    run = make_run()
    run = make_run(memory=copy.deepcopy(run.info["memory"]) | {"peak_is_exact": False})
    figures = memory_figures([run])
    assert "could not be reset" in figures["peak_memory_bytes"]["note"]
    assert "could not be reset" in figures["activation_bytes"]["note"]
    assert "could not be reset" not in (figures["weight_bytes"]["note"] or "")
