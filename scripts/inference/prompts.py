"""From a summary to the prompt, and from generated tokens to a headline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.runtime.stops import Held, Stops

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LINE_BREAK = "\n"


def build_prompts(
    summaries: list[str], generation: dict[str, Any], shots: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """The prompt of each summary: plain, after worked examples, or as a chat.

    Args:
        summaries: the texts.
        generation: the study's settings: ``prompt`` with ``{summary}`` in it, ``chat_template``.
        shots: worked examples with ``summary`` and ``headline``, for base models.
        tokenizer: needed for its chat template.

    Raises:
        StudyError: a chat is asked for, but the tokenizer has no chat template.
    """
    prompts = []
    for summary in summaries:
        examples = [(_fill(generation["prompt"], shot["summary"]), shot["headline"]) for shot in shots]
        request = _fill(generation["prompt"], summary)
        if generation["chat_template"]:
            messages = []
            for question, answer in examples:
                messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            messages.append({"role": "user", "content": request})
            prompts.append(_as_chat(messages, tokenizer))
        elif examples:
            worked = "".join(f"{question}\nHeadline: {answer}\n\n" for question, answer in examples)
            prompts.append(f"{worked}{request}\nHeadline:")
        else:
            prompts.append(request)
    return [_with_one_begin_token(prompt, tokenizer) for prompt in prompts]


def _as_chat(messages: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase) -> str:
    if not tokenizer.chat_template:
        raise StudyError("generation.chat_template is true, but the model's tokenizer has none; set it to false.")
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def _with_one_begin_token(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    # Most chat templates write the begin token, as can a prompt, and most tokenizers add it: one is enough.
    begin = tokenizer.bos_token_id
    if begin is not None and tokenizer(text)["input_ids"][:2] == [begin, begin]:
        text = text.removeprefix(tokenizer.bos_token)
    return text


def _fill(prompt: str, summary: str) -> str:
    # Not str.format: a brace in a summary or elsewhere in the prompt is text.
    return prompt.replace("{summary}", summary)


def headline_text(prompt: str, headline: str, generation: dict[str, Any]) -> str:
    """A headline as it would follow a prompt: after a space, unless the prompt ends with white space or is a chat."""
    return headline if generation["chat_template"] or prompt[-1:].isspace() else " " + headline


def find_stops(tokenizer: PreTrainedTokenizerBase, ends: list[int], stop: str) -> Stops:
    """The tokens that end a headline.

    A line break without text before it ends one only once it has text: chat models like to begin with an empty line.

    Args:
        tokenizer: of the target.
        ends: the checkpoint's own end tokens.
        stop: ``line_break``: the first line break behind text ends it too; ``end_token``: only an end token does.
    """
    end_tokens = set(ends)
    if tokenizer.eos_token_id is not None:
        end_tokens.add(tokenizer.eos_token_id)
    if stop != "line_break":
        return Stops(sorted(end_tokens), end_tokens)
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    special = set(tokenizer.all_special_ids)
    breaks = {token for token, text in enumerate(texts) if LINE_BREAK in text}
    # Not where text stands before a line break in the token itself.
    held = {token for token in breaks - end_tokens if LINE_BREAK not in texts[token].lstrip()}
    blank = {token for token, text in enumerate(texts) if token in special or not text.strip()}
    return Stops(sorted(end_tokens | breaks), end_tokens, Held(frozenset(held), frozenset(blank)))
