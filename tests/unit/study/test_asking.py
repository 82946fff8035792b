"""What is refused of ``generation`` before anything runs."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import configuration, layers
from tests.support.tiny_checkpoint import CHAT_TEMPLATE, make_checkpoint, make_tokenizer


def check(*options):
    return configuration.check(layers.read([], ["measurement={device: cpu}", "select=[kv_cache]", *options]).config)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "generation={chat_template: true}",
            r"the tokenizer of model 'small', which technique 'kv_cache' uses, has no",
        ),
        ("generation={system: Be short}", r"generation\.system is a message of a chat, and .* is false"),
        ("generation={answer: {regex: (}}", r"generation\.answer\.regex is no regular expression"),
        ("generation={answer: second_line}", r"generation\.answer is \"second_line\"; use auto or first_line"),
        ("generation={max_prompt_tokens: 0}", r"generation\.max_prompt_tokens"),
        ("generation={examples: [{summary: a}]}", r"generation\.examples\.0 lacks the key 'headline'"),
    ],
)
def test_what_can_not_be_asked_is_refused_in_one_sentence(option, said):
    with pytest.raises(StudyError, match=said):
        check(option)


@pytest.mark.parametrize("template", [None, CHAT_TEMPLATE])
def test_a_checkpoint_is_looked_into_for_its_template(tmp_path, template):
    make_checkpoint(tmp_path / "model", tokenizer=make_tokenizer(chat_template=template))
    asked = [f"models={{small: {{source: path, path: {{path: {tmp_path / 'model'}}}}}}}",
             "generation={chat_template: true, system: Be short}"]  # fmt: skip
    if template:
        assert check(*asked)
    else:
        with pytest.raises(StudyError, match="has no chat template; set it to false, or choose an instruct model"):
            check(*asked)
