"""Quantisation method ``int4_weight_only``: 4-bit weights in groups of 64 columns."""
