"""Cost of facet ``batch_size``: weights are read once for a batch, which the counted batches say themselves."""

from scripts.hardware.cost import Cost


class BatchSizeCost(Cost):
    """Requests are served as each would be alone."""

    lossless = True


COST = BatchSizeCost()
