"""Real A/A studies on this machine: one technique under several names, one of them slowed down on purpose.

    python -m tests.performance.real_aa_study --model results/models/small --dataset results/dataset/eval.jsonl

Each study runs its names in fresh processes, in rounds of a seeded order, and compares them as the workflow does. In
each run a reference takes turns with the technique. Prints the verdicts of each study, with the reference and as if
there had been none, and how many were right. A study counts as quiet if none of the equal names is called different.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from scripts import generate
from scripts.comparison import document, verdicts
from scripts.foundation import files
from scripts.inference import launch
from scripts.metrics import reference, technique, texts, tokenizer
from scripts.metrics import runs as run_files
from scripts.metrics.families import text as text_family
from scripts.score_text import text_scores

PROMPT = "Generate a concise headline for the following news summary: {summary}"
GENERATION = {"prompt": PROMPT, "shots": 0, "chat_template": False, "max_new_tokens": 40, "stop": "line_break"}
SETTINGS = {"model": "small", "kv_cache": "dynamic"}
KEYS = ("latency_change_percent", "fixed_latency_change_percent")
WAYS = ("with the reference", "without it")


def main() -> None:
    """Run the studies and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="directory with the model's manifest.json")
    parser.add_argument("--dataset", type=Path, required=True, help="evaluation samples, JSON lines")
    parser.add_argument("--studies", type=int, default=10, help="how many studies")
    parser.add_argument("--equal", type=int, default=2, help="names of a study that are equal to the plain one")
    parser.add_argument("--repeats", type=int, default=10, help="runs of each technique in a study")
    parser.add_argument("--samples", type=int, default=64, help="prompts of a run")
    parser.add_argument("--slowdown", type=float, default=0.05, help="the planted slowdown, a share")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    arguments = parser.parse_args()
    names = ("plain", "slowed", *(f"again_{number}" for number in range(1, arguments.equal + 1)))
    equal, found = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0)
    for number in range(arguments.studies):
        with tempfile.TemporaryDirectory() as folder:
            metrics = study(number, names, arguments, Path(folder))
        for way, content in zip(WAYS, (metrics, without_reference(metrics)), strict=True):
            changes = changed(content)
            said = {name: {changes[name][key]["verdict"] for key in KEYS} for name in changes}
            equal[way] += all(said[name] == {verdicts.SAME} for name in names[2:])
            found[way] += "slower" in said["slowed"]
            for name in changes:
                figures = [changes[name][key] for key in KEYS]
                shown = [f"{f['value']:+.2f}% [{f['low']:+.2f}, {f['high']:+.2f}] {f['verdict']}" for f in figures]
                print(f"study {number + 1}, {name}, {way}: natural {shown[0]}; fixed {shown[1]}", flush=True)
    for way in WAYS:
        print(f"{way}: equal techniques called equal: {equal[way]} of {arguments.studies}")
        print(f"{way}: {100 * arguments.slowdown:g}% slowdown found: {found[way]} of {arguments.studies}")


def study(seed: int, names: tuple[str, ...], arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """Run one study; return the metrics of each name."""
    rows = files.read_json_lines(arguments.dataset)[: arguments.samples]
    files.write_json_lines(folder / "eval.jsonl", rows)
    for run in range(1, arguments.repeats + 1):
        for name in random.Random(f"{seed}/{run}").sample(names, len(names)):
            outcome, samples = run_once(name, folder / "eval.jsonl", arguments)
            files.write_json(folder / name / str(run) / "run.json", outcome)
            files.write_json_lines(folder / name / str(run) / "samples.jsonl", samples["natural"])
            files.write_json_lines(folder / name / str(run) / "fixed.jsonl", samples["fixed"])
    return {name: scored(name, arguments.repeats, rows, folder) for name in names}


def changed(metrics: dict[str, Any]) -> dict[str, Any]:
    """Compare every name with the plain one, in one study."""
    rows = [{"id": each, "summary": "", "headline": ""} for each in metrics["plain"]["samples"]["id"]]
    entries = [{"name": name, "parent": None if name == "plain" else "plain"} for name in metrics]
    compared = document.comparison({"baseline": "plain", "techniques": entries}, rows, {}, metrics)
    return {each["name"]: each["changes"]["parent"]["figures"] for each in compared["techniques"][1:]}


def without_reference(metrics: dict[str, Any]) -> dict[str, Any]:
    """Leave the readings of the reference out, as in a study that had none."""
    return {
        name: content
        | {
            "reference": {"status": "off", "technique": None, "digest": None, "reason": "left out"},
            "samples": {
                key: values for key, values in content["samples"].items() if key not in (*reference.COLUMNS, "relative")
            },
        }
        for name, content in metrics.items()
    }


def run_once(name: str, dataset: Path, arguments: argparse.Namespace) -> tuple[dict[str, Any], launch.Samples]:
    """One fresh process, that of the slowed technique with its clock held up; a first run would look at more."""
    namespace = argparse.Namespace(
        technique=name, run=2, settings=SETTINGS, generation=GENERATION, target=arguments.model / "manifest.json",
        draft=None, rows=None, dataset=dataset, fixed={"new_tokens": 16, "samples": 12}, warmup=3,
        threads=1, device=arguments.device, output=None, reference=arguments.model / "manifest.json",
        reference_technique={"technique": "plain", "settings": SETTINGS},
    )  # fmt: skip
    start = subprocess.Popen
    slowed = [sys.executable, "-m", "tests.support.slowed_worker", str(arguments.slowdown)]

    def started(command: list[str], **options: Any) -> subprocess.Popen:
        if name == "slowed" and "scripts.inference.worker" in command:
            command = slowed + command[command.index("scripts.inference.worker") + 1 :]
        return start(command, **options | {"stderr": subprocess.DEVNULL})

    with mock.patch.object(launch.subprocess, "Popen", started):
        return generate.run(namespace)


def scored(name: str, repeats: int, rows: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """The metrics of a technique's runs."""
    ids = [row["id"] for row in rows]
    runs = [run_files.read_run(folder / name / str(run), name, ids) for run in range(1, repeats + 1)]
    chosen = tokenizer.choose("auto", [row["headline"] for row in rows])
    scores = text_scores([sample.headline for sample in runs[0].samples], rows, chosen)
    files.write_json(folder / "text.json", texts.document(runs[0], scores))
    text = texts.read_scores(folder / "text.json", runs[0], text_family.FIGURES, "score_text")
    return technique.technique_metrics(name, rows, runs, text)


if __name__ == "__main__":
    main()
