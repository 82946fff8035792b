"""Interfaces between facets, engines and the worker: process, loaded models, generators, observations, errors.

Nothing here imports any of them.
"""
