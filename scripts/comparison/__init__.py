"""Compares techniques: changes against parent and baseline, matches, rankings. Reads only metrics files."""
