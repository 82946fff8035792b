import pytest

from scripts.foundation.errors import StudyError
from tests.support import synthetic_runs as synthetic


@pytest.fixture
def fixed(dataset):
    run = synthetic.make_run("kv_cache")
    return synthetic.finished(synthetic.make_fixed(synthetic.make_samples(dataset)), run | {"run": 2})


def test_the_fixed_mode_has_figures_of_its_own(dataset, metrics, fixed):
    for sample in fixed:
        sample |= {"latency_s": 1.6, "ttft_s": 0.1, "batch_time_s": 1.6}
    result = metrics((synthetic.make_run("kv_cache"), synthetic.make_samples(dataset), fixed[:4]))
    figures = result["figures"]
    assert figures["fixed_latency_s"]["value"] == pytest.approx(1.6)
    assert figures["fixed_latency_p50_s"]["value"] == pytest.approx(1.6)
    assert figures["fixed_ttft_s"]["value"] == pytest.approx(0.1)
    assert figures["fixed_tpot_s"]["value"] == pytest.approx(1.5 / 15)
    assert figures["fixed_throughput_samples_per_s"]["value"] == pytest.approx(1 / 1.6)
    assert figures["fixed_throughput_tokens_per_s"]["value"] == pytest.approx(10)
    assert figures["fixed_latency_s"]["n"] == 4
    # Four prompts are too few for an upper bound of the median too, and the figure says so.
    assert "n = 4" in figures["fixed_latency_p50_s"]["note"]
    assert (figures["latency_p99_s"]["statistic"], figures["latency_p99_s"]["requests"]) == ("slowest", 12)
    assert figures["latency_s"]["value"] < 0.5
    assert result["samples"]["fixed"]["id"] == [row["id"] for row in dataset[:4]]
    assert result["samples"]["fixed"]["busy_s"] == pytest.approx([1.6] * 4)
    assert result["samples"]["fixed_run_latency_s"] == [[1.6] * 4]


def test_without_the_fixed_mode_its_figures_say_so(dataset, metrics):
    result = metrics((synthetic.make_run("kv_cache"), synthetic.make_samples(dataset), []))
    off = {key: figure for key, figure in result["figures"].items() if key.startswith("fixed_")}
    assert len(off) == 8
    assert {figure["note"] for figure in off.values()} == {"the fixed mode was off"}
    assert result["samples"]["fixed"]["id"] == []


def modes(samples, new_tokens=16):
    return {"modes": {"natural": {"samples": 12, "time_s": 1}, "fixed": {"samples": samples, "new_tokens": new_tokens}}}


FAULTS = {
    "another prompt": (lambda lines: lines[1].update(id="x"), {}, "line 2: id 'x'"),
    "not the first": (lambda lines: lines.pop(0), {}, "line 1: id"),
    "stopped": (lambda lines: lines[2].update(stop_reason="end"), {}, "line 3: 'stop_reason' is 'end'"),
    "shorter": (
        lambda lines: lines[1].update(token_ids=[1], new_tokens=1, token_times_s=[0.1]),
        {},
        "line 2: 1 new tokens where every request of the fixed mode has 16",
    ),
    "nan": (lambda lines: lines[0].update(latency_s=float("nan")), {}, "line 1: 'latency_s' is nan"),
    "fewer than said": (lambda lines: lines.pop(), modes(12), "has 11 lines and run.json says 12"),
    "other length than said": (lambda lines: None, modes(12, 8), "16 new tokens where .* has 8"),
    "said to be off": (lambda lines: None, {"modes": {"natural": None, "fixed": None}}, "run.json says 0"),
    "too many": (lambda lines: lines.append(dict(lines[0])), {"modes": None}, "has 13 lines and the evaluation set 12"),
    "damaged modes": (lambda lines: None, {"modes": 3}, "'modes' is not an object"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_fixed_mode_is_refused_with_its_place(tmp_path, dataset, read, fixed, fault):
    damage, changes, message = FAULTS[fault]
    samples = synthetic.make_samples(dataset)
    damage(fixed)
    for index, line in enumerate(fixed):
        line["batch"] = index
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache", **changes), samples, fixed)
    with pytest.raises(StudyError, match=message):
        read(folder)


def test_a_missing_fixed_mode_is_one_sentence(tmp_path, dataset, read):
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), synthetic.make_samples(dataset))
    (folder / "fixed.jsonl").unlink()
    with pytest.raises(StudyError, match=r"fixed\.jsonl does not exist"):
        read(folder)


def test_runs_with_other_fixed_modes_are_refused(dataset, metrics, fixed):
    samples = synthetic.make_samples(dataset)
    with pytest.raises(StudyError, match="differ in their fixed mode"):
        metrics(
            (synthetic.make_run("kv_cache", 1), samples, fixed), (synthetic.make_run("kv_cache", 2), samples, fixed[:5])
        )


