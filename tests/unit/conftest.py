from pathlib import Path

import pytest

from tests.support import tiny_checkpoint
from tests.support.worker_runs import Run, run_worker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A Llama with random weights, 2 layers x 128, the head not tied; not to be changed."""
    return tiny_checkpoint.make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "random")


@pytest.fixture(scope="session")
def chain(tmp_path_factory) -> Path:
    """A model that writes token 101 after token 100, and so on, round and round."""
    directory = tmp_path_factory.mktemp("checkpoints") / "chain"
    return tiny_checkpoint.make_checkpoint(directory, successor=lambda token: (token + 1) % 320)


@pytest.fixture(scope="session")
def evaluation_set(tmp_path_factory) -> Path:
    """Three samples."""
    return tiny_checkpoint.write_dataset(tmp_path_factory.mktemp("dataset") / "eval.jsonl")


@pytest.fixture(scope="session")
def greedy(checkpoint, evaluation_set) -> Run:
    """What the random model writes with a dynamic cache and nothing else."""
    return run_worker(checkpoint, evaluation_set, {})
