"""Checkpoints whose weights are stored quantised: what their configuration says, and what their tensors hold."""