def test_the_fixed_mode_must_begin_as_the_natural_one(dataset, metrics, fixed):
    samples = synthetic.make_samples(dataset)
    # The token that ended the natural mode may be followed by anything, and be another in the fixed mode.
    assert fixed[0]["token_ids"][7] != samples[0]["token_ids"][7]
    figure = metrics((synthetic.make_run("kv_cache"), samples, fixed))["figures"]["fixed_prefix_share"]
    assert (figure["value"], figure["n"]) == (1, 12)
    fixed[3]["token_ids"][6] += 1
    figure = metrics((synthetic.make_run("kv_cache"), samples, fixed))["figures"]["fixed_prefix_share"]
    assert figure["count"] == 11


@pytest.mark.parametrize(
    ("parted", "gap", "second", "equal"),
    [
        ([3], 1e-6, True, 12),
        ([3], 1e-6, False, 11),
        ([3], 1e-4, True, 11),
        # As near as a tie each, but more than rounding turns.
        (range(12), 3e-5, True, 0),
    ],
)
def test_a_mode_that_parts_at_a_tie_begins_as_the_other(dataset, metrics, fixed, parted, gap, second, equal):
    samples = synthetic.make_samples(dataset)
    for row, sample in enumerate(samples):
        sample |= {
            "margins": [gap if row in parted and place == 6 else 0.5 for place in range(8)],
            "runners_up": [token + 1 for token in sample["token_ids"]],
            "margin_shifts": [1e-5, -1e-5] * 4,
        }
    for row in parted:
        fixed[row]["token_ids"][6] += 1 if second else 2
    figure = metrics((synthetic.make_run("kv_cache"), samples, fixed))["figures"]["fixed_prefix_share"]
    assert figure["count"] == equal


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settings": {"quantization": {"method": "nf4"}}}, "rounding"),
        ({"models": {"target": {"source": "train", "dtype": "bfloat16"}}}, "rounding"),
        ({"settings": {"speculation": {"prompt_lookup": 4}}}, "speculates"),
        ({"processes": 2}, "several processes"),
    ],
)
def test_prefixes_are_compared_only_where_they_must_be_equal(dataset, metrics, changes, reason):
    result = metrics((synthetic.make_run("kv_cache", **changes), synthetic.make_samples(dataset)))
    assert result["figures"]["fixed_prefix_share"]["value"] is None
    assert reason in result["figures"]["fixed_prefix_share"]["note"]


def batched(samples, size, seconds=1.0):
    """Puts every ``size``-th request into one batch, so that a batch's requests lie apart."""
    count = len(samples) // size
    for index, sample in enumerate(samples):
        sample |= {"batch": index % count, "batch_requests": size, "batch_time_s": seconds * (1 + index % count)}
    return samples


def test_throughput_is_over_the_time_of_batches_and_not_over_latencies(dataset, metrics):
    run = synthetic.make_run("kv_cache", settings={"batch_size": 4})
    result = metrics((run, batched(synthetic.make_samples(dataset), 4)))
    figure = result["figures"]["throughput_samples_per_s"]
    assert figure["value"] == pytest.approx(12 / (1 + 2 + 3))
    assert figure["runs"] == pytest.approx([12 / 6])
    assert result["figures"]["throughput_tokens_per_s"]["value"] == pytest.approx(12 * 8 / 6)
    assert figure["batch_size"] == 4
    # The requests of a batch share its time: three batches are three observations, and no interval.
    assert (figure["n"], figure["low"]) == (3, None)
    assert "3 of the 10 batches" in figure["note"]
    assert result["samples"]["busy_s"][:4] == pytest.approx([0.25, 0.5, 0.75, 0.25])
    assert result["figures"]["latency_s"]["value"] < 0.3


def test_without_batch_fields_every_request_is_a_batch(tmp_path, dataset, read):
    samples = synthetic.make_samples(dataset)
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), samples)
    synthetic.write_lines(folder / "samples.jsonl", samples)
    found = read(folder).samples
    assert [sample.batch for sample in found] == list(range(12))
    assert all(sample.batch_time_s == sample.latency_s and sample.batch_requests == 1 for sample in found)


BATCH_FAULTS = {
    "shorter than a latency": (lambda lines: [line.update(batch_time_s=0.01) for line in lines], "line 1: .*shorter"),
    "two times": (lambda lines: lines[3].update(batch_time_s=9.0), "requests of batch 0 disagree"),
    "one went astray": (lambda lines: lines[3].update(batch=7), "batch 0 has 3 requests"),
    "no count": (lambda lines: lines[2].update(batch_requests="4"), "line 3: .*not two counts"),
    "no time": (lambda lines: lines[2].update(batch_time_s=None), "line 3: 'batch_time_s' is None"),
}


@pytest.mark.parametrize("fault", BATCH_FAULTS)
def test_batches_that_contradict_themselves_are_refused(tmp_path, dataset, read, fault):
    damage, message = BATCH_FAULTS[fault]
    samples = batched(synthetic.make_samples(dataset), 4)
    damage(samples)
    run = synthetic.make_run("kv_cache", settings={"batch_size": 4})
    folder = synthetic.write_run(tmp_path / "run-1", run, samples)
    with pytest.raises(StudyError, match=message):
        read(folder)
