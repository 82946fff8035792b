import asyncio

from scripts.inference import served_leading
from scripts.runtime.stops import NOTHING_HELD, Held
from scripts.serving.api import Answer, Ask

BREAK, END = 10, 2
HELD = Held(frozenset({BREAK}), frozenset({BREAK, 11}))


class Server:
    """Writes what is planned, and stops at every line break."""

    def __init__(self, *planned):
        self.planned, self.asked = list(planned), []

    async def send(self, ask):
        self.asked.append(ask)
        at = len(ask.token_ids) - 3
        ids = []
        for token in self.planned[at : at + ask.max_new_tokens]:
            ids.append(token)
            if token in (BREAK, END):
                break
        moment = float(len(self.asked))
        return Answer(
            moment, moment, moment, [(moment, "x", ids)], [len(ids)], "x" * len(ids), ids, len(ask.token_ids), len(ids),
            {"prompt_tokens": len(ask.token_ids)}, "stop",
        )  # fmt: skip


def answered(server, most=9, held=HELD):
    return asyncio.run(served_leading.send(server, Ask("abc", (1, 2, 3), most), held))


def test_the_request_is_sent_again_behind_leading_line_breaks():
    server = Server(BREAK, BREAK, 50, 51, BREAK, 52)
    answer, again = answered(server)
    assert (answer.token_ids, answer.new_tokens, again) == ([BREAK, BREAK, 50, 51, BREAK], 5, 2)
    assert [ask.token_ids for ask in server.asked] == [(1, 2, 3), (1, 2, 3, BREAK), (1, 2, 3, BREAK, BREAK)]
    assert [ask.max_new_tokens for ask in server.asked] == [9, 8, 7]
    assert (answer.prompt_tokens, answer.totals, answer.last) == (3, [1, 2, 5], 3.0)


def test_an_answer_that_is_whole_is_asked_for_once():
    assert answered(Server(50, BREAK))[1] == 0
    assert answered(Server(END))[1] == 0
    assert answered(Server(BREAK, 50), held=NOTHING_HELD)[0].token_ids == [BREAK]
    assert answered(Server(BREAK, 50), most=1)[1] == 0
