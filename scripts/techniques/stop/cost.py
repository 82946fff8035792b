"""Cost of facet ``stop``: answers may be shorter or longer, which the counted batches say themselves."""

from scripts.hardware.cost import Cost

COST = Cost()
