"""Pruning method ``wanda``: weights of small product with their input norm become zero."""
