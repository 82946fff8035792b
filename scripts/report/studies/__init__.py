"""What the comparison of two studies says: its view, and its sentences."""
