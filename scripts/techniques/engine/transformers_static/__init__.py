"""Engine ``transformers_static``: stock generation with a static cache."""
