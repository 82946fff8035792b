"""Facet ``kv_cache``: its meaning and application in ``facet``, its cost in ``cost``."""
