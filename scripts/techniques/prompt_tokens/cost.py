"""Cost of facet ``prompt_tokens``: prompts are longer, which the counted batches say themselves."""

from scripts.hardware.cost import Cost

COST = Cost()
