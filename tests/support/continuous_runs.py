"""Requests that a continuous batch answers, of lengths by which some go on while others are read."""

from scripts.runtime.serving import Request


def mixed(engine, prompts, new):
    """Each prompt's tokens, ``new`` or one fewer, from an engine with fewer slots than prompts; steps were mixed."""
    engine.reserve(40)
    written = [[] for _ in prompts]
    for number, prompt in enumerate(prompts):
        engine.submit(Request(number, prompt, length_of(number, new)))
    for events in engine.run():
        for number, token, _ in events:
            written[number].append(token)
    assert engine.counts.mixed_steps
    return written


def cut(expected, new):
    """What ``mixed`` gives of the answers that prompts get alone."""
    return [tokens[: length_of(number, new)] for number, tokens in enumerate(expected)]


def length_of(number, new):
    """New tokens of a request."""
    return new - number % 2
