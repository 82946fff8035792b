"""Engine ``transformers_continuous``: the continuous batching of transformers."""
