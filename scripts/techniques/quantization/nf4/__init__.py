"""Quantisation method ``nf4``: 4-bit NormalFloat by bitsandbytes."""
