"""Load on a server: arrivals, levels, and the highest rate at which it keeps its limits. Needs no torch."""
