"""Cost of facet ``engine``: by default an engine computes and stores the same."""

from scripts.hardware.cost import Cost


class EngineCost(Cost):
    """The same greedy tokens, by another loop."""

    lossless = True


COST = EngineCost()
