"""The study as the workflow parses it: checked configuration, techniques, jobs, and the keys of results."""
