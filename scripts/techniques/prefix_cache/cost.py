"""Cost of facet ``prefix_cache``: what a prompt need not read is counted with its samples (``prefix_tokens``)."""

from scripts.hardware.cost import Cost


class PrefixCacheCost(Cost):
    """The same keys and values, computed once for all requests."""

    lossless = True


COST = PrefixCacheCost()
