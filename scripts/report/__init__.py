"""Formatting: plots, numbers as text, the view of the report. Measures nothing."""
