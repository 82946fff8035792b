"""Data sets of the hub, over the loopback interface. In a process of their own: the library reads HF_ENDPOINT once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.dataset_hub import Repository, serve

ROOT = Path(__file__).resolve().parents[3]
COMMIT = "c" * 40
OTHER = "d" * 40

# Prepares one data set for each line of settings and prints the manifest's counts or the error's sentence.
DRIVER = """
import json, sys
from pathlib import Path
from scripts.foundation.errors import StudyError
from scripts.dataset.settings import parse
from scripts.prepare_dataset import prepare
for number, line in enumerate(sys.stdin):
    name, settings = json.loads(line)
    try:
        manifest = prepare(parse(json.dumps(settings)), Path(sys.argv[1]) / name)
        print(json.dumps([name, {"counts": manifest["counts"], "origin": manifest["origin"]}]))
    except StudyError as error:
        print(json.dumps([name, str(error)]))
"""


def rows(count: int, **names: str) -> bytes:
    summary, headline = names.get("summary", "short_description"), names.get("headline", "headline")
    lines = (
        {summary: f"a summary that is long enough for number {i}", headline: f"headline number {i}", "category": "NEWS"}
        for i in range(count)
    )
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


CARD = b"""---
configs:
- config_name: one
  data_files:
  - {split: train, path: one/train.jsonl}
  - {split: test, path: one/test.jsonl}
- config_name: two
  data_files:
  - {split: train, path: two/train.jsonl}
---
"""

REPOSITORIES = {
    "owner/plain": Repository({"train.jsonl": rows(40), "test.jsonl": rows(5)}, COMMIT, ("main", "v1")),
    "owner/configs": Repository(
        {"README.md": CARD, "one/train.jsonl": rows(10), "one/test.jsonl": rows(6), "two/train.jsonl": rows(7)}, COMMIT
    ),
    "owner/names": Repository({"train.csv": b"text,title\n" + b'"one two three four five six",a b c\n'}, COMMIT),
    "owner/gated": Repository({"train.jsonl": rows(3)}, COMMIT, gated=True),
    "owner/broken": Repository({"train.jsonl": b'{"headline": "x"\n{"oh": no\n'}, COMMIT),
    "owner/empty": Repository({"notes.xyz": b"nothing"}, COMMIT),
}


def settings(repository: str, revision: str = COMMIT, **more: Any) -> dict[str, Any]:
    return {"source": "hub", "hub": {"id": repository, "revision": revision, **more}}


CASES = {
    "plain": settings("owner/plain"),
    "tag": settings("owner/plain", "v1", split="test"),
    "config": settings("owner/configs", config="one", split="test"),
    "columns": settings("owner/names", columns={"summary": "text", "headline": "title"}),
    "wrong_columns": settings("owner/names"),
    "no_repository": settings("owner/nothing"),
    "no_revision": settings("owner/plain", OTHER),
    "gated": settings("owner/gated"),
    "no_config": settings("owner/configs", config="three"),
    "config_needed": settings("owner/configs"),
    "no_split": settings("owner/plain", split="validation"),
    "broken": settings("owner/broken"),
    "empty": settings("owner/empty"),
    "not_an_id": settings("json"),
}


def drive(cases: dict[str, Any], home: Path, endpoint: str, **environment: str) -> dict[str, Any]:
    # No proxy may stand between the loopback server and the library.
    inherited = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    result = subprocess.run(
        [sys.executable, "-c", DRIVER, str(home / "out")],
        input="".join(json.dumps(case) + "\n" for case in cases.items()),
        env=inherited | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home / "cache"), "NO_PROXY": "*"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    print(result.stdout)
    return dict(json.loads(line) for line in result.stdout.splitlines())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def outcomes(home: Path) -> dict[str, Any]:
    with serve(REPOSITORIES) as hub:
        return drive(CASES, home, hub.endpoint)


def test_reads_the_pinned_revision(outcomes: dict[str, Any], home: Path) -> None:
    assert outcomes["plain"]["counts"]["read"] == 40
    assert outcomes["plain"]["origin"] == {
        "repository": "owner/plain", "revision": COMMIT, "config": None, "split": "train",
    }  # fmt: skip
    first = json.loads((home / "out/plain/pool.jsonl").read_text().splitlines()[0])
    assert first["headline"].startswith("headline number")
    assert first["category"] == "NEWS"


def test_tag_is_resolved_to_its_commit(outcomes: dict[str, Any]) -> None:
    assert outcomes["tag"]["origin"]["revision"] == COMMIT
    assert outcomes["tag"]["counts"]["read"] == 5


def test_configuration_split_and_columns(outcomes: dict[str, Any]) -> None:
    assert outcomes["config"]["counts"]["read"] == 6
    assert outcomes["columns"]["counts"]["read"] == 1


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no_repository", ["dataset.hub.id", "owner/nothing", "does not exist", "HF_TOKEN"]),
        ("no_revision", ["dataset.hub.revision", OTHER, "commit hash"]),
        ("gated", ["owner/gated", "gated", "accept its terms", "HF_TOKEN"]),
        ("no_config", ["dataset.hub.config", "'three'", "one, two"]),
        ("config_needed", ["dataset.hub.config", "name one", "one, two"]),
        ("no_split", ["dataset.hub.split", "'validation'", "train", "test"]),
        ("wrong_columns", ["short_description", "text, title"]),
        ("broken", ["owner/broken", "source: file"]),
        ("empty", ["owner/empty", "source: file"]),
        ("not_an_id", ["dataset.hub.id", "owner/name"]),
    ],
)
def test_failure_is_one_sentence_that_says_what_to_do(outcomes: dict[str, Any], case: str, words: list[str]) -> None:
    sentence = outcomes[case]
    assert isinstance(sentence, str)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


def test_without_a_network(outcomes: dict[str, Any], home: Path) -> None:
    """Needs ``outcomes`` only for the cache that it fills."""
    closed = "http://127.0.0.1:9"
    cases = {
        "cached": settings("owner/plain"),
        "other_revision": settings("owner/plain", OTHER),
        "tag": settings("owner/plain", "v1"),
        "never_seen": settings("owner/unseen"),
    }
    result = drive(cases, home, closed, HF_HUB_OFFLINE="1")
    assert result["cached"]["counts"]["read"] == 40
    # What is in the cache must never stand in for another revision.
    for name in ("other_revision", "tag", "never_seen"):
        assert "can't be reached" in result[name], result[name]
        assert "HF_HUB_OFFLINE" in result[name]
