"""Engine ``server``: a server of another project, started for each run."""
