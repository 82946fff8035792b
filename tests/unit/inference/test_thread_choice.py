"""The number of CPU threads, chosen by a measurement: no more than help, and as few as a busy machine allows."""

import json
from pathlib import Path

import pytest

from scripts import choose_threads, generate
from scripts.foundation import files
from scripts.inference import machine, thread_choice


def test_powers_of_two_and_all_cores_are_tried() -> None:
    assert [thread_choice.candidates(cores) for cores in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({1: 4.0, 2: 2.0, 4: 1.0}, 4),  # each more helps
        ({1: 4.0, 2: 1.02, 4: 1.0}, 2),  # the last ones hardly do
        ({1: 1.0, 2: 3.0, 4: 9.0}, 1),  # a busy machine: all wait for the slowest
    ],
)
def test_the_fewest_threads_that_are_about_as_fast_are_chosen(seconds: dict[int, float], chosen: int) -> None:
    found = thread_choice.choose(lambda count: seconds[count], list(seconds))
    assert found["threads"] == chosen
    assert found["seconds"] == {str(count): value for count, value in seconds.items()}


def test_candidates_take_turns_and_a_slow_moment_changes_nothing() -> None:
    asked: list[int] = []

    def request(count: int) -> float:
        asked.append(count)
        return 100.0 if len(asked) == 5 else 1.0 / count

    assert thread_choice.choose(request, [1, 2])["threads"] == 2
    assert asked == [1, 2] * (1 + thread_choice.ROUNDS)


def test_it_ends_in_time() -> None:
    assert thread_choice.choose(lambda count: 1.0, [1, 2], longest_s=0.0)["rounds"] == 1


def test_the_stage_writes_what_it_found_and_a_run_takes_it(checkpoint: Path, tmp_path: Path, monkeypatch) -> None:
    output = tmp_path / "threads.json"
    arguments = ["choose_threads", "--model", str(checkpoint / "manifest.json"), "--output", str(output)]
    monkeypatch.setattr("sys.argv", arguments)
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    choose_threads.main()
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["threads"] in (1, 2)
    assert set(found["seconds"]) == {"1", "2"}
    assert min(found["seconds"].values()) > 0

    files.write_json(output, found | {"threads": 3})
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    chosen = files.read_json(output)
    assert [generate._threads(0, processes, chosen) for processes in (1, 2, 4)] == [3, 3, 2]
