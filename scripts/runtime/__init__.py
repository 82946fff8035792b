"""What all parts of a run share: its process and models, what generates, what was observed, and what can go wrong.

Facets, kernels' callers, engines and the worker speak with one another in these terms; nothing here knows any of them.
"""
