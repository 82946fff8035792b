"""Communication of pipeline stages: hidden states to the next stage, token ids from the last stage to all others.

Each link has a process group of its own, which on GPUs is a stream of its own, so that no transfer queues behind one of
another link. Sends and receives are asynchronous; the device waits for them, not the host.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import distributed


class StageLinks:
    """Of one stage; all ranks make one at the same time.

    Attributes:
        calls: sends, receives and broadcasts so far, by kind.
        sent_bytes: hidden states sent to the next stage.
        token_bytes: token ids that went from the last stage to the others, counted once.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.device = device
        self.calls: Counter[str] = Counter()
        self.sent_bytes = self.token_bytes = 0
        # A group is made by all ranks, also by those that are not in it.
        self._forward = [distributed.new_group([stage, stage + 1]) for stage in range(self.size - 1)]
        self._tokens = distributed.new_group(list(range(self.size)))
        self._arrivals = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._connect()

    @property
    def first(self) -> bool:
        """Whether this stage has the embedding."""
        return self.rank == 0

    @property
    def last(self) -> bool:
        """Whether this stage has the output head."""
        return self.rank == self.size - 1

    def _connect(self) -> None:
        """Connect all links, one after another."""
        empty = torch.zeros(1, dtype=torch.int64, device=self.device)
        for stage, group in enumerate(self._forward):
            if self.rank == stage:
                distributed.send(empty, stage + 1, group=group)
            elif self.rank == stage + 1:
                distributed.recv(empty, stage, group=group)
        distributed.broadcast(empty, self.size - 1, group=self._tokens)

    def send(self, hidden: torch.Tensor) -> Any:
        """Send to the next stage, asynchronously, in the order of the device's work."""
        self.calls["send"] += 1
        self.sent_bytes += hidden.numel() * hidden.element_size()
        return distributed.isend(hidden, self.rank + 1, group=self._forward[self.rank])

    def receive(self, hidden: torch.Tensor, free: Any) -> Any:
        """Receive from the stage before, asynchronously, once the event ``free`` says that the buffer has been read."""
        self.calls["recv"] += 1
        group = self._forward[self.rank - 1]
        if self._arrivals is None:
            return distributed.irecv(hidden, self.rank - 1, group=group)
        # Not behind the queued work: the transfer runs beside it.
        self._arrivals.wait_event(free)
        with torch.cuda.stream(self._arrivals):
            return distributed.irecv(hidden, self.rank - 1, group=group)

    def broadcast_tokens(self, tokens: torch.Tensor) -> Any:
        """Broadcast the last stage's tokens, int64 [rows], to all stages, asynchronously."""
        self.calls["broadcast"] += 1
        self.token_bytes += tokens.numel() * tokens.element_size()
        return distributed.broadcast(tokens, self.size - 1, group=self._tokens, async_op=True)

    def gather(self, fact: Any) -> list[Any]:
        """Every rank's fact, on every rank; waits for all of them."""
        facts: list[Any] = [None] * self.size
        distributed.all_gather_object(facts, fact)
        return facts
