"""Facet ``attention``: its meaning and application in ``facet``, its cost in ``cost``."""
