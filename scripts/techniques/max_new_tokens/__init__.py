"""Facet ``max_new_tokens``: its meaning and evidence in ``facet``, its cost in ``cost``."""
