"""Techniques side by side: changes against parent and baseline, matches, choices. Reads metrics files alone."""
