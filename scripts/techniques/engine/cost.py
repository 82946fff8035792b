"""Cost of facet ``engine``: none computes or stores anything else, unless its own cost says so."""

from scripts.hardware.cost import Cost


class EngineCost(Cost):
    """The same greedy tokens, by another loop."""

    lossless = True


COST = EngineCost()
