"""Inputs of the analytic figures, as recorded by a run: model shapes, dtype and facet costs."""

from dataclasses import dataclass
from typing import Any

from scripts.hardware import sizes
from scripts.hardware.cost import Costs
from scripts.metrics.runs import Run
from scripts.techniques.costs import NoCostError, costs_of

NO_SHAPE = "the model's shape is not known"


class Unknown(Exception):
    """A figure can't be computed; the message says why, for the figure's note."""


@dataclass(frozen=True)
class ModelFacts:
    """Shapes of the target and of the draft (None without one), the costs of the technique's facets, and the dtype."""

    architecture: dict[str, Any]
    draft: dict[str, Any] | None
    costs: Costs
    dtype: str


def of_run(run: Run) -> ModelFacts:
    """The facts of a run.

    Raises:
        Unknown: a shape is not known, the dtype has no analytic size, or a facet or method has no cost.
    """
    models = run.info["models"]
    target, draft = models.get("target") or {}, models.get("draft")
    shape = target.get("architecture")
    if not shape or target.get("dtype") not in sizes.BYTES or (draft and not draft.get("architecture")):
        raise Unknown(NO_SHAPE)
    try:
        costs = costs_of(run.settings)
    except NoCostError as error:
        raise Unknown(f"not computed: {error}") from None
    return ModelFacts(shape, draft["architecture"] if draft else None, costs, target["dtype"])
