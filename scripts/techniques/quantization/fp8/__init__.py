"""Quantisation method ``fp8``: float8 e4m3 weights with a scale a row."""
