"""What the workflow knows when it is parsed: the checked study, its techniques, and what makes results stale."""
