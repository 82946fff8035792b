"""Engine ``endpoint``: a server that already runs at an address."""
