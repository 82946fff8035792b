"""From a summary to the prompt, and from generated tokens to a headline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.foundation.text import one_line
from scripts.runtime.stop_texts import StopTexts
from scripts.runtime.stops import Held, Stops

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LINE_BREAK = "\n"
LABEL = "Headline:"


def most_new_tokens(request: dict[str, Any]) -> int:
    """The most new tokens of a run's answers: the technique's own limit, or the study's."""
    return request["settings"].get("max_new_tokens") or request["generation"]["max_new_tokens"]


def stop_rule(request: dict[str, Any]) -> str | list[str]:
    """What ends a run's answers: the technique's own rule, or the study's."""
    return request["settings"].get("stop") or request["generation"]["stop"]


def build_prompts(
    summaries: list[str], generation: dict[str, Any], shots: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """The prompt of each summary: plain, after worked examples, or as a chat.

    Args:
        summaries: the texts.
        generation: the study's settings: ``prompt`` with ``{summary}`` in it, ``chat_template``, and what may be left
            out: ``system``, ``preamble``, ``examples``, ``label``, ``max_prompt_tokens``.
        shots: worked examples with ``summary`` and ``headline``, which follow the study's own ``examples``.
        tokenizer: needed for its chat template, and to count tokens.

    Raises:
        StudyError: a chat is asked for, but the tokenizer has no chat template, or none with a system message; or the
            request is too long without any summary.
    """
    fit = fitted(summaries, generation, shots, tokenizer)
    return [_prompt(summary, generation, shots, tokenizer) for summary in fit]


def fitted(
    summaries: list[str], generation: dict[str, Any], shots: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """The summaries, each cut at its end so that its prompt has ``max_prompt_tokens`` at most; all else stays whole."""
    most = generation.get("max_prompt_tokens")
    if most is None:
        return summaries

    def length(summary: str) -> int:
        return len(tokenizer(_prompt(summary, generation, shots, tokenizer))["input_ids"])

    if summaries and (least := length("")) >= most:
        raise StudyError(
            f"generation.max_prompt_tokens is {most}, and the request without any summary has {least} tokens; raise it."
        )
    return [summary if length(summary) <= most else _cut(summary, most, length, tokenizer) for summary in summaries]


def _cut(summary: str, most: int, length: Callable[[str], int], tokenizer: PreTrainedTokenizerBase) -> str:
    """As many of a summary's tokens, from its beginning, as leave room."""
    ends = [
        end for _, end in tokenizer(summary, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    ]
    fits, fails = 0, len(ends)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if length(summary[: ends[middle - 1]].rstrip()) <= most:
            fits = middle
        else:
            fails = middle
    return summary[: ends[fits - 1]].rstrip() if fits else ""


def messages(summary: str, generation: dict[str, Any], shots: list[dict[str, str]]) -> list[dict[str, str]]:
    """The request as a chat: system message, worked examples, and the summary's request."""
    found = [{"role": "system", "content": generation["system"]}] if generation.get("system") else []
    for shot in [*generation.get("examples", []), *shots]:
        found.append({"role": "user", "content": _fill(generation["prompt"], shot["summary"])})
        found.append({"role": "assistant", "content": shot["headline"]})
    found.append({"role": "user", "content": _fill(generation["prompt"], summary)})
    if generation.get("preamble"):
        first = next(each for each in found if each["role"] == "user")
        first["content"] = f"{generation['preamble']}\n\n{first['content']}"
    return found


def _prompt(
    summary: str, generation: dict[str, Any], shots: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase
) -> str:
    if generation["chat_template"]:
        text = _as_chat(messages(summary, generation, shots), tokenizer)
    else:
        request, label = _fill(generation["prompt"], summary), generation.get("label", LABEL)
        examples = [*generation.get("examples", []), *shots]
        worked = "".join(
            _fill(generation["prompt"], shot["summary"]) + "\n" + f"{label} {shot['headline']}".strip() + "\n\n"
            for shot in examples
        )
        before = f"{generation['preamble']}\n\n" if generation.get("preamble") else ""
        text = f"{before}{worked}{request}" + (f"\n{label}" if examples else "")
    return _with_one_begin_token(text, tokenizer)


def _as_chat(chat: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase) -> str:
    if not tokenizer.chat_template:
        raise StudyError("generation.chat_template is true, but the model's tokenizer has none; set it to false.")
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise StudyError(
            f"the model's chat template refuses the chat ({one_line(str(error))}); change generation.system, "
            "generation.examples or generation.shots."
        ) from None
    if chat[0]["role"] == "system" and chat[0]["content"].strip() not in text:
        raise StudyError(
            "generation.system is set, but the model's chat template leaves system messages out; put it into "
            "generation.preamble instead."
        )
    return text


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


def find_stops(tokenizer: PreTrainedTokenizerBase, ends: list[int], stop: str | list[str]) -> Stops:
    """The tokens that end a headline.

    A line break without text before it ends one only once it has text: chat models like to begin with an empty line.

    Args:
        tokenizer: of the target.
        ends: the checkpoint's own end tokens.
        stop: ``line_break``: the first line break behind text ends it too; ``end_token``: only an end token does;
            texts: so does each of them, wherever it first occurs, or as a token where it is a special token's.
    """
    end_tokens = set(ends)
    if tokenizer.eos_token_id is not None:
        end_tokens.add(tokenizer.eos_token_id)
    if isinstance(stop, list):
        special = {text: tokenizer.convert_tokens_to_ids(text) for text in stop if text in tokenizer.all_special_tokens}
        end_tokens |= set(special.values())
        texts = tuple(text for text in stop if text not in special)

        def decode(tokens: list[int]) -> str:
            return tokenizer.decode(tokens, skip_special_tokens=True)

        return Stops(sorted(end_tokens), end_tokens, texts=StopTexts(texts, decode) if texts else None)
    if stop != "line_break":
        return Stops(sorted(end_tokens), end_tokens)
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    special = set(tokenizer.all_special_ids)
    breaks = {token for token, text in enumerate(texts) if LINE_BREAK in text}
    # Not where text stands before a line break in the token itself.
    held = {token for token in breaks - end_tokens if LINE_BREAK not in texts[token].lstrip()}
    blank = {token for token, text in enumerate(texts) if token in special or not text.strip()}
    return Stops(sorted(end_tokens | breaks), end_tokens, Held(frozenset(held), frozenset(blank)))
