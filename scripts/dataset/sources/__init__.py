"""Where rows come from: one module a source, each of which reads one row at a time."""
