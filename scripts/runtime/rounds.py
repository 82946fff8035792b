"""Counts of speculative decoding rounds."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.runtime.generation import SampleRecorder


@dataclass(frozen=True)
class Round:
    """One proposal: drafted, accepted and rejected tokens.

    A proposed token is accepted when it becomes part of the output, rejected when the target chose another in its
    place, and not judged when it comes after a rejected one or after the end.
    """

    drafted: int
    accepted: int
    rejected: int


class RoundCounter(SampleRecorder):
    """Totals over the timed samples.

    Args:
        limit: the most tokens that may be proposed at a time.
    """

    def __init__(self, limit: int) -> None:
        self.histogram = [0] * (limit + 1)
        self.longest = 0  # tokens of a proposal
        self.total_rounds = self.total_drafted = self.total_accepted = self.total_rejected = self.draft_calls = 0
        self.generators: set[str] = set()  # classes of what proposed

    def add(self, rounds: list[Round], further: int = 0) -> dict[str, int]:
        """Count a sample's rounds, and ``further`` forwards of the target without a proposal.

        Returns:
            ``drafted_tokens``, ``accepted_tokens``, ``rejected_tokens``, and ``rounds``: forwards of the target, the
            prompt's among them.
        """
        for each in rounds:
            self.longest = max(self.longest, each.drafted)
            self.histogram[min(each.accepted, len(self.histogram) - 1)] += 1
        fields = {
            "drafted_tokens": sum(each.drafted for each in rounds),
            "accepted_tokens": sum(each.accepted for each in rounds),
            "rejected_tokens": sum(each.rejected for each in rounds),
            "rounds": len(rounds) + further,
        }
        self.total_drafted += fields["drafted_tokens"]
        self.total_accepted += fields["accepted_tokens"]
        self.total_rejected += fields["rejected_tokens"]
        self.total_rounds += fields["rounds"]
        return fields
