"""What is left is weighted by time: by what earlier runs took, by what this one has shown, and by what runs at once."""

import pytest

from scripts.terminal.progress import Progress, about, duration, left
from scripts.terminal.told import Step


def step(job: int, expected_s: float = 10.0, kind: str = "generate", subject: str = "nf4", **more) -> Step:
    return Step(job, f"run {job} of {subject}", kind, subject, expected_s, **more)


def test_what_is_left_shrinks_while_a_step_runs_and_never_falls_to_nothing():
    progress = Progress([step(1), step(2)])
    assert progress.left_s(0) == 20
    progress.start(step(1), 100)
    assert progress.left_s(104) == 16
    # It takes longer than was expected.
    assert progress.left_s(130) == pytest.approx(10.5)
    progress.finish(1, 130)
    progress.start(step(2), 130)
    progress.finish(2, 160)
    assert progress.left_s(160) == 0
    assert progress.share_done(160) == 1


def test_a_technique_is_expected_to_take_what_its_other_runs_took():
    steps = [step(1, subject="nf4"), step(2, subject="nf4"), step(3, subject="int8")]
    progress = Progress(steps)
    progress.start(steps[0], 0)
    progress.finish(1, 40)
    assert progress.expected_s(steps[1]) == 40
    # Of another technique the guess is off by the same ratio, as far as is known.
    assert progress.expected_s(steps[2]) == 40


def test_what_an_earlier_run_took_weighs_more_than_a_guess():
    known, guessed = step(1, 30.0, measured=True), step(2, 5.0, kind="score")
    progress = Progress([known, guessed, model := step(3, 50.0, kind="prepare_model", subject="small")])
    progress.start(model, 0)
    progress.finish(3, 200)
    # This machine is slower than the guesses say, which says nothing about what was measured on it.
    assert progress.expected_s(guessed) == 20
    assert progress.expected_s(known) == 30


def test_steps_that_run_side_by_side_are_not_added_up():
    four = [step(job, share=0.25) for job in range(4)]
    progress = Progress(four)
    assert progress.left_s(0) == 10
    for each in four:
        progress.start(each, 0)
    assert progress.left_s(5) == 5


def test_a_run_has_its_place_among_all_runs():
    progress = Progress([step(1), step(2), step(3), step(4, kind="score")])
    progress.start(step(1), 0)
    progress.finish(1, 1)
    progress.start(step(2), 1)
    assert progress.place(step(2)) == (2, 3)
    assert progress.fail(2) == step(2)
    assert progress.finish(2, 5) is None


@pytest.mark.parametrize(
    ("seconds", "words", "rest", "estimate"),
    [
        (3.21, "3.2 s", "less than a minute left", "1 min"),
        (70, "70 s", "about 1 min left", "1 min"),
        (250, "4 min", "about 4 min left", "4 min"),
        (7900, "2 h 12 min", "about 2 h 10 min left", "2 h 10 min"),
    ],
)
def test_times_are_said_in_words(seconds: float, words: str, rest: str, estimate: str):
    assert (duration(seconds), left(seconds), about(seconds)) == (words, rest, estimate)
