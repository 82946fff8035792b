"""Quantisation method ``int8``: LLM.int8() by bitsandbytes."""
