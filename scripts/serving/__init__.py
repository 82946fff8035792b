"""Servers of language models: how they are asked over HTTP, started and read. Needs no torch."""
