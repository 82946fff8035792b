import pytest

from scripts.metrics.families.why import FIGURES, compute
from scripts.metrics.recorded import Recorded
from tests.support.analytic_runs import CALIBRATION, HEAD, KV, LINEAR, SHAPE, WEIGHTS, device, make_run, sample

# Ten decode steps of a request of 100 + 11 tokens, at 0.01 s each.
DECODE_BYTES = 10 * WEIGHTS + sum(KV * (100 + step) for step in range(1, 11))
PREFILL_FLOPS = 2 * LINEAR * 100 + 2 * HEAD
DECODE_FLOPS = 10 * 2 * (LINEAR + HEAD)


def why_figures(runs):
    return compute(Recorded(runs))


def values(*runs):
    return {key: figure["value"] for key, figure in why_figures(list(runs)).items()}


def test_every_figure_is_there_with_its_unit():
    figures = why_figures([make_run()])
    assert {key: figure["unit"] for key, figure in figures.items()} == {entry.key: entry.unit for entry in FIGURES}
    assert all(figure["value"] is not None for figure in figures.values())


def test_bandwidth_used_is_what_decoding_moves_over_what_the_gpu_could():
    found = values(make_run())
    assert found["mbu_datasheet"] == pytest.approx(DECODE_BYTES / 0.1 / 3.35e12, rel=1e-3)
    assert found["mbu_measured"] == pytest.approx(DECODE_BYTES / 0.1 / 3e12, rel=1e-3)
    assert 0.1 < found["mbu_datasheet"] < 0.3


def test_arithmetic_used_is_that_of_whole_samples():
    found = values(make_run())
    assert found["mfu_datasheet"] == pytest.approx((PREFILL_FLOPS + DECODE_FLOPS) / 0.2 / 989.4e12, rel=0.01)
    assert found["mfu_measured"] / found["mfu_datasheet"] == pytest.approx(989.4 / 800)


def test_work_per_token_counts_the_prompt_and_the_tokens_that_were_kept():
    found = values(make_run())
    assert found["bytes_per_token"] == pytest.approx((DECODE_BYTES + WEIGHTS + 100 * KV) / 11, rel=1e-3)
    assert found["flops_per_token"] == pytest.approx((PREFILL_FLOPS + DECODE_FLOPS) / 11, rel=0.01)


def test_the_prediction_takes_the_slower_of_traffic_and_arithmetic_in_each_phase():
    found = values(make_run())
    # At these peaks the prompt is bound by traffic (100 tokens), and decoding too.
    assert found["predicted_time_per_sample_s"] == pytest.approx((DECODE_BYTES + WEIGHTS + 100 * KV) / 3e12, rel=1e-3)
    slow = make_run(calibration={"before": CALIBRATION | {"matmul_flops_per_s": 1e12}, "after": None})
    expected = PREFILL_FLOPS / 1e12 + DECODE_FLOPS / 1e12
    assert values(slow)["predicted_time_per_sample_s"] == pytest.approx(expected, rel=0.01)


def test_a_prompt_bound_by_arithmetic_and_decoding_bound_by_traffic_are_not_evened_out():
    # 100 tokens over each weight against one: with this peak only the prompt waits for arithmetic.
    run = make_run(calibration={"before": CALIBRATION | {"matmul_flops_per_s": 1e14}, "after": None})
    expected = (PREFILL_FLOPS / 1e14) + DECODE_BYTES / 3e12
    assert values(run)["predicted_time_per_sample_s"] == pytest.approx(expected, rel=0.01)
    assert PREFILL_FLOPS / 1e14 > 1.5 * WEIGHTS / 3e12


def test_the_machine_is_what_it_was_before_and_after_on_average():
    later = CALIBRATION | {"read_bytes_per_s": 1e12}
    found = values(make_run(calibration={"before": CALIBRATION, "after": later}))
    assert found["mbu_measured"] == pytest.approx(DECODE_BYTES / 0.1 / 2e12, rel=1e-3)


def test_the_ceiling_of_reads_is_what_was_read_and_not_what_a_copy_moved():
    usual = values(make_run())
    copied = CALIBRATION | {"copy_bytes_per_s": 1e12}
    assert values(make_run(calibration={"before": copied, "after": copied})) == usual
    unread = {key: value for key, value in CALIBRATION.items() if not key.startswith("read_")}
    found = reasons(make_run(calibration={"before": CALIBRATION, "after": unread}))
    assert set(found) == {"mbu_measured", "mfu_measured", "predicted_time_per_sample_s"}
    assert set(found.values()) == {"the run did not measure how fast memory is read"}


def test_devices_add_up_unless_they_take_turns():
    two = [device(0), device(1)]
    one, sharded = make_run(), make_run(devices=two, settings={"parallel": {"tensor": 2, "pipeline": 1}})
    staged = make_run(devices=two, settings={"parallel": {"tensor": 1, "pipeline": 2}})
    assert values(sharded)["mbu_datasheet"] == pytest.approx(values(one)["mbu_datasheet"] / 2)
    assert values(sharded)["mfu_measured"] == pytest.approx(values(one)["mfu_measured"] / 2)
    expected = values(one)["predicted_time_per_sample_s"]
    assert values(sharded)["predicted_time_per_sample_s"] == pytest.approx(expected / 2)
    assert values(staged)["predicted_time_per_sample_s"] == pytest.approx(expected)


