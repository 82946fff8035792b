import pytest

from tests.support import synthetic_runs as synthetic


@pytest.fixture
def flags(dataset, metrics):
    """The flags of two runs, the second with changes in run.json and as many times slower."""

    def of(changes=None, samples=None, slower=1.0, **options):
        first, second = synthetic.make_run("kv_cache", 1), synthetic.make_run("kv_cache", 2, **(changes or {}))
        ours = samples or synthetic.make_samples(dataset)
        theirs = synthetic.make_samples(dataset, speed=1 / slower)
        return metrics((first, ours), (second, theirs), **options)["flags"]

    return of


def test_a_quiet_machine_springs_no_flag(flags):
    assert flags() == []


CONDITIONS = {
    "throttled": (
        {"throttle_reasons": ["hardware_thermal_slowdown", "software_power_cap"]},
        "hardware thermal slowdown, software power cap",
    ),
    "foreign_gpu": ({"foreign_gpu_processes": [4, 5]}, "2 other processes were on its GPUs"),
    "foreign_cpu": ({"foreign_cpu_share": 0.12}, "used 12% of the CPU (more than 10%)"),
    "steal": ({"steal_share": 0.06}, "took away 6% of the CPU (more than 5%)"),
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_conditions_of_a_run_spring_their_flag_alone(flags, kind):
    during, words = CONDITIONS[kind]
    (flag,) = flags({"conditions": synthetic.make_conditions(**during)})
    assert flag["kind"] == kind
    assert flag["message"].startswith("Run 2 of 2: ")
    assert words in flag["message"]
    assert flag["message"].endswith(".")


def test_shares_at_their_bounds_are_quiet(flags):
    assert flags({"conditions": synthetic.make_conditions(foreign_cpu_share=0.1, steal_share=0.05)}) == []


@pytest.mark.parametrize("conditions", [None, {}, {"during": None}, synthetic.make_conditions(steal_share=None)])
def test_what_was_not_seen_springs_nothing(flags, conditions):
    assert flags({"conditions": conditions, "calibration": None}) == []


def test_runs_that_disagree_are_flagged_above_the_bound(flags):
    # Latencies of 1 and 1.25: a standard deviation of 0.177 around 1.125 is 15.7%.
    (flag,) = flags(slower=1.25)
    assert flag["kind"] == "spread"
    assert "2 runs varies by 15.7% (more than 10%)" in flag["message"]
    assert flags(slower=1.25, spread_bound=0.16) == []


def test_tokens_that_are_not_the_most_likely_are_flagged_in_exact_arithmetic(flags, dataset, metrics):
    samples = synthetic.make_samples(dataset)
    samples[0]["argmax_agrees"] = 7  # of 8, and of 96 in all
    (flag,) = flags(samples=samples)
    assert flag["kind"] == "not_greedy"
    assert "98.96%" in flag["message"]
    models = {"target": synthetic.make_model("small", dtype="bfloat16")}
    result = metrics((synthetic.make_run("kv_cache", models=models), samples))
    assert result["figures"]["greedy_agreement"]["value"] == pytest.approx(95 / 96)
    assert "not_greedy" not in [flag["kind"] for flag in result["flags"]]


def test_drawn_tokens_need_not_be_the_most_likely_but_those_that_the_noise_draws(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    for sample in samples:
        sample["most_likely"] = 3
    drawn = synthetic.make_run("kv_cache", 1)
    drawn["generation"] = (drawn.get("generation") or {}) | {"sampling": {"temperature": 0.7}}
    found = metrics((drawn, samples))
    assert found["flags"] == []
    assert found["figures"]["most_likely_share"]["value"] == pytest.approx(3 / 8)
    samples[0]["argmax_agrees"] = 3
    (flag,) = metrics((drawn, samples))["flags"]
    assert (flag["kind"], "the same noise draws" in flag["message"]) == ("not_greedy", True)


def test_a_token_that_rounding_alone_turned_is_not_flagged(flags, dataset):
    samples = synthetic.make_samples(dataset)
    samples[0]["argmax_agrees"] = 7
    for sample in samples:
        sample |= {"margins": [0.5] * 8, "margin_shifts": [1e-5, -1e-5] * 4}
    samples[0]["margins"] = [-1e-6] + [0.5] * 7
    assert flags(samples=samples) == []
    samples[0]["margins"] = [-1e-3] + [0.5] * 7
    assert [flag["kind"] for flag in flags(samples=samples)] == ["not_greedy"]


def heavier():
    return synthetic.make_run("kv_cache", weight_mib=160, models=synthetic.make_run("kv_cache")["models"])


def twice_the_cache():
    run = synthetic.make_run("kv_cache")
    run["memory"]["devices"][0]["kv_cache_bytes"] *= 2
    return run


def a_cache_in_spite_of_its_settings():
    return synthetic.make_run("kv_cache") | {"settings": {"kv_cache": "none"}}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (heavier, ": its weights took 1.50 times the bytes."),
        (twice_the_cache, ": its KV cache took 2.00 times the bytes."),
        (a_cache_in_spite_of_its_settings, ": it held a KV cache and should have none."),
    ],
)
def test_memory_that_contradicts_the_shape_is_flagged(dataset, metrics, make, words):
    (flag,) = metrics((make(), synthetic.make_samples(dataset)))["flags"]
    assert flag["kind"] == "memory"
    assert flag["message"].endswith(words)
