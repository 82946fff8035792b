"""Text of tokens as they come, and chats as prompts."""

import pytest

from scripts.server.asked import RefusedError
from scripts.server.chat import Template
from scripts.server.writing import Writer
from tests.support.tiny_checkpoint import BEGIN, CHAT_TEMPLATE, END, make_tokenizer

TEXT = "Überall “4 %” — 日本語 🚆, they said"


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def pieces(tokenizer, text, prompt="The mayor", stop_text=()):
    backend = tokenizer.backend_tokenizer
    writer = Writer(backend, backend.encode(prompt).ids, stop_text)
    found = []
    for token in backend.encode(text).ids:
        found.append(writer.add(token))
        if writer.stopped:
            break
    return [*found, writer.end()], writer.stopped


@pytest.mark.parametrize("prompt", ["The mayor", "x", "日"])
def test_no_piece_holds_a_part_of_a_character(tokenizer, prompt):
    found, _ = pieces(tokenizer, TEXT, prompt)
    assert "".join(found) == TEXT
    assert not any("\ufffd" in piece for piece in found)


def test_what_is_no_character_at_the_end_is_told_as_such(tokenizer):
    backend = tokenizer.backend_tokenizer
    ids = backend.encode("a日").ids[:-1]
    writer = Writer(backend, backend.encode("a日").ids[:-1], ())
    assert "".join([*map(writer.add, ids), writer.end()]) == backend.decode(ids)


@pytest.mark.parametrize(
    ("stop_text", "kept", "stopped"),
    [
        (("日本",), "Überall “4 %” — ", True),
        (("they", "4 %"), "Überall “", True),
        (("said",), TEXT[:-4], True),
        (("said.",), TEXT, False),
        (("saidx", "🚆x"), TEXT, False),
    ],
)
def test_nothing_of_a_text_to_stop_at_goes_out(tokenizer, stop_text, kept, stopped):
    found, was = pieces(tokenizer, TEXT, stop_text=stop_text)
    assert ("".join(found), was) == (kept, stopped)


def test_a_chat_is_the_prompt_that_transformers_makes_of_it():
    tokenizer = make_tokenizer(chat_template=CHAT_TEMPLATE)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A <|begin|> headline?"}]
    template = Template(tokenizer.chat_template, {"bos_token": BEGIN, "eos_token": END})
    assert template.prompt(messages) == tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ raise_exception('only users') }}", "refuses the messages: only users."),
        ("{{ messages[0].content.__class__.__mro__ }}", "fails"),
        ("{{ messages[9].role }}", "fails"),
        (None, "has no chat template"),
    ],
)
def test_a_template_that_refuses_or_fails_is_an_error_of_the_request(source, said):
    with pytest.raises(RefusedError, match=said):
        Template(source, {}).prompt([{"role": "user", "content": "x"}])
