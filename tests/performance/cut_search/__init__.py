"""Which kernel and cut makes a product fastest: what is tried, how it is timed, how it is shown."""
