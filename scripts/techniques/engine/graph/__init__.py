"""Engine ``graph``: the project's decode loop."""
