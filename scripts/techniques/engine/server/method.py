"""A server such as vLLM, SGLang, llama.cpp or transformers serve, started for each run by a preset or a command."""

from scripts.techniques.engine.served import StartedServer

METHOD = StartedServer()
