"""Facet ``pause``: its meaning, application and evidence in ``facet``; it costs neither bytes nor operations."""
