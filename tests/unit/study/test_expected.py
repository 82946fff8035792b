"""How long jobs are expected to take: as long as they took, or by the sizes in the study."""

import json
from pathlib import Path

import pytest

from scripts.study import configuration, expected, layers, plan


def estimate(*options: str) -> expected.Estimate:
    config = layers.read([], ["measurement={device: cpu}", *options]).config
    techniques = {technique.name: technique for technique in configuration.check(config)}
    return expected.Estimate(plan.Plan(config, techniques, []))


def run_s(made: expected.Estimate, technique: str) -> float:
    seconds, measured = made.seconds("generate", {"technique": technique, "run": "2"})
    assert not measured
    return seconds


def test_what_an_earlier_run_took_is_expected_again(tmp_path: Path) -> None:
    path = tmp_path / "nf4-1.jsonl"
    job = ("generate", {"technique": "nf4", "run": "1"}, path)
    guess = estimate().seconds(*job)
    assert guess == estimate().seconds(*job[:2])
    assert not guess[1]
    path.write_text('{"s": 3.0}\n' + json.dumps({"s": 41.5, "max_rss": 1}) + "\n", encoding="utf-8")
    assert estimate().seconds(*job) == (41.5, True)


@pytest.mark.parametrize("content", ["", "not JSON", "[]", "{}", '{"s": "-"}', '{"s": NaN}', '{"s": -1}'])
def test_a_file_that_says_nothing_is_no_measurement(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.jsonl").write_text(content, encoding="utf-8")
    assert expected.measured_s(path) is None
    assert expected.measured_s(tmp_path / "gone.jsonl") is None


def test_more_work_is_expected_to_take_longer() -> None:
    built_in = estimate()
    assert run_s(built_in, "target_only") > run_s(built_in, "kv_cache") > run_s(built_in, "batch_8")
    assert run_s(estimate("dataset={samples: 500}"), "kv_cache") > run_s(built_in, "kv_cache")
    longer = estimate("models={large: {train: {steps: 900}}}")
    usual, more = (each.seconds("prepare_model", {"model": "large"})[0] for each in (built_in, longer))
    assert more > 2 * usual > 60
    random = estimate("models={large: {source: random}}", "select=[baseline, target_only]")
    assert run_s(random, "target_only") > 60 * run_s(random, "baseline")


def test_every_job_is_counted() -> None:
    config = layers.read([], ["measurement={device: cpu, repeats: 2}", "select=[baseline, nf4]"]).config
    techniques = {technique.name: technique for technique in configuration.check(config)}
    found = expected.jobs(plan.Plan(config, techniques, []))
    assert len(found) == 5 + 1 + 2 * (2 + 2)
    assert ("generate", {"technique": "nf4", "run": "2"}, Path("results/benchmarks/generate/nf4-2.jsonl")) in found
