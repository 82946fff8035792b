"""The rows of ``tests.performance.engines``, one module a part."""
