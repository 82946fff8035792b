import pytest

from scripts.metrics import runs, technique, texts
from scripts.metrics.families import text as text_family
from tests.support import synthetic_runs as synthetic


@pytest.fixture
def dataset():
    return synthetic.make_dataset(12)


@pytest.fixture
def read(dataset):
    """Reads a run that was written, as the stage does."""

    def from_folder(folder, name="kv_cache", **options):
        return runs.read_run(folder, name, [row["id"] for row in dataset], **options)

    return from_folder


@pytest.fixture
def metrics(tmp_path, dataset, read):
    """Writes runs, given as (run.json, samples) or (run.json, samples, fixed), and scores them."""

    def of(*written, name="kv_cache", **options):
        folders = [synthetic.write_run(tmp_path / f"run-{n}", *run) for n, run in enumerate(written, start=1)]
        found = [read(folder, name) for folder in folders]
        text = synthetic.write_text(tmp_path / "text.json", name, dataset, folders[0])
        scores = texts.read_scores(str(text), found[0], text_family.FIGURES, "score_text")
        return technique.technique_metrics(name, dataset, found, scores, **options)

    return of
