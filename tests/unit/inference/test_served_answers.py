"""What is written of a server's answer: its own tokens, or those of its text, and only times that its chunks tell."""

import pytest

from scripts.inference import served_answers
from scripts.inference.timed_loop import Stops
from scripts.runtime.stop_texts import StopTexts
from scripts.serving.api import Answer

STOPS = Stops([2, 9], {2})


def line(chunks, totals=None, *, ids=None, finish="stop", new=None, stops=STOPS, text_stops=False):
    answer = Answer(due=0.0, sent=0.0, ended=9.0, chunks=chunks, totals=totals or [None] * len(chunks))
    answer.text = "".join(text for _, text, _ in chunks)
    answer.token_ids, answer.finish_reason, answer.new_tokens = ids, finish, new
    return served_answers.line(
        answer, 1.0, lambda text: [ord(char) for char in text], lambda ids: f"<{ids}>", stops, text_stops=text_stops
    )


def test_a_servers_own_ids_are_kept_with_the_moment_of_their_chunk():
    made = line([(2.0, "a", [5]), (3.0, "bc", [6, 7]), (4.0, "", [2])], ids=[5, 6, 7, 2], new=4)
    assert made["token_ids"] == [5, 6, 7, 2]
    assert made["tokens"] == "api"
    assert made["token_times_s"] == [1.0, 2.0, 2.0, 3.0]
    assert (made["ttft_s"], made["latency_s"], made["stop_reason"]) == (1.0, 3.0, "end")
    assert made["text"] == "<[5, 6, 7, 2]>"


def test_what_a_server_wrote_after_the_stop_does_not_count():
    made = line([(2.0, "a", [5, 9]), (4.0, "b", [6])], ids=[5, 9, 6], new=3, finish="length")
    assert made["token_ids"] == [5, 9]
    assert (made["new_tokens"], made["latency_s"], made["stop_reason"]) == (2, 1.0, "line_break")


def test_a_stop_token_that_is_counted_and_not_sent_leaves_times_and_stop_unknown():
    made = line([(2.0, "a", [5]), (3.0, "", None)], ids=[5], new=2)
    assert (made["new_tokens"], made["token_times_s"], made["stop_reason"]) == (2, None, None)


def test_without_ids_a_chunk_for_each_token_tells_their_times():
    made = line([(2.0, "a", None), (3.0, "b", None)], new=2, finish="length")
    assert made["tokens"] == "retokenised"
    assert made["token_ids"] == [97, 98]
    assert made["token_times_s"] == [1.0, 2.0]
    assert made["stop_reason"] == "length"


def test_an_end_token_shows_no_text_and_came_with_the_end():
    made = line([(2.0, "a", None), (3.0, "", None)], new=2)
    assert made["token_times_s"] == [1.0, 2.0]
    assert made["stop_reason"] == "end"


@pytest.mark.parametrize("chunks", [[(2.0, "abc", None)], [(2.0, "ab\n", None), (3.0, "", None)]])
def test_chunks_of_several_tokens_leave_their_times_unknown(chunks):
    made = line(chunks, new=3, finish="stop")
    assert made["token_times_s"] is None
    assert made["ttft_s"] == 1.0


def test_counts_in_the_chunks_tell_the_times_of_several_tokens():
    made = line([(2.0, "ab", None), (3.0, "c", None)], [2, 3], new=3, finish="length")
    assert made["token_times_s"] == [1.0, 1.0, 2.0]


def test_a_text_to_stop_at_is_cut_off_whether_the_server_sends_it_or_not():
    texts = StopTexts(("7", "#"), lambda ids: f"<{ids}>")
    stops = Stops([9], {9}, texts=texts)
    made = line([(2.0, "a", [5]), (3.0, "b", [7]), (4.0, "c", [6])], ids=[5, 7, 6], new=3, stops=stops, text_stops=True)
    assert (made["token_ids"], made["text"], made["latency_s"]) == ([5, 7], "<[5, ", 2.0)
    assert made["stop_reason"] == "text"
    made = line([(2.0, "a#", None)], new=1, stops=stops, text_stops=True)
    assert (made["text"], made["stop_reason"]) == ("a", None)


@pytest.mark.parametrize(
    ("text", "text_stops", "said"), [("a\n", True, "line_break"), ("a", True, None), ("a", False, "end")]
)
def test_a_stop_is_told_only_where_it_is_known(text, text_stops, said):
    assert line([(2.0, text, None)], new=1, text_stops=text_stops)["stop_reason"] == said
