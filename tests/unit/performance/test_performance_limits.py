"""What a study reached beside its limits: figures, ratios, the best of several, and what was not measured."""

import fnmatch
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from scripts.foundation import files
from scripts.study import configuration
from tests.performance import limits
from tests.support import synthetic_study as synthetic
from tests.support.synthetic_study import Technique

ROOT = Path(__file__).resolve().parents[3]
WRITTEN = yaml.safe_load(limits.LIMITS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return synthetic.compare(synthetic.write_study(tmp_path_factory.mktemp("study"), synthetic.everything(), count=20))


@pytest.mark.parametrize("study", WRITTEN)
def test_each_limit_names_techniques_of_its_study(study):
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    if study != "built-in":
        changes = (ROOT / "config" / "studies" / f"{study}.yaml").read_text(encoding="utf-8")
        update_config(config, yaml.safe_load(changes))
    names = [technique.name for technique in configuration.check(config)]
    for limit in WRITTEN[study]:
        for key in limit.keys() & {"figure", "over"}:
            pattern, figure = limit[key].rsplit(".", 1)
            assert fnmatch.filter(names, pattern), limit[key]
            assert figure in ("latency_s", "ttft_s", "tpot_s", "throughput_samples_per_s", "mbu_datasheet")
        assert "aim" not in limit or (
            limit["aim"] <= limit["most"] if "most" in limit else limit["aim"] >= limit["least"]
        )


def row_of(comparison, name):
    return next(row for row in comparison["techniques"] if row["name"] == name)


def test_a_figure_is_told_with_its_interval(comparison):
    figure = row_of(comparison, "kv_cache")["figures"]["latency_s"]
    found = limits.measured(comparison, {"figure": "kv_cache.latency_s"})
    assert (found.value, found.low, found.high) == (figure["value"], figure["low"], figure["high"])


@pytest.mark.parametrize("figure", ["latency_s", "tpot_s", "throughput_samples_per_s"])
def test_a_ratio_to_the_parent_has_the_interval_of_the_paired_change(comparison, figure):
    pair = [{"figure": f"{one}.{figure}", "over": f"{two}.{figure}"} for one, two in
            (("baseline", "kv_cache"), ("kv_cache", "baseline"))]  # fmt: skip
    ratio, inverse = (limits.measured(comparison, limit) for limit in pair)
    assert ratio.low < ratio.value < ratio.high
    assert (inverse.value, inverse.low, inverse.high) == pytest.approx((1 / ratio.value, 1 / ratio.high, 1 / ratio.low))
    one, two = (row_of(comparison, name)["figures"][figure]["value"] for name in ("baseline", "kv_cache"))
    assert ratio.value == pytest.approx(one / two)
    change = f"{figure.removesuffix('_s').removesuffix('_samples_per')}_change_percent"
    paired = row_of(comparison, "kv_cache")["changes"]["parent"]["figures"][change]
    assert (inverse.low, inverse.high) == pytest.approx((1 + paired["low"] / 100, 1 + paired["high"] / 100))


def test_a_ratio_of_other_figures_takes_both_intervals(comparison):
    first, step = (row_of(comparison, "kv_cache")["figures"][key] for key in ("ttft_s", "tpot_s"))
    found = limits.measured(comparison, {"figure": "kv_cache.ttft_s", "over": "kv_cache.tpot_s"})
    assert (found.low, found.high) == (first["low"] / step["high"], first["high"] / step["low"])


@pytest.mark.parametrize(("figure", "pick"), [("latency_s", min), ("throughput_samples_per_s", max)])
def test_of_a_pattern_the_best_technique_counts(comparison, figure, pick):
    rows = [row for row in comparison["techniques"] if fnmatch.fnmatch(row["name"], "*cache")]
    assert len(rows) > 1
    best = pick(rows, key=lambda row: row["figures"][figure]["value"])
    assert limits.measured(comparison, {"figure": f"*cache.{figure}"}).techniques == (best["name"],)


def test_what_was_not_measured_says_why(comparison):
    failed = next(row for row in comparison["techniques"] if row["status"] != "ok")
    said = limits.line(comparison, {"what": "it", "figure": f"{failed['name']}.latency_s", "least": 1, "aim": 2})
    assert said[1] == "not measured"
    assert failed["reason"] in said[0]
    assert "no technique graph" in limits.line(comparison, {"what": "it", "figure": "graph.latency_s"})[0]


@pytest.mark.parametrize(
    ("value", "limit", "verdict"),
    [
        (16.0, {"least": 10, "aim": 16}, "aim"),
        (10.0, {"least": 10, "aim": 16}, "enough"),
        (9.9, {"least": 10, "aim": 16}, "SHORT"),
        (1.3, {"most": 1.8, "aim": 1.3}, "aim"),
        (1.8, {"most": 1.8, "aim": 1.3}, "enough"),
        (1.9, {"most": 1.8, "aim": 1.3}, "SHORT"),
        (0.1, {}, "-"),
    ],
)
def test_verdict(value, limit, verdict):
    assert limits.verdict(value, limit) == verdict


def test_a_study_that_falls_short_ends_with_1(tmp_path, capsys):
    techniques = [
        Technique("baseline"),
        Technique("kv_cache", parent="baseline", difference={"kv_cache": "dynamic"}),
        Technique("graph", parent="kv_cache", difference={"engine": "graph"}),
    ]
    comparison = synthetic.compare(synthetic.write_study(tmp_path, techniques, count=8))
    files.write_json(tmp_path / "comparison.json", comparison)
    assert limits.main(["built-in", "--comparison", str(tmp_path / "comparison.json")]) == 1
    assert "| >= 1.5 | >= 3 | SHORT | kv_cache, graph |" in capsys.readouterr().out
    row_of(comparison, "graph")["figures"]["latency_s"]["value"] /= 2
    files.write_json(tmp_path / "comparison.json", comparison)
    assert limits.main(["built-in", "--comparison", str(tmp_path / "comparison.json")]) == 0
