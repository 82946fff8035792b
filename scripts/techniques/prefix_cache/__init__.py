"""Facet ``prefix_cache``: its meaning in ``facet``, its application in ``prefix``, its cost in ``cost``."""
