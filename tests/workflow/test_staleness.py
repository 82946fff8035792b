"""What a change of code, settings or data reruns: each test makes one change to a recorded study and reads the plan."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from tests.workflow.project import Project, jobs
from tests.workflow.reruns import (
    ALL,
    DATA,
    ENGINES,
    EVERYTHING,
    GENERATIONS,
    GRAPH,
    GRAPH_DRAFTED,
    LARGE,
    MODELS,
    REPORT,
    SCORES,
    TEXTS,
    changed,
    one_a_mechanism,
    runs,
    selection,
    setting,
)


def semantic(project: Project) -> None:
    """Ask for a semantic score by an encoder that has all its files, and no weights in them."""
    project.study["quality"] = {"semantic": judge(project)}


def bertscore(project: Project) -> None:
    """Ask for a BERTScore by such a model."""
    project.study["quality"] = {"bertscore": {"layer": 2} | judge(project)}


def judge(project: Project) -> dict[str, object]:
    """Write such a model; returns its settings."""
    encoder = project.root / "results/encoder of ones own"
    encoder.mkdir()
    (encoder / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    (encoder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}), encoding="utf-8")
    (encoder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return {"source": "path", "path": {"path": str(encoder)}}


def previous(project: Project) -> None:
    """Name an earlier study, of which there is as little as a comparison can hold."""
    technique = {"name": "kv_cache", "label": "", "status": "failed", "figures": {}, "settings": {},
                 "changes": {"baseline": {"figures": None}}}  # fmt: skip
    prompts = {"shown": 0, "total": 0, "rows": [], "wrote": {}, "latency_s": {}, "new_tokens": {}}
    content = {"title": "", "baseline": {"name": None}, "techniques": [technique], "prompts": prompts,
               "dataset": {"samples": 0}}  # fmt: skip
    (project.root / "results/earlier.json").write_text(json.dumps(content), encoding="utf-8")
    setting("report", "previous", value="results/earlier.json")(project)


CODE = {
    "scripts/techniques/pruning/facet.py": runs("pruned", "pruned_wanda", "pruned_structured"),
    "scripts/techniques/batch_size/facet.py": runs("batch_8", "batch_32", "continuous_batch"),
    "scripts/techniques/quantization/facet.py": runs("nf4", "graph_int8", "graph_speculative_int8"),
    "scripts/techniques/quantization/weight_only.py": runs("graph_int8", "graph_speculative_int8"),
    "scripts/techniques/parallel/facet.py": runs("tensor_parallel", "pipeline_parallel"),
    "scripts/techniques/speculation/facet.py": runs("speculative", "prompt_lookup", *GRAPH_DRAFTED),
    "scripts/techniques/kv_cache/facet.py": runs(*ALL),
    "scripts/inference/timed_loop.py": runs(*ALL),
    "scripts/inference/loading.py": runs(*ALL),
    "scripts/inference/memory.py": runs(*ALL),
    "scripts/generate.py": runs(*ALL),
    "scripts/inference/readings.py": runs(*ALL),
    "scripts/techniques/engine/facet.py": runs(*ENGINES),
    "scripts/techniques/engine/transformers_continuous/loop.py": runs("continuous_batch"),
    "scripts/engine/session.py": runs(*GRAPH),
    "scripts/kernels/triton_ops.py": runs(*GRAPH),
    "scripts/metrics/rouge.py": TEXTS | SCORES | REPORT,
    "scripts/metrics/families/latency.py": SCORES | REPORT,
    "scripts/metrics/evaluate_modules/headline_rouge/headline_rouge.py": TEXTS | SCORES | REPORT,
    "scripts/score_text.py": TEXTS | SCORES | REPORT,
    "scripts/score.py": SCORES | REPORT,
    "config/hardware.yaml": SCORES | REPORT,
    "scripts/compare.py": REPORT,
    "scripts/plot.py": {"plot", "render"},
    "scripts/render.py": {"render"},
    "scripts/report/page.py": {"render"},
    "scripts/prepare_model.py": MODELS | runs(*ALL),
    "scripts/select_samples.py": {"select_samples"} | runs(*ALL),
    "scripts/prepare_dataset.py": EVERYTHING,
}


@pytest.mark.parametrize(
    "path",
    one_a_mechanism(
        CODE,
        "scripts/techniques/pruning/facet.py",
        "scripts/techniques/quantization/weight_only.py",
        "scripts/inference/timed_loop.py",
        "scripts/engine/session.py",
        "scripts/metrics/rouge.py",
        "scripts/score.py",
        "config/hardware.yaml",
        "scripts/compare.py",
        "scripts/plot.py",
        "scripts/render.py",
        "scripts/prepare_model.py",
        "scripts/prepare_dataset.py",
    ),
)
def test_a_module_reruns_the_stages_that_use_it(planned: Project, path: str) -> None:
    changed(path)(planned)
    assert planned.plan() == CODE[path]


def test_comments_and_docstrings_of_the_code_rerun_nothing(planned: Project) -> None:
    for path in [path for path in CODE if path.endswith(".py")]:
        planned.append(path, "\n\n# A comment.\n\n\n")
        text = (planned.root / path).read_text(encoding="utf-8")
        (planned.root / path).write_text(text.replace('"""', '"""Of old: ', 1), encoding="utf-8")
    assert planned.plan() == set()


REPORT_FILES = [
    "report.html.j2",
    "report.md.j2",
    "styles/base.css",
    "scripts/table.js",
    "partials/table.html.j2",
    "captions/table.rst",
]


@pytest.mark.parametrize("path", one_a_mechanism(REPORT_FILES, "report.html.j2", "scripts/table.js"))
def test_template_style_script_and_captions_rerun_the_report_alone(planned: Project, path: str) -> None:
    planned.append(f"report/{path}", "\n")
    assert planned.plan() == {"render"}


STUDY = {
    "amount of pruning": (setting("techniques", "pruned", "pruning", value={"amount": 0.5}), runs("pruned")),
    "parent of several": (
        setting("techniques", "target_only", "quantization", value="nf4"),
        runs(*LARGE),
    ),
    "drafted tokens": (
        setting("techniques", "speculative", "speculation", value={"draft": "small", "tokens": 2}),
        runs("speculative"),
    ),
    "form of the draft": (
        setting("techniques", "graph_speculative_int8", "speculation", "draft_quantization", value="fp8"),
        runs("graph_speculative_int8"),
    ),
    "a draft as it is, written out": (
        setting(
            "techniques", "speculative", "speculation",
            value={"draft": "small", "tokens": 4, "draft_quantization": "none"},
        ),
        set(),
    ),
    "label": (setting("techniques", "kv_cache", "label", value="Cache"), REPORT),
    "order": (selection(*reversed(ALL)), REPORT),
    "title": (setting("title", value="Another title"), REPORT),
    "examples": (setting("report", "examples", value=1), REPORT),
    "previous study": (previous, REPORT),
    "weights": (setting("ranking", value={"weights": {"quality": 1}}), REPORT),
    "scenario": (setting("scenarios", value={"balanced": {"limits": {"max_devices": 1}}}), REPORT),
    "references": (setting("references", value=[]), REPORT),
    "technique removed": (selection(*(name for name in ALL if name != "pruned")), REPORT),
    "technique added": (selection(*ALL, "nf4_pruned"), runs("nf4_pruned")),
    "technique of one's own": (
        lambda project: project.study.update(
            techniques=project.study["techniques"] | {"half": {"extends": "pruned", "pruning": {"amount": 0.5}}},
            select=[*ALL, "half"],
        ),
        runs("half"),
    ),
    "seed of the data": (setting("dataset", "seed", value=1), EVERYTHING),
    "filters": (setting("dataset", "filters", value={"summary_words": {"min": 6, "max": 90}}), EVERYTHING),
    "rows": (setting("dataset", "newswire", "train_rows", value=500), EVERYTHING),
    "samples": (setting("dataset", "samples", value=3), {"select_samples"} | runs(*ALL)),
    "steps of the large model": (
        setting("models", "large", "train", "steps", value=2),
        {"prepare_model:large"} | runs(*LARGE),
    ),
    # The target is held against its parent's distributions.
    "seed of the small model": (
        setting("models", "small", "seed", value=1),
        {"prepare_model:small", "score:target_only"}
        | runs(*(name for name in ALL if name not in ("target_only", "prompt_lookup", "graph_target"))),
    ),
    "longest headline": (setting("generation", "max_new_tokens", value=9), runs(*ALL)),
    "reading of answers": (setting("generation", "answer", value={"regex": "(.+)"}), TEXTS | SCORES | REPORT),
    "warm-up": (setting("measurement", "warmup", value=2), runs(*ALL)),
    "another run": (setting("measurement", "repeats", value=2), GENERATIONS | SCORES | REPORT),
    "fixed length": (setting("measurement", "fixed", value={"new_tokens": 6, "samples": 2}), runs(*ALL)),
    "a reference": (setting("measurement", "reference", value="baseline"), runs(*ALL)),
    "order of the runs": (setting("measurement", "order_seed", value=1), REPORT),
    "a profile": (setting("measurement", "profile", value=1), jobs("profile", ALL)),
    "bound on the spread": (setting("comparison", "spread_bound", value=0.2), SCORES | REPORT),
    "margin of quality": (setting("comparison", "non_inferiority_margin", value=0.02), REPORT),
    "price": (setting("comparison", "price_per_device_hour", value=2.5), REPORT),
    "a semantic score": (semantic, {"prepare_encoder"} | jobs("score_semantic", ALL) | SCORES | REPORT),
    "a BERTScore": (bertscore, {"prepare_bertscore"} | jobs("score_bertscore", ALL) | SCORES | REPORT),
    "a sweep": (
        setting("sweeps", value={"amount": {"technique": "pruned", "facet": "pruning.amount", "values": [0.1, 0.5]}}),
        runs("amount_0p1", "amount_0p5"),
    ),
    "options of a source that is not used": (setting("dataset", "file", "path", value="nowhere.csv"), set()),
    "options of a model source that is not used": (
        setting("models", "small", "random", value={"architecture": "nowhere.json"}), set(),
    ),
    "a technique that is not selected": (setting("techniques", "int8", "label", value="Eight bits"), set()),
    "defaults written out": (
        setting("techniques", "pruned", "pruning", value={"scope": "global", "amount": 0.3, "method": "magnitude"}),
        set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    one_a_mechanism(
        STUDY,
        "amount of pruning",
        "parent of several",
        "form of the draft",
        "label",
        "previous study",
        "technique added",
        "seed of the data",
        "samples",
        "steps of the large model",
        "longest headline",
        "reading of answers",
        "another run",
        "a reference",
        "a profile",
        "margin of quality",
        "a semantic score",
        "a sweep",
        "defaults written out",
    ),
)
def test_a_setting_reruns_what_depends_on_it(planned: Project, change: str) -> None:
    make, expected = STUDY[change]
    make(planned)
    assert planned.plan() == expected


def test_nothing_reruns_when_nothing_changed(project: Project) -> None:
    outcome = project.snakemake("--cores", "4")
    assert outcome.status == 0
    assert "Nothing to be done" in outcome.text
    assert f"The report is {project.root.resolve()}/results/report.html; " in outcome.text


def test_key_order_and_comments_rerun_nothing(planned: Project) -> None:
    def turned(value: object) -> object:
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    planned.study = turned(planned.study)
    planned.edit("config/config.yaml", "sweeps: {}", "# A comment.\nsweeps:   {}   # another")
    planned.edit(
        "config/config.yaml", "{method: magnitude, amount: 0.3, scope: global}", "{scope: global, amount: 0.3}"
    )
    assert planned.plan() == set()


def test_touched_files_rerun_nothing(planned: Project) -> None:
    files = [path for path in sorted(planned.root.rglob("*")) if path.is_file() and ".snakemake" not in path.parts]
    random.Random(0).shuffle(files)
    for path in files:
        path.touch()  # each a little later than the one before, results among them
    assert planned.plan() == set()


def test_a_fresh_checkout_with_the_old_results_reruns_nothing(recorded: Project, tmp_path: Path) -> None:
    old = recorded.copy(tmp_path / "old")
    checkout = Project.create(tmp_path / "checkout elsewhere")
    for path in checkout.root.rglob("*"):
        os.utime(path)
    for name in ("results", ".snakemake"):
        shutil.move(old.root / name, checkout.root / name)
    assert checkout.plan() == set()


OLD = 946684800  # a moment long before any result


def test_older_files_of_other_content_are_noticed(planned: Project) -> None:
    path = "scripts/inference/timed_loop.py"
    changed(path)(planned)
    os.utime(planned.root / path, (OLD, OLD))
    assert planned.plan() == runs(*ALL)


def test_a_data_file_counts_by_its_content(fresh: Project) -> None:
    data = fresh.root / "news.jsonl"
    rows = [
        {
            "short_description": f"The council of town {n} decided on {n} new bridges today.",
            "headline": f"Town {n} to build",
        }
        for n in range(40)
    ]

    def write(count: int) -> None:
        data.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]), encoding="utf-8")

    write(39)
    fresh.study["dataset"] |= {"source": "file", "file": {"path": "news.jsonl"}}
    target = "results/dataset/eval.jsonl"
    outcome = fresh.snakemake(target)
    assert outcome.status == 0, outcome.text
    assert fresh.plan(target) == set()
    data.touch()
    assert fresh.plan(target) == set()
    write(40)
    os.utime(data, (OLD, OLD))
    assert fresh.plan(target) == DATA
    data.unlink()
    assert "news.jsonl does not exist" in fresh.dry_run(target).error
