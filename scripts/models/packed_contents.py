"""What the files of a quantised checkpoint hold, by their headers: no tensor is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.models.checkpoint import read_header
from scripts.models.packed.forms import Form
from scripts.models.stored_files import weight_files


def describe(directory: Path, form: Form, dtype: str) -> dict[str, Any]:
    """What a manifest says of a quantised checkpoint: its parameters, and how their weights are stored.

    The weights count, and not the words that hold several of them, nor scales.

    Args:
        directory: of the checkpoint.
        form: that its configuration names.
        dtype: what its weights are read as.

    Raises:
        StudyError: no weight is stored in that form.
    """
    entries = {name: entry for path in weight_files(directory) for name, entry in read_header(path).items()}
    counts, packed = {}, 0
    for name, entry in entries.items():
        weight = form.holds(name)
        if weight is None:
            continue
        is_packed = any(scales in entries for scales in form.scales_of(weight))
        counts[weight] = math.prod(entry["shape"]) * (form.weights_per_element if is_packed else 1)
        packed += counts[weight] if is_packed else 0
    if not packed:
        raise StudyError(
            f"{directory / 'config.json'} says that the weights are quantised ({form.label}), but none in the "
            "checkpoint's files are; remove quantization_config, or fetch the checkpoint again."
        )
    held = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in entries.values())
    stored = {"form": form.label, "bytes": held, "read_as": dtype, "quantised_weights": packed}
    return {"parameters": sum(counts.values()), "stored": stored}
