"""What a request leaves on the device from step to step; its tokens reach the host via pinned memory, unsynchronised.

The last operation of a step writes the new tokens where the host can read them, and then how many there are. The host
looks at that number in its own memory; it asks the device for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch

TOKENS_OUT, ROWS_STOPPED = 0, 1  # places in the flag


@dataclass
class State:
    """Tensors of a fixed place; B rows.

    Attributes:
        token: int64 [B]: the newest token, which the next step is given.
        positions: int32 [B]: where it stands.
        step: int32 [1]: how many tokens each row has put out.
        stopped: int8 [B]: whether a row has put out a stop token.
        is_stop: int8 [vocabulary]: 1 for each token that ends a headline.
        out: int32 [steps, B], read by the host: the tokens.
        flag: int32 [2], read by the host: tokens that are out, rows that have stopped.
    """

    token: torch.Tensor
    positions: torch.Tensor
    step: torch.Tensor
    stopped: torch.Tensor
    is_stop: torch.Tensor
    out: torch.Tensor
    flag: torch.Tensor

    def __post_init__(self) -> None:
        # Views of the same memory: reading one costs the host nothing but the reading.
        self.seen: numpy.ndarray = self.flag.numpy()
        self.tokens_out: numpy.ndarray = self.out.numpy()

    @classmethod
    def empty(cls, rows: int, steps: int, vocabulary: int, device: torch.device) -> State:
        """A state for so many rows and steps."""
        return cls(
            token=torch.zeros(rows, dtype=torch.int64, device=device),
            positions=torch.zeros(rows, dtype=torch.int32, device=device),
            step=torch.zeros(1, dtype=torch.int32, device=device),
            stopped=torch.zeros(rows, dtype=torch.int8, device=device),
            is_stop=torch.zeros(vocabulary, dtype=torch.int8, device=device),
            out=host_readable(device, steps, rows),
            flag=host_readable(device, 2),
        )

    def reset(self) -> None:
        """Nothing is out yet; called while the device is idle."""
        self.seen[:] = 0

    def start(self, chosen: torch.Tensor, lengths: torch.Tensor) -> None:
        """Put out the first tokens, int64 [B], of prompts of those lengths, int64 [B]."""
        if chosen.device.type == "cuda":
            from scripts.kernels.triton_step import start

            start(chosen, lengths, self.token, self.positions, self.step, self.stopped, self.is_stop, self.out,
                  self.flag)  # fmt: skip
            return
        self.step.zero_()
        self.stopped.zero_()
        self.positions.copy_(lengths)
        self._put_out(chosen)

    def advance(self, chosen: torch.Tensor) -> None:
        """Put out each row's next token, int64 [B]."""
        if chosen.device.type == "cuda":
            from scripts.kernels.triton_step import finish

            finish(chosen, self.token, self.positions, self.step, self.stopped, self.is_stop, self.out, self.flag)
            return
        self.positions += 1
        self._put_out(chosen)

    def _put_out(self, chosen: torch.Tensor) -> None:
        step = int(self.step)
        self.token.copy_(chosen)
        self.out[step] = chosen
        self.step += 1
        self.stopped |= self.is_stop[chosen]
        self.seen[ROWS_STOPPED] = int(self.stopped.sum())
        self.seen[TOKENS_OUT] = step + 1


def host_readable(device: torch.device, *shape: int) -> torch.Tensor:
    """Zeros, int32, in the host's memory, which the device can write."""
    return torch.zeros(shape, dtype=torch.int32, pin_memory=device.type == "cuda")
