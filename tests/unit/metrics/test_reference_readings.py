import pytest

from scripts.foundation.errors import StudyError
from tests.support import synthetic_runs as synthetic

ON = {"status": "on", "technique": "kv_cache", "digest": "a" * 16, "reason": None}
OFF = {"status": "off", "technique": "kv_cache", "digest": "a" * 16, "reason": "There was no room."}


@pytest.fixture
def run(dataset):
    """One run with its samples of both modes; those of a run that is on have readings."""

    def make(number, said, reading=0.5):
        info = synthetic.make_run("kv_cache", number, **({"reference": said} if said else {}))
        samples = synthetic.finished(synthetic.make_samples(dataset), info)
        fixed = synthetic.finished(synthetic.make_fixed(samples), info | {"run": 0})
        if said and said["status"] == "on":
            samples, fixed = ([row | {"reference_s": reading} for row in rows] for rows in (samples, fixed))
        return info, samples, fixed

    return make


def test_readings_go_along_by_run_and_prompt(run, metrics, dataset):
    result = metrics(run(1, ON), run(2, ON, 0.25))
    assert result["reference"] == ON
    assert result["samples"]["run_reference_s"] == [[0.5] * len(dataset), [0.25] * len(dataset)]
    assert [row[0] for row in result["samples"]["fixed_run_reference_s"]] == [0.5, 0.25]
    assert result["flags"] == []


def test_absolute_figures_do_not_change(run, metrics):
    with_one, without = metrics(run(1, ON)), metrics(run(1, None))
    assert with_one["figures"] == without["figures"]


def test_a_run_without_one_leaves_the_technique_without_one_and_is_flagged(run, metrics):
    result = metrics(run(1, ON), run(2, OFF))
    assert result["reference"] == OFF
    assert not {"run_reference_s", "fixed_run_reference_s"} & set(result["samples"])
    (flag,) = result["flags"]
    assert flag == {"kind": "reference", "message": "Run 2 of 2 had no reference beside it: There was no room."}


def test_a_study_that_asks_for_none_is_not_flagged(run, metrics):
    none = {"status": "off", "technique": None, "digest": None, "reason": "measurement.reference is 'none'."}
    assert metrics(run(1, none))["flags"] == []


def test_runs_beside_different_references_are_refused(run, metrics):
    with pytest.raises(StudyError, match="different references"):
        metrics(run(1, ON), run(2, ON | {"digest": "b" * 16}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda rows: rows[3].update(reference_s=0), "line 4: 'reference_s' is 0, not a positive time"),
        (lambda rows: rows[3].update(reference_s="x"), "'reference_s' is 'x'"),
        (lambda rows: rows[3].pop("reference_s"), "some samples have 'reference_s' and others have none"),
        (lambda rows: [row.pop("reference_s") for row in rows], "'reference' is on in run.json"),
        (
            lambda rows: [row.update(batch=0, batch_requests=12, batch_time_s=9.0, reference_s=n + 1.0)
                          for n, row in enumerate(rows)],
            "batch 0 disagree on 'reference_s'",
        ),
    ],
)  # fmt: skip
def test_damaged_readings_are_refused(run, metrics, damage, sentence):
    info, samples, fixed = run(1, ON)
    damage(samples)
    with pytest.raises(StudyError, match=sentence):
        metrics((info, samples, fixed))


def test_energy_without_the_turns_says_so(run, metrics):
    info, samples, fixed = run(1, ON)
    info["energy"] = {"method": "nvml", "reason": None, "domains": ["GPU 0"], "natural_j": 12.0, "fixed_j": None}
    assert "turns" in metrics((info, samples, fixed))["figures"]["energy_per_sample_j"]["note"]
