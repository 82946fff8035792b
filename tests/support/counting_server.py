"""The project's server around an engine that counts: a request's next token is one more than its last.

    python -m tests.support.counting_server MODEL

No model is loaded, so that it is ready at once; fronts, messages and the loop are the server's own.
"""

import sys
import time
from pathlib import Path

from scripts.foundation import entry, parent
from scripts.runtime.serving import LENGTH, Batching
from scripts.server.fronts import Fronts, listen
from scripts.server.process import Loop

STEP_S, TOKENS = 0.003, 300


class Counting(Batching):
    """One token of every request a step."""

    slots, max_length, vocabulary = 8, 1000, TOKENS

    def __init__(self):
        super().__init__()
        self.left = {}

    def submit(self, request):
        self.left[request.key] = [request.prompt[-1], request.max_tokens]

    def cancel(self, key):
        self.left.pop(key, None)

    @property
    def busy(self):
        return bool(self.left)

    running = property(lambda self: len(self.left))
    waiting = 0

    def step(self):
        time.sleep(STEP_S)
        events = []
        for key, state in list(self.left.items()):
            state[0], state[1] = (state[0] + 1) % TOKENS, state[1] - 1
            events.append((key, state[0], None if state[1] else LENGTH))
            if not state[1]:
                del self.left[key]
        return events


class Engine:
    """What the loop needs of an engine."""

    def __init__(self, model):
        self.batching = Counting()
        self.info = {
            "names": ["counting"], "max_length": 1000, "vocabulary": TOKENS, "ends": [], "chat_template": None,
            "tokenizer": (Path(model) / "tokenizer.json").read_text(), "special_tokens_are_text": True,
            "special_tokens": {}, "version": "0", "evidence": {}, "logprobs": False, "sampling": None,
        }  # fmt: skip

    def counts(self):
        return {"requests_running": self.batching.running}


def main():
    parent.end_with_parent()
    sockets = listen("127.0.0.1", 0, 2)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    engine, fronts = Engine(sys.argv[1]), Fronts(sockets)
    try:
        fronts.make_ready(engine.info)
        print(f"{url} serves", file=sys.stderr, flush=True)
        Loop(engine, fronts).run()
    finally:
        fronts.close()


if __name__ == "__main__":
    entry.run(main)
