"""What the analytic figures are computed from: the models' shapes, dtype and settings, as a run recorded them."""

from dataclasses import dataclass
from typing import Any

from scripts.hardware import sizes
from scripts.metrics.runs import Run

NO_SHAPE = "the model's shape is not known"


@dataclass(frozen=True)
class ModelFacts:
    """Shapes of the target and of the draft (None without one), the technique's settings, and the dtype."""

    architecture: dict[str, Any]
    draft: dict[str, Any] | None
    settings: dict[str, Any]
    dtype: str


def of_run(run: Run) -> ModelFacts | None:
    """The facts of a run; None where a shape is not known or the dtype has no analytic size."""
    models = run.info["models"]
    target, draft = models.get("target") or {}, models.get("draft")
    shape = target.get("architecture")
    if not shape or target.get("dtype") not in sizes.BYTES or (draft and not draft.get("architecture")):
        return None
    return ModelFacts(shape, draft["architecture"] if draft else None, run.settings, target["dtype"])
