"""The project's own HTTP server: fronts, which speak HTTP, and the process of the engine."""
