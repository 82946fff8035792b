import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.foundation import text

ROOT = Path(__file__).parents[3]
HARMFUL = "\x1b[31m \x1b]0;title\x07 \x9b31m \u202e \u2066 \x00 \x08 \u2028 \ud83d"
HARMFUL_CHARACTERS = set(HARMFUL) - set("[]31m0;title ")


def test_a_line_stays_one_line_and_the_rest_is_kept():
    told = text.one_line(f"a{HARMFUL}\r\nerror: forged\tmore, Größe 日本 \N{MAN}\u200d\N{WOMAN}")
    assert not HARMFUL_CHARACTERS & set(told)
    assert told.splitlines() == [told]
    assert "[U+000D][U+000A]error: forged[U+0009]more, Größe 日本 \N{MAN}\u200d\N{WOMAN}" in told


def test_a_very_long_text_keeps_its_beginning_and_its_end():
    told = text.one_line(f"begin {'x' * 10**6} end")
    assert len(told) < 5000
    assert told.startswith("begin ")
    assert told.endswith(" end")


def test_lines_after_the_first_are_indented():
    assert text.lines("a\nerror: forged\rover\x1b") == "a\n  error: forged[U+000D]over[U+001B]"


def test_a_stream_lets_progress_bars_through_and_nothing_worse():
    below = io.StringIO()
    stream = text.InertStream(below)
    assert stream.write("\r 50%\x1b[2J\n") == 10
    stream.writelines(["a\x07", "b"])
    assert below.getvalue() == "\r 50%[U+001B][2J\na[U+0007]b"


WAYS = {
    "an error": "raise StudyError(TEXT)",
    "a log line": "logging.getLogger('a').warning('%s', TEXT)",
    "a traceback": "raise ValueError(TEXT)",
    "print": "print(TEXT)",
    "a library's own handler": "l = logging.getLogger('b'); l.addHandler(logging.StreamHandler()); l.error(TEXT)",
    "a warning": "import warnings; warnings.warn(TEXT)",
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_a_stage_prints_is_inert(way):
    program = (
        "import logging\n"
        "from scripts.foundation import entry\n"
        "from scripts.foundation.errors import StudyError\n"
        f"TEXT = {HARMFUL[:-1]!r}\n"
        f"def main():\n    {WAYS[way]}\n"
        "entry.run(main)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8")
    printed = done.stdout + done.stderr
    assert "[U+001B][31m" in printed or "\\x1b" in printed
    assert not HARMFUL_CHARACTERS & set(printed)


@pytest.mark.parametrize("way", ["an error", "a log line", "a traceback"])
def test_no_part_of_a_message_begins_a_line(way):
    program = (
        "import logging\n"
        "from scripts.foundation import entry\n"
        "from scripts.foundation.errors import StudyError\n"
        "TEXT = 'a\\nerror: forged'\n"
        f"def main():\n    {WAYS[way]}\n"
        "entry.run(main)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert "error: forged" in done.stderr
    assert "error: forged" not in done.stderr.splitlines()


def test_logging_is_as_before_after_a_stage(capsys):
    from scripts.foundation import entry

    before = sys.stdout, sys.stderr
    entry.run(lambda: logging.getLogger("x").debug("nothing"))
    assert (sys.stdout, sys.stderr) == before
