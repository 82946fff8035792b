"""Log-probabilities of chosen tokens and of the likeliest ones, for requests that ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy
import torch

if TYPE_CHECKING:
    from scripts.engine.decoder import Decoder


@dataclass(frozen=True)
class Asking:
    """Rows of a piece of work whose tokens are told with their log-probabilities.

    Attributes:
        rows: where they are among those that it chooses tokens for, int64 [n].
        count: how many of the likeliest tokens are told of each.
    """

    rows: numpy.ndarray
    count: int


@dataclass(frozen=True)
class Likeliest:
    """Log-probabilities in nats, of the whole vocabulary's softmax.

    Attributes:
        chosen: of the tokens that were chosen, float32 [n].
        tokens: the likeliest tokens, the likeliest first, int64 [n, count].
        values: theirs, float32 [n, count].
    """

    chosen: numpy.ndarray
    tokens: numpy.ndarray
    values: numpy.ndarray

    @classmethod
    def of(cls, decoder: Decoder, x: torch.Tensor, chosen: torch.Tensor, asking: Asking) -> Likeliest:
        """Compute them; waits for the device.

        Args:
            decoder: the model.
            x: its last layer's output, [rows, hidden].
            chosen: the tokens that were chosen, int64 [rows].
            asking: the rows that they are wanted of.
        """
        rows = torch.from_numpy(asking.rows).to(x.device)
        logits = decoder.logits(x[rows]).float()
        values = logits.log_softmax(dim=-1)
        best = values.topk(min(asking.count, values.shape[-1]), dim=-1)
        own = values.gather(1, chosen[rows].view(-1, 1)).squeeze(1)
        return cls(own.cpu().numpy(), best.indices.cpu().numpy(), best.values.cpu().numpy())
