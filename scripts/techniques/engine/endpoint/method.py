"""A server that already runs at an address; it is asked, and neither started nor ended."""

from scripts.techniques.engine.served import RunningServer

METHOD = RunningServer()
