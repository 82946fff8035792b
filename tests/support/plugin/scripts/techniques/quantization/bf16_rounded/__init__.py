"""Quantisation method ``bf16_rounded``: an example, which stores no weight smaller."""
