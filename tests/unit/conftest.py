import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.inference import readings
from tests.support import tiny_checkpoint
from tests.support.worker_runs import Run, run_worker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def _calibrated_once() -> Iterator[None]:
    """Runs inside a test's process measure what the machine can do once and not twice each."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(readings.calibrate)
        patch.setattr(readings, "calibrate", lambda device, dtype, before: once(device, dtype))
        yield


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
