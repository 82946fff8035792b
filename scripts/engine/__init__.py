"""The project's own decode loop: a static cache, every step the same work, nothing waiting for Python."""
