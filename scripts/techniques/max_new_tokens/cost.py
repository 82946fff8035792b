"""Cost of facet ``max_new_tokens``: answers may be shorter, which the counted batches say themselves."""

from scripts.hardware.cost import Cost

COST = Cost()
