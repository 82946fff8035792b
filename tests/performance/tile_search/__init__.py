"""Which kernel and tile configuration makes a product fastest: what is tried, how it is timed, how it is shown."""
