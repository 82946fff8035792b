"""Techniques side by side: changes against parent and baseline, matches, examples. Reads metrics files alone."""
