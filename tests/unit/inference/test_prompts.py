import numpy
import pytest

from scripts.foundation.errors import StudyError
from scripts.inference.prompts import build_prompts, find_stops, fitted
from scripts.runtime.stops import NOTHING_HELD, Held, Stops, codes, follow
from tests.support.tiny_checkpoint import CHAT_TEMPLATE, make_tokenizer

PLAIN = {"prompt": "Headline for {summary}, please", "chat_template": False}
CHAT = {"prompt": "Headline for {summary}, please", "chat_template": True}
HOSTILE = [
    "{summary}", "{0} {} {name!r} {{x}}", "%s %(a)d", "{{ 7 * 7 }} {% raw %}", r"\1 \g<0> $HOME `id`", "[/INST] <s>",
    "a\u2028b\u202e",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_summary_is_literal_text(tokenizer, text):
    assert build_prompts([text], PLAIN, [], tokenizer) == [f"Headline for {text}, please"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_summary_is_literal_text_in_examples_and_chats_too(tokenizer, text):
    shots = [{"summary": text, "headline": text}]
    assert build_prompts(["S"], PLAIN, shots, tokenizer) == [
        f"Headline for {text}, please\nHeadline: {text}\n\nHeadline for S, please\nHeadline:"
    ]
    chat = make_tokenizer(chat_template=CHAT_TEMPLATE)
    assert build_prompts([text], CHAT, shots, chat) == [
        f"<|begin|>[user] Headline for {text}, please\n[assistant] {text}\n"
        f"[user] Headline for {text}, please\n[assistant]"
    ]


def test_the_prompt_may_hold_other_braces_and_several_summaries(tokenizer):
    generation = {"prompt": '{"text": "{summary}"} {{summary}} {other}', "chat_template": False}
    assert build_prompts(["S"], generation, [], tokenizer) == ['{"text": "S"} {S} {other}']


def test_every_summary_has_its_own_prompt_with_the_same_examples(tokenizer):
    shots = [{"summary": "a", "headline": "A"}, {"summary": "b", "headline": "B"}]
    first, second = build_prompts(["one", "two"], PLAIN, shots, tokenizer)
    assert first.replace("one", "two") == second
    assert first.count("Headline: ") == 2


@pytest.mark.parametrize("adds_begin", [True, False])
def test_a_chat_begins_with_one_begin_token(adds_begin):
    chat = make_tokenizer(adds_begin=adds_begin, chat_template=CHAT_TEMPLATE)
    [prompt] = build_prompts(["S"], CHAT, [], chat)
    tokens = chat(prompt)["input_ids"]
    assert tokens[0] == chat.bos_token_id
    assert tokens.count(chat.bos_token_id) == 1


def test_a_prompt_that_writes_the_begin_token_itself_has_it_once():
    adding = make_tokenizer(adds_begin=True)
    generation = {"prompt": f"{adding.bos_token}Headline for {{summary}}", "chat_template": False}
    for shots in ([], [{"summary": "A", "headline": "B"}]):
        [prompt] = build_prompts(["S"], generation, shots, adding)
        assert adding(prompt)["input_ids"][:2].count(adding.bos_token_id) == 1


def test_a_chat_with_a_model_that_has_no_template_is_refused(tokenizer):
    with pytest.raises(StudyError, match=r"generation\.chat_template is true, but"):
        build_prompts(["S"], CHAT, [], tokenizer)


def test_every_token_with_a_line_break_stops(tokenizer):
    stops = find_stops(tokenizer, [], "line_break")
    breaks = {token for token in range(len(tokenizer)) if "\n" in tokenizer.decode([token])}
    assert len(breaks) > 1, "the vocabulary must have merged line breaks for this test"
    assert set(stops.all_tokens) == breaks | {tokenizer.eos_token_id}
    assert stops.all_tokens == sorted(stops.all_tokens)
    assert stops.end_tokens == {tokenizer.eos_token_id}


def test_end_tokens_are_the_checkpoints_and_the_tokenizers(tokenizer):
    stops = find_stops(tokenizer, [7, 9], "end_token")
    assert stops.end_tokens == set(stops.all_tokens) == set(stops.at_once) == {7, 9, tokenizer.eos_token_id}


def test_trimming_keeps_the_first_stop_token_and_nothing_after_it():
    stops = Stops([7, 8], {8})
    assert stops.trim([5, 6, 7, 8, 7]) == [5, 6, 7]
    assert stops.trim([7]) == [7]
    assert stops.trim([5, 6]) == [5, 6]
    assert stops.trim([]) == []


def test_a_line_break_ends_only_what_has_text(tokenizer):
    stops = find_stops(tokenizer, [], "line_break")
    texts = {token: tokenizer.decode([token]) for token in range(len(tokenizer))}
    assert {texts[token] for token in stops.held.tokens} >= {"\n"}
    behind_text = [token for token in stops.at_once if token != tokenizer.eos_token_id]
    assert behind_text
    assert all(texts[token].lstrip().count("\n") for token in behind_text)
    break_id, space = (next(t for t, text in texts.items() if text == each) for each in ("\n", " "))
    word = tokenizer("mayor")["input_ids"]
    answer = [break_id, space, break_id, *word, break_id, *word]
    assert stops.trim(answer) == answer[: -len(word)]
    assert stops.reason(stops.trim(answer)) == "line_break"
    assert stops.trim([break_id, space]) == [break_id, space]
    assert stops.reason([break_id]) == stops.reason([space, break_id]) == "length", "no text: only the limit ended it"
    assert stops.trim([break_id, tokenizer.eos_token_id, 5]) == [break_id, tokenizer.eos_token_id]


def test_codes_say_of_each_token_what_it_does():
    held = Held(frozenset({3, 4}), frozenset({2, 3}))
    table = codes([1], held, 6)
    assert table.tolist() == [2, 1, 0, 4, 6, 2]
    state = numpy.zeros(4, dtype=numpy.int8)
    for step in ([3, 0, 4, 2], [3, 3, 3, 1]):
        state = follow(state, table[step])
    assert (state & 1).tolist() == [0, 1, 1, 1]
    assert codes([1, 9], NOTHING_HELD, 3).tolist() == [0, 1, 0]


SYSTEMLESS = "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system') }}" \
    "{% endif %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"  # fmt: skip
SILENT = "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['content'] }}{% endif %}{% endfor %}"
EXAMPLES = [{"summary": "a", "headline": "A"}]


def test_a_study_brings_its_own_examples_preamble_and_label(tokenizer):
    generation = PLAIN | {"examples": EXAMPLES, "preamble": "House rules.", "label": "Titel:"}
    shots = [{"summary": "b", "headline": "B"}]
    assert build_prompts(["S"], generation, shots, tokenizer) == [
        "House rules.\n\nHeadline for a, please\nTitel: A\n\nHeadline for b, please\nTitel: B\n\n"
        "Headline for S, please\nTitel:"
    ]
    assert build_prompts(["S"], PLAIN | {"preamble": "Rules."}, [], tokenizer) == ["Rules.\n\nHeadline for S, please"]


def test_a_chat_has_a_system_message_and_examples():
    chat = make_tokenizer(chat_template=CHAT_TEMPLATE)
    generation = CHAT | {"system": "You are an editor.", "examples": EXAMPLES, "preamble": "Rules."}
    [prompt] = build_prompts(["S"], generation, [], chat)
    assert prompt.removeprefix("<|begin|>") == (
        "[system] You are an editor.\n[user] Rules.\n\nHeadline for a, please\n[assistant] A\n"
        "[user] Headline for S, please\n[assistant]"
    )


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (SYSTEMLESS, r"the model's chat template refuses the chat \(no system\); change generation\.system"),
        (SILENT, r"generation\.system is set, but .* leaves system messages out"),
    ],
)  # fmt: skip
def test_a_template_without_a_system_message_is_said(template, said):
    with pytest.raises(StudyError, match=said):
        build_prompts(["S"], CHAT | {"system": "You are an editor."}, [], make_tokenizer(chat_template=template))


def test_a_long_summary_is_cut_at_its_end_and_the_request_stays(tokenizer):
    short, long = "The mayor said on Monday.", "The mayor of Norwich said on Monday that the bridge will open. " * 9
    room = len(tokenizer(build_prompts([short], PLAIN, [], tokenizer)[0])["input_ids"]) + 10
    generation = PLAIN | {"max_prompt_tokens": room}
    kept, cut = fitted([short, long], generation, [], tokenizer)
    assert kept == short
    assert long.startswith(cut)
    assert 0 < len(cut) < len(long)
    prompts = build_prompts([short, long], generation, [], tokenizer)
    assert prompts[1] == f"Headline for {cut}, please"
    assert room - 3 <= len(tokenizer(prompts[1])["input_ids"]) <= room
    with pytest.raises(StudyError, match=r"generation\.max_prompt_tokens is 3, and the request .* has \d+ tokens"):
        build_prompts([short], PLAIN | {"max_prompt_tokens": 3}, [], tokenizer)
