"""Facet ``prompt_tokens``: its meaning and application in ``facet``, its cost in ``cost``."""