def test_a_batch_is_one_stretch_of_time_and_of_traffic():
    shared = {"batch": 0, "batch_requests": 2}
    batch = make_run([sample(0, **shared), sample(1, **shared)])
    alone = values(make_run())
    assert values(batch)["bytes_per_token"] == pytest.approx(alone["bytes_per_token"] / 2, rel=0.1)
    # Two requests in the time of one: as much traffic for weights, and caches twice.
    assert values(batch)["mbu_measured"] == pytest.approx(alone["mbu_measured"], rel=0.05)
    assert values(batch)["mfu_measured"] == pytest.approx(2 * alone["mfu_measured"])
    assert values(batch)["predicted_time_per_sample_s"] == pytest.approx(
        alone["predicted_time_per_sample_s"] / 2, rel=0.1
    )


def test_recomputing_everything_costs_arithmetic():
    none = values(make_run(settings={"kv_cache": "none"}))
    assert none["flops_per_token"] == pytest.approx(2 * LINEAR * 105 + 2 * HEAD, rel=0.02)
    assert none["bytes_per_token"] == pytest.approx(WEIGHTS, rel=0.01)


def test_a_draft_and_its_rounds_are_counted():
    counts = {"rounds": 4, "drafted_tokens": 16, "accepted_tokens": 8, "rejected_tokens": 2}
    draft = SHAPE | {"layers": 1}
    models = {"target": {"dtype": "bfloat16", "architecture": SHAPE}, "draft": {"architecture": draft}}
    found = values(make_run([sample(0, **counts)], models=models))
    small = 2 * (LINEAR / 10 + HEAD)
    assert found["bytes_per_token"] == pytest.approx((4 * WEIGHTS + 16 * small) / 11, rel=0.03)
    stored = {"speculation": {"draft": "small", "tokens": 4, "draft_quantization": {"method": "int8_weight_only"}}}
    quantised = values(make_run([sample(0, **counts)], models=models, settings=stored))
    # A byte a weight in place of two, but for the scales; the head stays as it is.
    saved = found["bytes_per_token"] - quantised["bytes_per_token"]
    assert saved == pytest.approx(16 * LINEAR / 10 / 11, rel=0.001)
    assert quantised["flops_per_token"] == found["flops_per_token"]


def test_values_of_several_runs_stand_beside_their_mean():
    slower = make_run([sample(0, latency_s=0.3, batch_time_s=0.3)])
    figure = why_figures([make_run(), slower])["mbu_measured"]
    assert figure["runs"][1] == pytest.approx(figure["runs"][0] / 2)
    assert figure["value"] == pytest.approx(sum(figure["runs"]) / 2)


def reasons(run):
    return {key: figure["note"] for key, figure in why_figures([run]).items() if figure["value"] is None}


def test_a_processor_has_no_data_sheet_but_its_measured_peaks():
    run = make_run(devices=[device(device="cpu process 0")], method="resident_set")
    assert reasons(run) == dict.fromkeys(("mbu_datasheet", "mfu_datasheet"), "no data sheet for this processor")


def test_a_gpu_or_a_number_type_without_an_entry_is_named():
    other = reasons(make_run(devices=[device(device="cuda:0 NVIDIA Z9")]))
    assert set(other) == {"mbu_datasheet", "mfu_datasheet"}
    assert "NVIDIA Z9" in other["mbu_datasheet"]
    volta = reasons(make_run(devices=[device(device="cuda:0 Tesla V100-SXM2-32GB")]))
    assert "bfloat16" in volta["mfu_datasheet"]


def test_what_was_not_recorded_is_missing_with_its_reason():
    shapeless = reasons(make_run(models={"target": {"dtype": "bfloat16", "architecture": None}}))
    assert set(shapeless) == {entry.key for entry in FIGURES} - {"host_bound_share"}
    assert set(shapeless.values()) == {"the model's shape is not known"}
    assert set(reasons(make_run(calibration=None))) == {"mbu_measured", "mfu_measured", "predicted_time_per_sample_s"}
    assert set(reasons(make_run(time=None))) == {"host_bound_share"}
    assert "prompts' lengths" in reasons(make_run([sample(0, prompt_tokens=None)]))["mbu_measured"]


def test_passes_that_requests_join_and_leave_are_not_counted_as_those_of_a_static_batch():
    engine = {"name": "transformers_continuous", "slots": 2}
    found = reasons(make_run(settings={"kv_cache": "dynamic", "batch_size": 4, "engine": engine}))
    assert set(found) == {entry.key for entry in FIGURES} - {"host_bound_share"}
    assert set(found.values()) == {"requests join between the passes, which are not counted"}


def test_requests_of_one_token_decode_nothing():
    single = sample(0, token_ids=[1], token_times_s=[0.2], ttft_s=0.2)
    found = reasons(make_run([single]))
    assert found == dict.fromkeys(("mbu_datasheet", "mbu_measured"), "no request has two tokens")


def test_weights_that_may_stay_in_a_processors_cache_are_noted():
    tiny = {
        "target": {
            "dtype": "float32",
            "architecture": SHAPE | {"layers": 1, "hidden": 64, "intermediate": 64, "vocabulary": 500},
        }
    }
    on_cpu = {"devices": [device(device="cpu process 0")], "method": "resident_set"}
    assert "cache" in why_figures([make_run(models=tiny, **on_cpu)])["mbu_measured"]["note"]
    assert "cache" not in (why_figures([make_run(**on_cpu)])["mbu_measured"]["note"] or "")
    assert "cache" not in (why_figures([make_run(models=tiny)])["mbu_measured"]["note"] or "")


def test_the_host_bound_share_is_that_of_the_runs_that_looked():
    figure = why_figures([make_run(), make_run(time=None)])["host_bound_share"]
    assert (figure["value"], figure["n"]) == (0.25, 1)


def test_a_host_bound_share_that_the_profiler_hides_is_missing_with_its_reason():
    reason = "can't be determined: under the profiler operators took 1.57 times the batch's own time"
    hidden = make_run(time={"host_bound_share": None, "host_bound_reason": reason})
    assert reasons(hidden) == {"host_bound_share": reason}
