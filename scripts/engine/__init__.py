"""The project's own decode loop: a static KV cache, and prefill and decode steps captured as CUDA graphs."""
