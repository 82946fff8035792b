import random
from pathlib import Path

import pytest

from scripts import prepare_model
from scripts.foundation import files

PROMPT = "Write a headline: {summary}"
WORDS = ["mayor", "storm", "team", "bank", "river", "school", "plan", "vote", "price", "award"]
TINY = {
    "layers": 2, "hidden": 32, "heads": 2, "kv_heads": 1, "intermediate": 64, "vocabulary": 384,
    "steps": 5, "batch": 4, "copy_steps": 2, "threads": 1,
}  # fmt: skip


def train_settings(**changes) -> dict:
    return {"source": "train", "train": TINY | changes, "dtype": "float32", "seed": 0}


@pytest.fixture(scope="session")
def prompt() -> str:
    return PROMPT


@pytest.fixture(scope="session")
def tiny():
    """Settings of a model that trains in a second: ``tiny(steps=3)`` changes one."""
    return train_settings


@pytest.fixture(scope="session")
def train_file(tmp_path_factory) -> Path:
    draw = random.Random(0)
    path = tmp_path_factory.mktemp("rows") / "train.jsonl"
    rows = []
    for number in range(60):
        words = draw.choices(WORDS, k=draw.randint(5, 15))
        rows.append({"id": str(number), "summary": " ".join(words), "headline": " ".join(words[:3]), "category": ""})
    files.write_json_lines(path, rows)
    return path


@pytest.fixture(scope="session")
def checkpoint_directory(tmp_path_factory, train_file) -> Path:
    """A complete trained checkpoint; copy it before changing it."""
    output = tmp_path_factory.mktemp("models") / "tiny"
    prepare_model.prepare("tiny", train_settings(), output, train_file, PROMPT)
    return output
