"""What the statistics of a large study cost: scoring every technique from its runs, then the comparison.

    python -m tests.performance.statistics

Runs and text scores are made up and written first, which is not counted; the scoring of text and the imports are not
in it either. The peak is that of the whole process, the making of the files included.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.comparison import document, loading, table
from scripts.metrics import runs as run_files
from scripts.metrics import texts
from scripts.metrics.families import text as text_family
from scripts.metrics.technique import technique_metrics
from tests.support import synthetic_runs as synthetic

MEGABYTE = 1_000_000


def main() -> None:
    """Make the study, time both stages and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--techniques", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--samples", type=int, default=500)
    arguments = parser.parse_args()
    names = [f"technique_{number:02}" for number in range(arguments.techniques)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = synthetic.make_dataset(arguments.samples)
        for number, name in enumerate(names):
            write_technique(root, name, dataset, arguments.repeats, number)
        began = time.perf_counter()
        paths = [score(root, name, dataset, arguments.repeats) for name in names]
        scored = time.perf_counter()
        study = {"baseline": names[0], "techniques": entries(names)}
        compared = document.comparison(study, dataset, {}, loading.read_metrics(paths, study, dataset))
        (root / "comparison.json").write_text(json.dumps(compared), encoding="utf-8")
        (root / "comparison.csv").write_text(table.table(compared), encoding="utf-8")
        done = time.perf_counter()
        size = (root / "comparison.json").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{len(names)} techniques x {arguments.repeats} runs x {arguments.samples} samples")
    print(f"scoring    {scored - began:.1f} s")
    print(f"comparison {done - scored:.1f} s, {size / MEGABYTE:.1f} MB")
    print(f"together   {done - began:.1f} s, peak memory {peak / MEGABYTE:.0f} MB")


def write_technique(root: Path, name: str, dataset: list[dict[str, str]], repeats: int, number: int) -> None:
    """Write the runs of the technique of that number and the file of its text scores."""
    folders = []
    for run in range(1, repeats + 1):
        samples = synthetic.make_samples(dataset, speed=1 + number / 20, noise_seed=100 * number + run)
        info = synthetic.make_run(name, run)
        folders.append(synthetic.write_run(root / name / f"run-{run}", info, samples))
    first = run_files.read_run(folders[0], name, [row["id"] for row in dataset])
    draw = random.Random(0)
    scores = {entry.key: [draw.random() for _ in dataset] for entry in text_family.FIGURES}
    (root / name / "text.json").write_text(json.dumps(texts.document(first, scores)), encoding="utf-8")


def score(root: Path, name: str, dataset: list[dict[str, str]], repeats: int) -> str:
    """Score a technique from its files; return the path of its metrics."""
    ids = [row["id"] for row in dataset]
    runs = [run_files.read_run(root / name / f"run-{run}", name, ids) for run in range(1, repeats + 1)]
    text = texts.read_scores(str(root / name / "text.json"), runs[0], text_family.FIGURES, "score_text")
    path = root / f"{name}.json"
    path.write_text(json.dumps(technique_metrics(name, dataset, runs, text)), encoding="utf-8")
    return str(path)


def entries(names: list[str]) -> list[dict[str, Any]]:
    """Return the study's techniques: each differs from the one before, the first is the baseline."""
    parents = [None, *names]
    return [{"name": name, "parent": parent} for name, parent in zip(names, parents, strict=False)]


if __name__ == "__main__":
    main()
