"""The stages of a study; each stage's entry point is a module run as ``python -m scripts.<stage>``."""
