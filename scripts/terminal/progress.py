"""How far a call is, and how long the rest will take, by the expected and the measured times of its steps."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.terminal.told import Step

LEAST_LEFT = 0.05  # of a running step that has taken as long as was expected: it may end at any moment


class Progress:
    """The steps of a call. Times are in seconds on any one clock.

    Args:
        steps: all that will run.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._waiting = {step.job: step for step in steps}
        self.total = len(self._waiting)
        self.done = 0
        self._running: dict[int, tuple[Step, float]] = {}
        self._finished: list[tuple[Step, float]] = []

    def start(self, step: Step, now: float) -> None:
        """Note that a step runs."""
        if self._waiting.pop(step.job, None) is None and step.job not in self._running:
            self.total += 1
        self._running[step.job] = step, now

    def finish(self, job: int, now: float) -> tuple[Step, float] | None:
        """Note that a step is done; returns it and how long it took, or None if it was never started."""
        found = self._running.pop(job, None)
        if found is None:
            return None
        step, began = found
        self.done += 1
        self._finished.append((step, now - began))
        return self._finished[-1]

    def fail(self, job: int) -> Step | None:
        """Note that a step failed; returns it."""
        found = self._running.pop(job, None)
        return found and found[0]

    @property
    def running(self) -> list[Step]:
        """The steps that run now, the longest-running first."""
        return [step for step, _ in sorted(self._running.values(), key=lambda each: each[1])]

    def place(self, step: Step) -> tuple[int, int]:
        """Which step of its kind a running one is, counted from 1, and how many there are."""
        done = sum(each.kind == step.kind for each, _ in self._finished)
        running = [each for each in reversed(self.running) if each.kind == step.kind]
        waiting = sum(each.kind == step.kind for each in self._waiting.values())
        return done + len(running) - running.index(step), done + len(running) + waiting

    def expected_s(self, step: Step) -> float:
        """How long a step will take, by what this call has measured.

        The mean of the finished steps of its kind on the same subject; without one, its expectation times the ratio by
        which the finished steps of its kind, or else all with an expectation from the same ground, took longer than
        theirs.
        """
        alike = [(each, took) for each, took in self._finished if each.kind == step.kind]
        same = [took for each, took in alike if each.subject == step.subject and step.subject]
        if same and not step.measured:
            return sum(same) / len(same)
        ground = alike or [(each, took) for each, took in self._finished if each.measured == step.measured]
        expected = sum(each.expected_s for each, _ in ground)
        return step.expected_s * (sum(took for _, took in ground) / expected if expected > 0 else 1.0)

    def left_s(self, now: float) -> float:
        """Seconds until all is done, if as much runs side by side as the steps' shares of the machine allow."""
        running = []
        for step, began in self._running.values():
            expected = self.expected_s(step)
            running.append((max(expected - (now - began), LEAST_LEFT * expected), step.share))
        waiting = [(self.expected_s(step), step.share) for step in self._waiting.values()]
        together = sum(seconds * share for seconds, share in [*running, *waiting])
        return max([together, *(seconds for seconds, _ in running)])

    def share_done(self, now: float) -> float:
        """Part of the whole work that is done, from 0 to 1, by time."""
        done = sum(took * step.share for step, took in self._finished)
        done += sum((now - began) * step.share for step, began in self._running.values())
        whole = done + self.left_s(now)
        return done / whole if whole > 0 else 0.0


def duration(seconds: float) -> str:
    """A duration in words: ``12 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def left(seconds: float) -> str:
    """What is left, in words; an estimate, so rounded to minutes."""
    return "less than a minute left" if seconds < 50 else f"about {about(seconds)} left"


def about(seconds: float) -> str:
    """An estimated duration in words, in minutes at least."""
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {round(minutes % 60, -1)} min"
