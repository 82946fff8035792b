"""Quantisation method ``int8_weight_only``: 8-bit weights with a scale a row."""
