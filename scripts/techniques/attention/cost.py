"""Cost of facet ``attention``: the same sums over keys and values, in another order."""

from scripts.hardware.cost import Cost


class AttentionCost(Cost):
    """Scores that are kept or not are no weights and no cache."""

    lossless = True


COST = AttentionCost()
