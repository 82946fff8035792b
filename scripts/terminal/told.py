"""What the workflow tells the terminal; Snakemake's log events do not say which steps will come."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """A job of this call.

    Attributes:
        job: Snakemake's number of the job.
        name: in words, such as ``run 2 of nf4``.
        kind: its rule.
        subject: the technique or model that it is about; empty where there is none.
        expected_s: seconds that it is expected to take.
        measured: whether an earlier run of the job took so long, and not a guess.
        share: part of the machine that it takes, from 0 to 1; jobs whose shares sum to 1 run at the same time.
    """

    job: int
    name: str
    kind: str
    subject: str
    expected_s: float
    measured: bool = False
    share: float = 1.0


@dataclass
class Told:
    """What is known of this call.

    Attributes:
        steps: the jobs that will run, by number.
        report: whether the call makes the study's report, which is then named even if there is nothing to be done.
    """

    steps: dict[int, Step] = field(default_factory=dict)
    report: bool = False


TOLD = Told()
