"""Facet ``stop``: its meaning and evidence in ``facet``, its cost in ``cost``."""
