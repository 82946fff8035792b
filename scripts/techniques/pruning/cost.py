"""Cost of facet ``pruning``: zeros in dense tensors are stored and multiplied as any other number."""

from scripts.hardware.cost import Cost

COST = Cost()
