"""What a scenario can't give on this machine is said before what it chooses."""

import pytest

from scripts.report import view
from scripts.report.sections import references as references_view
from tests.support.report_pages import named, rendered, short
from tests.support.synthetic_study import Technique, built_in_choices, compare, write_study


def made(folder, **more):
    techniques = [
        Technique("baseline", None, "Plain", {"kv_cache": "none"}),
        Technique("kv_cache", label="Cache", difference={"kv_cache": "dynamic"}, speed=3),
        Technique("tensor_parallel", "kv_cache", "Split", {"parallel": {"tensor": 2}}, speed=1.5, peak_mib=700),
    ]
    return compare(write_study(folder, techniques, count=20, runs=2, **built_in_choices() | more))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return made(tmp_path_factory.mktemp("study"))


def told(comparison, name):
    shown = named(view.report_view(comparison)["views"]["scenarios"]["scenarios"], name)
    return shown["lead"], " ".join(shown["plain"])


def test_several_devices_that_are_slower_than_one_are_not_recommended(compared):
    lead, said = told(compared, "multi_gpu_cluster")
    assert lead == "Of several"
    assert said.startswith("This machine has no GPUs: the devices are processes that share its processor. ")
    assert "No technique beats one device here: Cache, on one, scores" in said
    techniques = {row["name"]: row["figures"] for row in compared["techniques"]}
    for name in ("kv_cache", "tensor_parallel"):
        assert f"{1000 * techniques[name]['latency_s']['value']:.3g}" in said
    assert "no technique beats one device here; best of several: Split" in short(compared)
    choices = {choice["label"]: choice for study in references_view.references(compared) for choice in study["choices"]}
    assert choices["Several GPUs"]["why"].startswith("no technique beats one device here")
    assert said.split(". ")[1][:40] in rendered(compared)


def test_several_gpus_that_are_faster_are_recommended(tmp_path):
    comparison = made(tmp_path, on_gpus=True)
    for row in comparison["scenarios"]:
        if row["one_device"]:
            row["one_device"] |= {"beaten": True}
    assert told(comparison, "multi_gpu_cluster") == ("Use", "")


def test_a_limit_that_nothing_meets_is_said_with_the_nearest_value(compared):
    _, said = told(compared, "memory_constrained")
    ratio = min(values["peak_memory_ratio"] for values in compared["ranking"]["limit_values"].values())
    assert ratio > 0.75
    assert said == (
        "No technique meets a limit here: peak memory at most 0.75\N{MULTIPLICATION SIGN} that of the baseline "
        "(314.6 MB). The nearest is Plain with 1\N{MULTIPLICATION SIGN} that of the baseline."
    )
    assert "Little memory: No technique meets a limit here" in short(compared)
