"""A batch's state on the device from step to step, and the host's views of what it polls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch

from scripts.kernels.decode_state import StepTensors
from scripts.runtime.stops import ENDS, follow

TOKENS_OUT, ROWS_STOPPED = 0, 1  # indices of ``progress``


@dataclass
class State(StepTensors):
    """The tensors of B rows.

    Attributes:
        host_progress: the host's view of ``progress``.
        host_tokens: the host's view of ``out``, [steps, B].
    """

    def __post_init__(self) -> None:
        self.host_progress: numpy.ndarray = self.progress.numpy()
        self.host_tokens: numpy.ndarray = self.out.numpy()

    @classmethod
    def empty(cls, rows: int, steps: int, vocabulary: int, device: torch.device) -> State:
        """A state for so many rows and steps."""
        return cls(
            token=torch.zeros(rows, dtype=torch.int64, device=device),
            positions=torch.zeros(rows, dtype=torch.int32, device=device),
            step=torch.zeros(1, dtype=torch.int32, device=device),
            stopped=torch.zeros(rows, dtype=torch.int8, device=device),
            is_stop=torch.zeros(vocabulary, dtype=torch.int8, device=device),
            out=pinned_zeros(device, steps, rows),
            progress=pinned_zeros(device, 2),
        )

    def reset(self) -> None:
        """Nothing is out yet; called while the device is idle."""
        self.host_progress[:] = 0

    def start(self, chosen: torch.Tensor, lengths: torch.Tensor) -> None:
        """Put out the first tokens, int64 [B], of prompts of those lengths, int64 [B]."""
        if chosen.device.type == "cuda":
            from scripts.kernels import triton_step

            triton_step.start(self, chosen, lengths)
            return
        self.step.zero_()
        self.stopped.zero_()
        self.positions.copy_(lengths)
        self._put_out(chosen)

    def advance(self, chosen: torch.Tensor) -> None:
        """Put out each row's next token, int64 [B]."""
        if chosen.device.type == "cuda":
            from scripts.kernels import triton_step

            triton_step.advance(self, chosen)
            return
        self.positions += 1
        self._put_out(chosen)

    def _put_out(self, chosen: torch.Tensor) -> None:
        step = int(self.step)
        self.token.copy_(chosen)
        self.out[step] = chosen
        self.step += 1
        self.stopped.copy_(follow(self.stopped, self.is_stop[chosen]))
        self.host_progress[ROWS_STOPPED] = int((self.stopped & ENDS).sum())
        self.host_progress[TOKENS_OUT] = step + 1


def pinned_zeros(device: torch.device, *shape: int) -> torch.Tensor:
    """Zeros, int32, in host memory, pinned where there is a GPU, which can then write it."""
    return torch.zeros(shape, dtype=torch.int32, pin_memory=device.type == "cuda")
