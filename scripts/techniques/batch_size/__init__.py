"""Facet ``batch_size``: its meaning and application in ``facet``, its cost in ``cost``."""
